#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Many more crashes at once than there are processors, of 50 processes of five users: all are
# counted, one crash of somebody else is kept, memory and disk stay within their bounds. Then
# more than core_pipe_limit lets through: what had a handler is counted, and the kernel log
# gives a lower bound of the rest. 2,000 crashes, 100 at once, with COREFOLD_TEST_ALL=yes.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable

each=60 # crashes of each user
at_once=10
if [ "${COREFOLD_TEST_ALL:-no}" = yes ]; then
	each=400
	at_once=20
fi
all=$((each * 5))
mib=8
buffer_mib=4
captures=4

# flood PROGRAM...: users 30001 to 30005, each with ten names; prints how many were dumped.
flood() {
	local uid i names

	for uid in 30001 30002 30003 30004 30005; do
		names=()
		for i in 0 1 2 3 4 5 6 7 8 9; do names+=(-n "flood$uid-$i"); done
		crash -c -t "$each" -j "$at_once" -u "$uid" "${names[@]}" "$@" >"$base/dumped.$uid" &
		floods+=($!)
	done
}

dumped() { awk '{ n += $1 } END { print n + 0 }' "$base"/dumped.*; }

# ---- as many as come, and all within core_pipe_limit ----

new_state '[Throttle]' CrashLoopLimit=2 ReportEvery=5 NovelPerProcess=1 \
	'[Capture]' Kind=full MaxCaptures=$captures Buffer=${buffer_mib}M '[Store]' MaxCount=40
cf tick >/dev/null # the kernel log is read from here on
floods=()
exec {probe}> >("$base/victim-probe" "$base" >"$base/probe")
probe_pid=$!
start=$(date +%s%N)
flood "$base/victim-big" $mib
# Somebody else, when the storm is at its worst: once a third of it has been counted.
while [ "$(status .crashes 2>/dev/null || echo 0)" -lt $((all / 3)) ] &&
	kill -0 "${floods[0]}" 2>/dev/null; do
	sleep 0.05
done
crash -u 30099 -n innocent "$base/victim-abort"
wait "${floods[@]}"
took_ms=$((($(date +%s%N) - start) / 1000000))
settle
exec {probe}>&-
wait "$probe_pid"
{ read -r turns median p99 max; read -r kib; } <"$base/probe"
echo "# $all crashes of $mib MiB, $((at_once * 5)) at once: $took_ms ms; beside it $turns times a" \
	"process was started, delayed by $median ms (median), $p99 (p99), $max (most);" \
	"handlers had $((kib / 1024)) MiB of their own at most"
is 'every one was dumped to a handler' "$(dumped)" "$all"
is 'every one is counted' \
	"$(status '[.processes[] | select(.process | startswith("flood")).crashes] | add')" "$all"
is 'each process has its share' "$(status '[.processes[]
	| select(.process | startswith("flood")).crashes] | unique | map(tostring) | join(" ")')" \
	$((each / 10))
holds 'the ledger adds up' ledger_holds
cf tick >/dev/null
is 'unseen is what it was: nothing' "$(status .unseen)" 0
is 'somebody else is kept, and the storm has not pushed out the core' "$(cf list --json |
	jq -c '[.[] | select(.process == "innocent") | [.uid, .weight, .capture != "none"]]')" \
	'[[30099,1,true]]'
holds 'ids are unique' test "$(cf list --json | jq '[.[].id] | unique | length')" \
	= "$(cf list --json | jq length)"
is 'no temporary file is left' "$(litter)" ''
fails 'nothing waits in events' test -s "$state/events"
holds 'no lock is left' lock_is_free
cf prune >/dev/null
holds 'cores are no more than MaxCount' test "$(find "$state/cores" -name '*.core.gz' | wc -l)" -le 40
# Each that captures has its buffer and what threads need beside it, each of the others less
# than 3 MiB. Unbounded it would be as many times what the victims have.
holds "memory is bounded ($kib KiB)" test "$kib" -lt \
	$((captures * (buffer_mib + 24) * 1024 + at_once * 5 * 3 * 1024))

# ---- more than core_pipe_limit ----

# The kernel tells late how many lines it has left out. Once a line of ours stands in the log
# nothing of an earlier test is to come any more.
echo 1 >/proc/sys/kernel/core_pipe_limit
for ((i = 0; i < 60; i++)); do
	log_mark
	crash -t 4 -j 4 "$base/victim-big" $mib
	! dmesg | sed "1,/$log_mark/d" | grep -q 'over core_pipe_limit' || break
	sleep 0.5
done
settle
new_state '[Capture]' Kind=full
cf tick >/dev/null # the kernel log is read from here on
echo 2 >/proc/sys/kernel/core_pipe_limit
each=60
all=$((each * 5))
floods=()
flood "$base/victim-big" $mib
wait "${floods[@]}"
settle
seen=$(dumped)
echo "# core_pipe_limit 2: $seen of $all reached a handler"
is 'all that had a handler are counted' "$(status .crashes)" "$seen"
holds 'others had none' test "$seen" -lt "$all"
cf tick
unseen=$(status .unseen)
echo "# the kernel log tells of $unseen of the other $((all - seen))"
holds 'the log tells of some of them' test "$unseen" -gt 0
holds 'and of no more than there were' test "$unseen" -le $((all - seen))
matches 'status calls it a lower bound' "$(cf status)" "at least $unseen"
matches 'and so does the summary' "$(cf summary)" "At least $unseen"
holds 'the ledger adds up' ledger_holds
finish
