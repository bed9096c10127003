#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Every command on a state of a plain user's own: what it does, and what it says when it
# cannot: exit status 0, 1 or 2, and one line.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"

uid=$(id -u)
"$VICTIMS/victim-mkcore" -n worker -u 4711 >"$base/core" || die 'cannot make a core'
"$VICTIMS/victim-mkcore" -n large -m 3 >"$base/large" || die 'cannot make a core'

# handle CORE [ARGUMENT...]: as the kernel would, for a process that is gone
handle() {
	local core=$1
	shift
	"$COREFOLD" handle -C "$conf" -P4194000 -I4194000 "-u$uid" "-g$uid" -s6 \
		"-t$(date +%s)" -c0 -d1 "$@" <"$core" 2>"$base/err"
}

# ---- nothing there yet ----

is 'list of nothing is an empty array' "$(cf list --json 2>"$base/err" | jq -c .)" '[]'
try 0 1 'list says so to people' list -C "$conf"
for command in info dump; do
	try 1 1 "$command of nothing" $command -C "$conf"
	matches "... and why" "$err" 'no crash has been recorded'
done
is 'status of nothing' "$(cf status --json | jq -c '[.crashes, .processes]')" '[0,[]]'
try 0 0 'summary of nothing' summary -C "$conf"
try 0 0 'tick of nothing' tick -C "$conf"

# ---- handle ----

# Before as much of the dump is there as is stored at once: its head is, all the same.
for limit in MaxHold=1ns MaxCoreSize=0; do
	new_state '[Capture]' "$limit" 'FullPerSignature=0'
	handle "$base/large"
	matches "$limit: notes, and why" \
		"$(cf info --json last | jq -r '[.capture, .capture_reason, .complete] | join("|")')" \
		"^(notes|threads)\\|${limit%=*} reached\\|true$"
done
new_state
handle "$base/core" -F3
is 'handle, with a pidfd that is none' $? 0
handle "$base/core" -F
is 'handle, with a bare -F' $? 0
handle "$base/core" -F ''
is 'handle, with an empty argument behind it' $? 2
handle "$base/large"
is 'handle, without -F' $? 0
is 'kept as what they are' "$(cf list --json | jq -c '[.[] | [.process, .signal, .capture, .complete, .source]] | unique')" \
	'[["large",6,"full",true,"pipe"],["worker",6,"full",true,"pipe"]]'
is 'the user is who the kernel says' "$(cf list --json | jq -c '[.[].uid] | unique')" "[$uid]"
cf dump last >"$base/dumped"
holds 'dump gives back every byte' cmp "$base/large" "$base/dumped"
cf dump last -o "$base/dumped"
holds 'dump -o, too' cmp "$base/large" "$base/dumped"
stored_id=$(cf list --json | jq -r '.[-1].id')
stored=$state/cores/$stored_id.core.gz
cp "$stored" "$base/whole.gz"
holds 'gzip takes the stored core' gzip -t "$stored"
size=$(stat -c %s "$base/whole.gz")
for at in 100 $((size / 2)) $((size - 4)); do
	cp "$base/whole.gz" "$stored"
	printf '\xa5' | dd of="$stored" bs=1 seek=$at conv=notrunc status=none
	try 1 1 "dump of a core with a byte changed at $at" dump -C "$conf" last -o "$base/x"
	matches '... and it is said' "$err" "^corefold dump: the stored core of $stored_id is damaged at byte (0|1048576|2097152|3145728): 'corefold debug $stored_id' shows"
done
head -c $((size - 10)) "$base/whole.gz" >"$stored"
try 1 1 'dump of a core whose end is missing' dump -C "$conf" last -o "$base/x"
matches '... and it is said' "$err" "the stored core of $stored_id is damaged at byte"
: >"$stored"
try 1 1 'dump of an empty stored core' dump -C "$conf" last -o "$base/x"
matches '... is no success' "$err" "the stored core of $stored_id is damaged at byte 0"
cp "$base/whole.gz" "$stored"
printf '\0' | dd of="$stored" bs=1 conv=notrunc status=none
rm -f "$base/x"
try 1 1 'dump of a stored core without its first byte' dump -C "$conf" last -o "$base/x"
matches '... and it is said' "$err" "the stored core of $stored_id is damaged at byte 0"
fails '... and nothing is written' test -e "$base/x"
cp "$base/whole.gz" "$stored"
for ((i = 0; i < 40; i++)); do handle "$base/core" -F; done
is 'a loop is folded' "$(cf list --json | jq -c '[.[] | select(.process == "worker").weight]')" \
	'[1,1,1,1,1,1,1,1,10,10,10]'
is 'and the ledger adds up' \
	"$(cf status --json | jq -c '[.crashes, .kept_weight, .pending, .in_flight, .evicted]')" \
	'[43,39,4,0,0]'
