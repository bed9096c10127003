# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # of tests/kernel/lib.sh: base
# Figures of scripts/bench: for people as they come, for programs in one file (--json).

MISSED=0

# note JQ-ARGUMENT...: one object more for --json
note() {
	[ -z "$JSON" ] || jq -cn "$@" >>"$base/json"
}

# figures FILE: "MEDIAN P25 P75 MIN" of its numbers
figures() {
	sort -n "$1" | awk '{ v[NR] = $1 }
		function at(q) { i = int((NR - 1) * q) + 1; return v[i] }
		END { if (NR) print at(0.5), at(0.25), at(0.75), v[1] }'
}

# row NAME FILE REFERENCE-FILE: milliseconds, and how many times the reference
row() {
	local median p25 p75 least reference
	read -r median p25 p75 least < <(figures "$2")
	read -r reference _ < <(figures "$3")
	awk -v n="$1" -v m="$median" -v a="$p25" -v b="$p75" -v l="$least" -v r="$reference" '
		BEGIN { printf "  %-12s %9.3f ms  %9.3f .. %9.3f  least %9.3f  %6.2fx\n",
			n, m / 1e6, a / 1e6, b / 1e6, l / 1e6, m / r }'
}

# ratio FILE REFERENCE-FILE
ratio() {
	local a b
	read -r a _ < <(figures "$1")
	read -r b _ < <(figures "$2")
	awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", a / b }'
}

# target CLAIM VALUE LIMIT UNIT: at most so much is promised
target() {
	local met=false
	! awk -v a="$2" -v b="$3" 'BEGIN { exit !(a <= b) }' || met=true
	note --arg claim "$1" --argjson value "$2" --argjson limit "$3" --argjson met "$met" '$ARGS.named'
	if [ "$met" = true ]; then
		printf '  met:    %s: %s%s (at most %s%s)\n' "$1" "$2" "$4" "$3" "$4"
	else
		printf '  MISSED: %s: %s%s (at most %s%s)\n' "$1" "$2" "$4" "$3" "$4"
		MISSED=$((MISSED + 1))
	fi
}

