#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Following crashes as they come, and ending well.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$base"' EXIT

uid=$(id -u)
for name in first looper other; do
	"$VICTIMS/victim-mkcore" -n $name -u "$uid" >"$base/$name" || die 'cannot make a core'
done
handle() { # CORE TIMES
	for ((i = 0; i < ${2:-1}; i++)); do
		"$COREFOLD" handle -C "$conf" -P4194000 -I4194000 "-u$uid" "-g$uid" -s6 \
			"-t$(date +%s)" -c0 -d1 -F <"$base/$1" 2>/dev/null
	done
}
# until_lines FILE N: it has that many; a generous limit, for it has never failed to come
until_lines() {
	for ((i = 0; i < 600; i++)); do
		[ "$(wc -l <"$1")" -lt "$2" ] || return 0
		sleep 0.1
	done
	return 1
}
write_config '[Throttle]' 'AgeOut=1h'
handle first

# The first line says that it watches: what comes from now on is not missed.
env --default-signal=INT,TERM "$COREFOLD" watch -C "$conf" --json -n 1 >"$base/all" 2>"$base/err" &
all=$!
"$COREFOLD" watch -C "$conf" -n 1 -p first >"$base/text" 2>&1 &
text=$!
"$COREFOLD" watch -C "$conf" --json -n 1 first looper >"$base/some" 2>&1 &
some=$!
mkfifo "$base/fifo"
"$COREFOLD" watch -C "$conf" -n 1 >"$base/fifo" 2>"$base/err2" &
closed=$!
exec 5<"$base/fifo"
read -r -t 60 line <&5
matches 'one that begins with the newest' "$line" "keep   .* first \(pid 4194000, uid $uid\) signal 6, weight 1, full"
for file in all text some; do until_lines "$base/$file" 1 || die "$file: does not begin"; done
exec 5<&-
wait $closed
is 'nobody reads any more: it ends, with nothing to write' $? 0
is '... without a word' "$(cat "$base/err2")" ''

handle looper 12
handle other
write_config '[Throttle]' 'AgeOut=1ns'
cf tick 2>/dev/null
holds 'all is told' until_lines "$base/all" 16
is 'each kept crash, once' "$(jq -r 'select(.event == "kept").process' "$base/all" | uniq -c | xargs)" '1 first 8 looper 1 other'
is 'as list has it' "$(jq -c 'select(.event == "kept") | del(.event)' "$base/all")" "$(cf list --json | jq -c '.[]')"
is 'each fold is counted' "$(jq -s '[.[] | select(.event == "folded").count] | add' "$base/all")" 4
is '... what is pending in the end' "$(jq -s '[.[] | select(.event == "folded").pending] | max' "$base/all")" 4
is 'the loop begins and ends' "$(jq -r 'select(.event | startswith("loop")) | "\(.event) \(.uid) \(.process)"' "$base/all" | xargs)" \
	"loop-start $uid looper loop-end $uid looper"
holds 'some is told' until_lines "$base/some" 15
is 'of the chosen only' "$(jq -r .process "$base/some" | sort -u | xargs)" 'first looper'
is 'by process only' "$(wc -l <"$base/text")" 1
kill -INT $all
wait $all
is 'interrupted, it ends well' $? 0
is '... without a word' "$(cat "$base/err")" ''
kill -TERM $some $text
wait $some
is 'told to end, too' $? 0
wait $text

# A counters file that is rolled up: what was told is not told again.
env --default-signal=INT,TERM "$COREFOLD" watch -C "$conf" --json -n 1 >"$base/roll" 2>&1 &
roll=$!
until_lines "$base/roll" 1 || die 'does not begin'
cp "$state/counters" "$base/copy"
cp "$base/copy" "$state/.copy" && mv "$state/.copy" "$state/counters"
write_config '[Throttle]' 'AgeOut=1h'
handle looper 3
until_lines "$base/roll" 3
is 'a new counters file repeats nothing' \
	"$(jq -s '[.[] | select(.event == "folded").count] | add' "$base/roll")" "$(cf status --json | jq '.folded - 4')"
rm -rf "$state"
wait $roll
is 'the state is gone: that is a failure' $? 1
finish