head -c 4096 /dev/urandom >"$base/garbage"
head -c 2000 "$base/large" >"$base/short"
: >"$base/empty"
why_not_whole() {
	cf info --json last | jq -r '[.capture, .complete, .incomplete_reason, .source] | join("|")'
}
head -c 40 "$base/large" >"$base/shorter"
head -c 600 "$base/large" >"$base/notes" # in the second note
while IFS=: read -r core why; do
	handle "$base/$core" -F
	is "handle $core" $? 0
	fails=$(grep -c Sanitizer "$base/err")
	is "... and no sanitizer has a word to say" "$fails" 0
	is '... its record says why it is not whole' "$(why_not_whole)" "$why"
	matches '... info, too' "$(cf info last)" "$(cut -d'|' -f3 <<<"$why")"
	matches '... and list marks it' "$(cf list last)" " ${why%%|*}! "
done <<-'EOF'
	garbage:full|false|not an ELF core|pipe
	short:full|false|the dump ended early|pipe
	shorter:full|false|the dump ended inside its headers|pipe
	notes:notes|false|the dump ended inside its headers|pipe
	empty:none|false|the dump ended before its first byte|none
EOF
is 'all of them are counted' "$(cf status --json | jq .crashes)" 48
matches 'and say what is wrong' "$(cf info --json last | jq -c .)" 'dump_error'

usage() { # CLAIM ARGUMENT...
	local claim=$1
	shift
	"$COREFOLD" handle -C "$conf" "$@" </dev/null 2>"$base/err"
	is "handle: $claim is refused" $? 2
	is "... in one line" "$(wc -l <"$base/err")" 1
}
usage 'no pid' -u0
usage 'pid 0' -P0
usage 'a pid that is no number' -Px
usage 'a pid too large' -P99999999999
usage 'a signal too large' -P1 -s256
usage 'a dump mode that is none' -P1 -d3
usage 'a word too many' -P1 -F word
usage 'an unknown option' -P1 -Z
is 'and none of it is counted' "$(cf status --json | jq .crashes)" 48

# ---- list, info ----

first=$(cf list --json | jq -r '.[0].id')
is 'list --json has its keys' "$(cf list --json | jq -c '.[0] | [has("id", "time", "pid", "tid",
	"uid", "process", "executable", "signal", "weight", "decision", "capture",
	"capture_reason", "source", "complete", "held_ms", "total_ms", "core_bytes",
	"stored_bytes", "signature")] | all')" true
is 'oldest first' "$(cf list --json | jq '[.[].id] == ([.[].id] | sort)')" true
try 0 0 'info of an id' info -C "$conf" "$first"
try 0 0 'info of last' info -C "$conf" last
is 'an id by what it begins with' "$(cf info --json "${first%?}" 2>/dev/null | jq -r .id || :)" \
	"$([ "$(cf list --json | jq -r '.[].id' | grep -c "^${first%?}")" = 1 ] && echo "$first")"
try 1 1 'an id that many begin with' info -C "$conf" 2
try 1 1 'an id that is not there' info -C "$conf" 19990101T000000-000001
try 1 1 'an id that is a path' info -C "$conf" ../throttle
try 1 1 'dump of an id that is not there' dump -C "$conf" nosuch
try 1 1 'dump into a directory that is not there' dump -C "$conf" last -o "$base/none/x"
for command in list info dump status summary tick report replay simulate enable disable; do
	try 0 0 "$command --help" $command --help
	try 2 1 "$command --nosuch" $command --nosuch
done
try 2 1 'no such command' nosuch
try 1 1 'enable needs root' enable -C "$conf"
try 1 1 'disable needs root' disable -C "$conf"

# ---- report, tick, summary ----

new_state
cf report watchdog --reason 'bitten' -s 9
is 'without a pid none is shown' "$(cf info last | grep -c '^ *PID:')" 0
is 'a full disk is said of an export, too' \
	"$(cf export -o /dev/full last 2>&1 | grep -c 'No space left')" 1
is 'a report is kept' "$(cf list --json | jq -c '[.[] | [.process, .weight, .capture, .signal]]')" \
	'[["watchdog",1,"none",9]]'
for ((i = 0; i < 20; i++)); do cf report watchdog; done
is 'and throttled' "$(cf status --json | jq -c '.processes[0] | [.crashes, .kept_weight, .pending]')" \
	'[21,18,3]'
cf report $'evil\e[2J\nname'
is 'and its name is made harmless' "$(cf list --json | jq -r '.[-1].process')" \
	'evil\x1b[2J\x0aname'
