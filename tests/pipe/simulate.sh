#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# The vectors of both algorithms through `corefold simulate`, and traces it must refuse.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"

# ---- the throttle ----

# times SECONDS COUNT...: that many crashes at each of these seconds
times() {
	local i
	while [ $# -gt 0 ]; do
		for ((i = 0; i < $2; i++)); do echo "$1 crash p"; done
		shift 2
	done
}
# every GAP COUNT
every() {
	local i
	for ((i = 0; i < $2; i++)); do echo "$((i * $1)) crash p"; done
}
# decisions: "K1 K1 F" of what simulate says
decisions() { jq -r 'if .decision == "fold" then "F" else "K\(.weight)" end' | xargs; }
repeat() { local i; for ((i = 0; i < $2; i++)); do printf '%s ' "$1"; done; }

# vector CLAIM WANTED OPTION... (trace on stdin)
vector() {
	local claim=$1 wanted=$2
	shift 2
	cat >"$base/trace"
	is "$claim" "$("$COREFOLD" simulate "$@" "$base/trace" | decisions)" "$(xargs <<<"$wanted")"
}
eight='K1 K1 K1 K1 K1 K1 K1 K1'
nine_f=$(repeat F 9)

times 0 1 | vector '0' 'K1'
times 0 9 | vector '0 x9' "$eight F"
times 0 9 480 1 | vector '0 x9, 480' "$eight F K2"
times 0 9 479 1 480 1 | vector '0 x9, 479, 480' "$eight F F K3"
times 0 8 479 1 480 1 | vector '0 x8, 479, 480' "$eight F K2"
times 0 18 | vector '0 x18' "$eight $nine_f K10"
times 0 40 | vector '0 x40' "$eight $(repeat "$nine_f K10" 3) F F"
times 0 9 0.25 1 | vector '0 x9, then +250 ms, age-out 200 ms' "$eight F K2" --age-out 200ms
every 60 20 | vector 'every 60 s, 20 times' "$(repeat K1 20)"
every 59 40 | vector 'every 59 s, 40 times' "$eight $(repeat "$nine_f K10" 3) F F"
times 0 17 259200 1 | vector '0 x17, three days later' "$eight $nine_f K10"
{ echo '0 crash p'; for _ in 1 2 3 4 5 6 7 8; do echo '0.000000050 crash p'; done; } |
	vector 'window [0, 50 ns x8]' "$eight F"
{
	echo '0 crash p'
	for _ in 1 2 3 4 5 6 7; do echo '0.000000050 crash p'; done
	echo '480 crash p'
} | vector 'window [0, 50 ns x7], asked at the age-out' "$eight K1"
times 0 20 | vector 'no throttle' "$(repeat K1 20)" --no-throttle
times 0 6 | vector 'limit 2, every 3' 'K1 K1 F F K3 F' --limit 2 --every 3
times 0 4 | vector 'every 1 is no throttle' 'K1 K1 K1 K1' --limit 1 --every 1
{
	times 0 10
	for _ in 1 2 3; do echo '0 crash p uid=7'; done
	echo '0 crash q'
} | vector 'users and programs do not throttle each other' "$eight F F K1 K1 K1 K1"
{
	for _ in 1 2 3 4 5 6 7 8 9; do echo '0 crash p signature=a'; done
	echo '0 crash p signature=b'
	echo '0 crash p signature=b'
} >"$base/trace"
is 'a new signature in a loop is novel, with weight 1' \
	"$("$COREFOLD" simulate "$base/trace" | tail -n 3 | jq -rc '[.decision, .weight]' | xargs)" \
	'[fold,null] [novel,1] [fold,null]'

# ---- the hours ----

# hours CLAIM WANTED OPTION... (trace on stdin): "op,cf op,cf" of the ticks
hours() {
	local claim=$1 wanted=$2
	shift 2
	cat >"$base/trace"
	is "$claim" "$("$COREFOLD" simulate "$@" "$base/trace" |
		jq -r 'select(.event == "tick") | "\(.operational_hours),\(.crashfree_hours)"' |
		xargs)" "$wanted"
}
minute() { # MINUTE EVENT, ...: in minutes
	while [ $# -gt 0 ]; do
		case $2 in
		u) echo "$(($1 * 60)) tick" ;;
		*) echo "$(($1 * 60)) crash $2" ;;
		esac
		shift 2
	done
}
minute 120 u | hours '+120 u' '2,2'
minute 60 x 120 u | hours 'interval 60 s: +60, crash, +60 u (settled first: all of it)' \
	'120,120' --interval 60s
minute 30 u 60 u | hours '+30 u, +30 u' '0,0 1,1'
minute 30 u 30 x 60 u 90 u 120 u | hours '+30 u, crash, +30 u, +30 u, +30 u' '0,0 1,0 0,1 1,0'
minute 180 u | hours '+180 u' '3,3'
minute 170 x 180 u | hours '+170 crash, +10 u (settled first: 2, not 0)' '3,2'
minute 10 x 180 u | hours '+10 crash, +170 u' '3,2'
minute 0 memfaultd 0 memfaultd 0 memfaultd 0 collectd 60 u | hours '4 crashes at 0, +60 u' '1,1'
is '... of which it tells' "$("$COREFOLD" simulate "$base/trace" | tail -n 1 | jq .crashes)" 4
echo '10 tick' | hours 'interval 10 s, 10 s' '1,1' --interval 10s
echo '25 tick' | hours 'interval 10 s, 25 s' '2,2' --interval 10s
printf '25 tick\n30 tick\n' | hours 'and the rest is not lost' '2,2 1,1' --interval 10s
echo '0 tick' | hours 'no time at all' '0,0'
for ((i = 1; i <= 1000; i++)); do echo "$((i * 61 * 60)) crash x"; done >"$base/trace"
echo '3660000 tick' >>"$base/trace"
slots=$("$COREFOLD" simulate "$base/trace" | tail -n 1)
is 'a crash every 61 minutes flatters the rolling hours' \
	"$(jq '[.operational_hours, .crashfree_hours] | tostring' <<<"$slots")" '"[1016,1000]"'
