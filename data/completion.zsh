#compdef corefold
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of corefold(8) in zsh.
# The words are those that the program's own help prints, so they cannot go stale.

# "name:summary" of each command
_corefold_commands() {
	local -a commands
	commands=(${(f)"$(_call_program commands $words[1] --help 2>/dev/null |
		sed -nE 's/^  ([a-z]+) +(.*)/\1:\2/p')"})
	_describe -t commands 'command' commands
}

# "--name[help]", "--name=[help]:argument:_files" of the command that was typed
_corefold_specs() {
	$1 $2 --help 2>/dev/null | awk '
		/^ +-/ {
			line = $0; letter = name = argument = ""
			if (match(line, /^  -[A-Za-z0-9]/)) letter = substr(line, 3, 2)
			if (match(line, /--[a-z-]+/)) name = substr(line, RSTART, RLENGTH)
			if (match(line, /--[a-z-]+\[?=/) || match(line, /^  -[A-Za-z0-9] [A-Z]/)) argument = "x"
			help = line; sub(/^ +[^ ]+( ?--[^ ]+| [A-Z]+)? +/, "", help)
			gsub(/\[/, "\\[", help); gsub(/\]/, "\\]", help); gsub(/:/, "\\:", help)
			tail = "[" help "]" (argument != "" ? ":argument:_files" : "")
			if (letter != "") print letter (argument != "" ? "+" : "") tail
			if (name != "") print name (argument != "" ? "=" : "") tail
		}'
}

# Empty for who may not read the state.
_corefold_ids() {
	local -a ids config
	local at=${words[(i)(-C|--config)]}
	(( at >= CURRENT )) || config=(-C $words[at+1])
	ids=(last ${(f)"$(_call_program ids $words[1] list $config 2>/dev/null | awk 'NR > 1 { print $3 }')"})
	compadd -a ids
}

# debug opens an archive of another machine, too.
_corefold_ids_and_files() {
	_corefold_ids
	_files
}

_corefold() {
	local program=$words[1] command=$words[2]
	local -a specs

	if (( CURRENT == 2 )); then
		_corefold_commands
		compadd -- --help --version
		return
	fi
	specs=(${(f)"$(_corefold_specs $program $command)"})
	shift words
	(( CURRENT-- ))
	case $command in
	debug) words[1]=$program; _arguments -S $specs '*:id or file:_corefold_ids_and_files' ;;
	info|dump|export) words[1]=$program; _arguments -S $specs '*:id:_corefold_ids' ;;
	*) words[1]=$program; _arguments -S $specs '*:file:_files' ;;
	esac
}

if [[ $funcstack[1] == _corefold ]]; then
	_corefold "$@"
else
	compdef _corefold corefold
fi
