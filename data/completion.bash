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

# Empty for who may not read the state.
_corefold_ids()
{
	printf 'last\n'
	"$1" list 2>/dev/null | awk 'NR > 1 { print $3 }'
}

_corefold()
{
	local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]-}
	local word=${COMP_WORDS[COMP_CWORD]} words=''

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		words="$(_corefold_commands "$program") --help --version"
	elif [[ $word == -* ]]; then
		words=$(_corefold_options "$program" "$command")
	elif [[ $command == @(info|dump|debug|export) ]] &&
		[[ ${COMP_WORDS[COMP_CWORD - 1]} != -[oCA] && ${COMP_WORDS[COMP_CWORD - 1]} != '=' ]]; then
		words=$(_corefold_ids "$program")
	fi
	if [[ -n $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then
		compopt -o nospace 2>/dev/null # the argument follows
	fi
}

complete -o filenames -F _corefold corefold
