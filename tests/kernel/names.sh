#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What a process may call itself, in everything that is printed of it: terminals, pages,
# metrics, logs. And command lines of every size.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable
chmod 0755 "$base"/victim-*
log_mark

# ---- names ----

hostile=(
	$'\xc2\x9b31mcsi' $'\xc2\x85next-line' $'\x7fdelete' $'\x80\x9f'
	$'\xe2\x80\xaeright-to-left' $'\xe2\x80\xa8separator' $'\xef\xbb\xbfmark'
	$'\xed\xa0\x80surrogate' $'\xc0\xaf..' $'\xf8\x88\x80\x80\x80five'
	'<script>alert(1)</script>' '"><img src=x onerror=alert(1)>' "'onmouseover='x" '&lt;b&gt;'
	$'"} 1\nfake_metric{x="y"} 99' 'a\",b' 'x{a="b"}' '# HELP fake_metric' $'tab\there'
	'..' '...' '.' ' ' '-rf' '--help' '%n%s%99999d' '$(id)' '`id`' ';id' $'\r\rline'
	') R 1 1' $'x\n9999999 (y) S 1' '{"json":1}' 'null' '[]' '\u0000' $'\\x0a'
)
for name in "${hostile[@]}"; do
	crash -u 30001 -n "$name" "$base/victim-abort" "$name"
done
crash -u 30001 -n thread "$base/victim-abort" argument $'\xc2\x9b2Jcomm'
# The file's own name is for its owner to choose.
weird=$base/$'dir\n<marquee>\e[2J"'
mkdir -m 0755 "$weird"
cp "$base/victim-abort" "$weird/"$'exe\xc2\x9b"> 1'
crash -u 30001 -e "$weird/"$'exe\xc2\x9b"> 1'
settle
all=$((${#hostile[@]} + 2))
is 'all are kept' "$(cf list --json | jq '[.[] | select(.uid == 30001)] | length')" "$all"
holds 'the ledger adds up' ledger_holds
cf tick

plain() { ! LC_ALL=C grep -q '[^ -~]' "$1"; }
printed() { # CLAIM FILE
	holds "$1: nothing but printable characters" plain "$2"
	fails "$1: no metric of their own" grep -q '^fake_metric' "$2"
}
for command in list status summary; do
	cf "$command" >"$base/out" 2>&1
	printed "$command" "$base/out"
	cf "$command" --json >"$base/out" 2>"$base/err"
	holds "$command --json is JSON" jq -e . "$base/out" >/dev/null
	holds "$command --json is printable" plain <(jq -r '.. | strings' "$base/out")
done
bad=0
for id in $(cf list --json | jq -r '.[].id'); do
	cf info "$id" >"$base/out" 2>&1 && plain "$base/out" || bad=$((bad + 1))
	cf info --json "$id" >"$base/out" && jq -e . "$base/out" >/dev/null &&
		plain <(jq -r '.. | strings' "$base/out") || bad=$((bad + 1))
done
is 'info, too' "$bad" 0
cf summary --format prometheus >"$base/out"
printed 'metrics' "$base/out"
number='[-+]?([0-9.]+([eE][-+]?[0-9]+)?|Inf|NaN)'
label='[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*"'
is 'each line of the metrics is one' \
	"$(grep -cvE "^(#.*|[a-zA-Z_:][a-zA-Z0-9_:]*(\\{($label,?)*\\})? $number)\$" "$base/out")" 0
cf summary --format html >"$base/out"
holds 'the page is UTF-8' iconv -f UTF-8 -t UTF-8 -o /dev/null "$base/out"
fails 'without control characters' env LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]' "$base/out"
is 'and no element of theirs' \
	"$(grep -cE '<(img|marquee)|alert\(1\)</script>|<[^>]*onerror|<[^>]*onmouseover' "$base/out")" 0
log_text | grep -F "corefold[" >"$base/log"
printed 'the log' "$base/log"
is 'no file got a name of theirs' "$(cd "$state/cores" && find . -type f |
	grep -Evc '^\./[0-9T]+-[0-9a-f]+\.(core\.gz|json)$')" 0

# ---- command lines ----

new_state
for how in full none nameless; do
	crash -u 30001 "$base/victim-args" $how
done
settle
is 'command lines of all sizes are counted' "$(status .crashes)" 3
is 'and kept, verified' "$(cf list --json | jq -r '.[].id' | while read -r id; do
	cf info --json "$id" | jq -r '"\(.identity) \(.capture)"'
done | sort -u)" 'verified full'
is 'two megabytes of arguments take a name' "$(of args-full crashes)" 1
matches 'and little room' "$(stat -c %s "$state"/cores/*.json | sort -n | tail -n 1)" '^[0-9]{1,5}$'
matches 'no argument leaves the name of the file' "$(of victim-args crashes)" '^[12]'
holds 'the ledger adds up' ledger_holds
finish
