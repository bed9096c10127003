# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of corefold(8) in bash.
# The words are those that the program's own help prints, so they cannot go stale.

_corefold_commands()
{
	"$1" --help 2>/dev/null | sed -nE 's/^  ([a-z]+) +.*/\1/p'
}

# Both forms; "--name=" where an argument must follow
_corefold_options()
{
	"$1" "$2" --help 2>/dev/null |
		grep -oE '^ +(-[A-Za-z0-9],? ?)?(--[a-z-]+=?)?' | tr -s ' ,' '\n'
}

# Does that option take the word behind it?
_corefold_takes()
{
	[[ $3 == -* ]] && "$1" "$2" --help 2>/dev/null |
		grep -qE -e "^ +(-[A-Za-z0-9], )?$3(, --[a-z-]+)?[= ][A-Z]"
}

# The configuration that the line names, as the arguments that name it
_corefold_config()
{
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-C | --config)
			[[ ${COMP_WORDS[i + 1]} != '=' ]] || ((i++))
			printf '%s\n' -C "${COMP_WORDS[i + 1]}"
			;;
		-C?*) printf '%s\n' "${COMP_WORDS[i]}" ;;
		esac
	done
}

# Empty for who may not read the state.
_corefold_ids()
{
	local -a config

	mapfile -t config < <(_corefold_config)
	printf 'last\n'
	"$1" list "${config[@]}" 2>/dev/null | awk 'NR > 1 { print $3 }'
}

_corefold()
{
	local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]-}
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local words='' files=no

	COMPREPLY=()
	[[ $word != '=' ]] || before='=' word=''
	if ((COMP_CWORD == 1)); then
		words="$(_corefold_commands "$program") --help --version"
	elif [[ $before == '=' ]] || _corefold_takes "$program" "$command" "$before"; then
		files=yes
	elif [[ $word == -* ]]; then
		words=$(_corefold_options "$program" "$command")
	elif [[ $command == @(info|dump|debug|export) ]]; then
		words=$(_corefold_ids "$program")
		[[ $command != debug ]] || files=yes # an archive of another machine
	else
		files=yes
	fi
	mapfile -t COMPREPLY < <([[ -z $words ]] || compgen -W "$words" -- "$word"
		[[ $files == no ]] || compgen -f -- "$word")
	# Names of files are quoted; the '=' of an option must not be.
	[[ $files == no ]] || compopt -o filenames 2>/dev/null
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == --*= ]]; then
		compopt -o nospace 2>/dev/null # the argument follows
	fi
}

complete -F _corefold corefold