holds 'but not the slots' test "$(jq .crashfree_slots <<<"$slots")" -le 17

# ---- the form of the answer ----

printf '# a comment\n\n0 crash p # another\n  1.500\tcrash q uid=3\n3600 tick\n' >"$base/trace"
is 'one JSON object an event, as promised' "$("$COREFOLD" simulate "$base/trace")" \
'{"t":0,"event":"crash","process":"p","decision":"keep","weight":1}
{"t":1.5,"event":"crash","process":"q","decision":"keep","weight":1}
{"t":3600,"event":"tick","operational_hours":1,"crashfree_hours":0,"crashfree_slots":0,"crashes":2}'
is 'standard input is a trace, too' "$(echo '0 crash p' | "$COREFOLD" simulate - | wc -l)" 1
is 'an empty trace is one' "$("$COREFOLD" simulate /dev/null; echo $?)" 0
printf '0 crash p' >"$base/trace"
is 'a last line without its end is a line' "$("$COREFOLD" simulate "$base/trace" | wc -l)" 1
# shellcheck disable=SC1003 # a backslash is meant
printf '0 crash a\\b"c\n' >"$base/trace"
holds 'any name is JSON' jq -e . <("$COREFOLD" simulate "$base/trace") >/dev/null
for ((i = 0; i < 3000; i++)); do echo "$i crash p$i"; done >"$base/trace"
is 'more programs than the state has room for' "$("$COREFOLD" simulate "$base/trace" | grep -c keep)" 3000

# ---- what is refused ----

# bad LINE CLAIM: behind a good line
bad() {
	printf '0 crash p\n%b\n' "$1" >"$base/bad.trace"
	try 1 1 "refused: $2" simulate "$base/bad.trace"
	matches "... and where" "$err" "^corefold simulate: $base/bad.trace:2: ."
	is '... with what came before it' "$(wc -l <"$base/out")" 1
}
bad 'x crash p' 'no time'
bad '-1 crash p' 'a time before the beginning'
bad '1' 'no event'
bad '1 boom p' 'an unknown event'
bad '1 crash' 'no process'
bad '1 crash p pid=3' 'an unknown attribute'
bad '1 crash p uid=' 'an empty uid'
bad '1 crash p uid=-1' 'a negative uid'
bad '1 crash p uid=4294967296' 'a uid too large'
bad '1 crash p signature=' 'an empty signature'
bad '1 tick now' 'something behind tick'
bad '1.0000000001 tick' 'more than nanoseconds'
bad '99999999999999999999 tick' 'a time too large'
bad '1e3 tick' 'an exponent'
bad '1. tick' 'a point without decimals'
bad '1 crash p\0q' 'a NUL byte'
printf '5 crash p\n4 crash p\n' >"$base/bad.trace"
try 1 1 'refused: time runs backwards' simulate "$base/bad.trace"
matches '... and where' "$err" ':2: time runs backwards'
try 1 1 'refused: a file that is not there' simulate "$base/none"
try 1 1 'refused: a directory' simulate "$base"
printf '[Throttle]\nCrashLoopLimit=2\n' >"$base/limits.conf"
yes '0 crash p' | head -n 5 >"$base/five.trace"
is 'the limits of -C' "$("$COREFOLD" simulate "$base/five.trace" -C "$base/limits.conf" | grep -c fold)" 3
is 'options stand above them' \
	"$("$COREFOLD" simulate --limit 4 "$base/five.trace" -C "$base/limits.conf" | grep -c fold)" 1
try 1 1 'refused: limits that are not there' simulate "$base/five.trace" -C "$base/none"
try 2 1 'usage: no trace' simulate
try 2 1 'usage: two traces' simulate /dev/null /dev/null
try 2 1 'usage: a limit that is no number' simulate --limit many /dev/null
try 2 1 'usage: a limit larger than the ring' simulate --limit 64 /dev/null
try 2 1 'usage: every 0' simulate --every 0 /dev/null
try 2 1 'usage: an age-out without number' simulate --age-out min /dev/null
try 2 1 'usage: interval 0' simulate --interval 0 /dev/null
try 2 1 'usage: an unknown option' simulate --limits 3 /dev/null
# ---- slow loops ----

seq -f '%.0f crash app' 0 7000 105000 >"$base/slow"
decisions() { "$COREFOLD" simulate "$@" "$base/slow" | jq -r .decision | uniq -c | xargs; }
is 'a crash every 7000 s is no loop' "$(decisions)" '16 keep'
is 'with a second window it is' "$(decisions --slow-limit=12)" '12 keep 4 fold'
is '... if that is long enough' "$(decisions --slow-limit=12 --slow-window=12h)" '16 keep'
write_config '[Throttle]' 'SlowLoopLimit=3' 'ReportEvery=5'
is '... by the configuration' "$(decisions -C "$conf")" '3 keep 4 fold 1 keep 4 fold 1 keep 3 fold'
finish