try 2 1 'a report of nobody' report -C "$conf"
try 2 1 'a report of an empty name' report -C "$conf" ''
try 2 1 'a report of a uid that is none' report -C "$conf" -u x watchdog
try 1 1 'dump of what has no core' dump -C "$conf" last
matches '... says where to look' "$err" 'has no core'
is 'summary counts the same' "$(cf summary --json | jq -c '[.. | .crashes? // empty] | max')" 22
try 0 0 'summary of a day' summary -C "$conf" --since yesterday --until now
try 2 1 'summary since nonsense' summary -C "$conf" --since whenever
try 2 1 'summary in no format' summary -C "$conf" --format tex
try 0 0 'summary into a file' summary -C "$conf" --output "$base/summary"
holds '... which has it' test -s "$base/summary"
try 1 1 'summary into nowhere' summary -C "$conf" --output "$base/none/summary"
is 'a full disk is said' "$(cf summary >/dev/full 2>&1; echo $?)" 1
is 'also by list' "$(cf list --json 2>&1 >/dev/full | wc -l)" 1
for words in summary 'summary --json' list 'list --json' 'status --json' 'list --help' --help --version; do
	read -ra run <<<"$words"
	[[ $words == --* ]] && run=("$COREFOLD" "${run[@]}") || run=(cf "${run[@]}")
	matches "$words >/dev/full says why" "$("${run[@]}" 2>&1 >/dev/full)" ': No space left on device$'
	matches "$words >&- says why" "$("${run[@]}" 2>&1 >&-)" ': Bad file descriptor$'
done

# Pending weight becomes a record when nobody comes to fetch it.
write_config '[Throttle]' 'PendingMax=1ms'
sleep 0.1
cf tick
is 'tick writes out what is overdue' \
	"$(cf status --json | jq -c '.processes[] | select(.process == "watchdog") | [.crashes, .kept_weight, .pending]')" \
	'[21,21,0]'
is '... as a folded record' \
	"$(cf list --json | jq -c '[.[] | select(.decision == "folded") | [.process, .weight, .capture]]')" \
	'[["watchdog",3,"none"]]'

# ---- in a time namespace, 115 days ahead ----

ahead() { unshare -U -c --time --monotonic 10000000 --fork "$@"; }
on_time() { cf status --json | jq .on_time_ms; }
if ahead true 2>/dev/null; then
	before=$(on_time)
	ahead "$COREFOLD" tick -C "$conf"
	is 'a tick in it takes the clock outside' $(($(on_time) - before < 86400000)) 1
	before=$(on_time)
	sleep 0.1
	is '... and on-time goes on' $(($(on_time) > before)) 1
fi

# ---- a lock that is held ----

if command -v flock >/dev/null; then
	flock "$state/throttle" sleep 5 &
	sleep 0.3
	try 1 1 'status does not wait for ever' status -C "$conf"
	handle "$base/core"
	is 'nor does handle' $? 0
	wait
	is 'and what came meanwhile is counted' "$(cf status --json | jq .crashes)" 23
	exec 9<"$state/throttle"
	flock 9
	now=$(date +%s)
	cf report held 9<&- 2>/dev/null
	exec 9<&-
	is 'a report that finds it locked has the time of the clock' \
		"$(cf list --json held | jq -c --argjson now "$now" '[.[].time >= $now]')" '[true]'
fi

# ---- records that somebody changed ----

id=$(cf list --json | jq -r '.[0].id')
record=$state/cores/$id.json
cp "$record" "$base/record"
jq '.process = "a\u001b[31mb\nc"' "$base/record" >"$record"
is 'no escape of a record reaches the terminal' \
	"$({ cf list; cf info "$id"; cf summary; } 2>&1 | tr -cd '\033' | wc -c)" 0
printf '{}\n' >"$record"
try 1 1 'what is no record is not shown' info "$id" -C "$conf"
holds 'nor is it in the JSON' test "$(cf list --json 2>/dev/null | jq '[.[] | select(.id == null)] | length')" = 0
cp "$base/record" "$record"

# ---- something else where our files should be ----

before=$(cf status --json | jq .crashes)
mv "$state/cores" "$base/cores" && touch "$state/cores"
handle "$base/core"
is 'a crash is counted with a file for cores' "$(cf status --json | jq .crashes)" $((before + 1))
holds 'and the file is set aside' test -f "$state/cores.bad"
rm "$state/counters" && mkfifo "$state/counters"
try 0 0 'a tick with a pipe for counters' tick -C "$conf"
holds 'the pipe is set aside' test -p "$state/counters.bad"
holds 'and counters are written' test -s "$state/counters"
is 'the ledger adds up' "$(cf status --json |
	jq '.crashes == .kept_weight + .pending + .in_flight + .evicted')" true

# ---- an old core ----

touch -d 2020-01-01 "$base/core"
try 0 1 'a core of long ago is imported, and said to be kept' replay --import "$base/core" -C "$conf"
is 'and stays' "$(cf list --json | jq '[.[] | select(.time < 1600000000)] | length')" 1

# ---- directories ----

chmod 0770 "$state"
try 1 1 'a directory that others may write to' status -C "$conf"
handle "$base/core"
is '... also for handle' $? 1
chmod 0700 "$state"
printf '[Store]\nDirectory=%s/none\n' "$base" >"$conf"
try 1 1 'a directory that is not there' status -C "$conf"
printf '[Store]\nDirectory=/\n' >"$conf"
try 1 1 "somebody else's directory" status -C "$conf"
finish
