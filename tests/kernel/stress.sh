#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Large captures under stress: what goes on after the victim has gone does so at low priority
# and may be killed; so may the victim; 1,000 threads and 70,000 mappings; memory is bounded.
# COREFOLD_TEST_ALL=yes adds a machine without memory.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable
memory=$base/victim-memory
plain=('[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0')

# last FILTER: of the newest record of the victim; other programs may crash, too.
last() {
	cf list --json | jq -c "[.[] | select(.process == \"victim-memory\")][-1] | $1"
}

# The pid of a corefold-keep of ours that runs, if there is one.
keeper() {
	local pid
	for pid in $(pgrep -x corefold-keep); do
		[ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$base/corefold-keep" ] || continue
		echo "$pid"
		return
	done
	return 1
}
await_keeper() {
	local i
	for ((i = 0; i < 2000; i++)); do keeper && return; done
	return 1
}

# ---- after the victim has gone ----

# Every thread of it that works; the first one only waits for the others.
low_priority() {
	cat /proc/"$1"/task/*/stat 2>/dev/null |
		awk -v pid="$1" '$1 != pid { n++; if ($19 != 10) high++ } END { exit !(n > 0 && !high) }'
}
# Stopped when its victim is reaped: until then it does not write its core.
stopped_keeper() {
	local pid
	crash "$memory" threads "$1"
	pid=$(keeper) && kill -STOP "$pid" 2>/dev/null && echo "$pid"
}
# Left stopped when it is seen to work so; false when it has ended before.
is_low_priority() { # PID
	local i
	for ((i = 0; i < 200; i++)); do
		[ "$(cat "/proc/$1/oom_score_adj" 2>/dev/null)" = 800 ] && low_priority "$1" && return
		kill -CONT "$1" 2>/dev/null || break
		sleep 0.01
		kill -STOP "$1" 2>/dev/null
	done
	kill -CONT "$1" 2>/dev/null
	return 1
}
low=no
for mib in 200 400 800 1200; do # a fast machine has done before it is looked at
	settle
	new_state
	pid=$(stopped_keeper "$mib") && is_low_priority "$pid" && low=yes && break
done
is 'with the victim gone: low priority, first for the OOM killer' "$low" yes
if [ "$low" = yes ]; then
	if command -v ionice >/dev/null; then
		matches 'and for the disk' \
			"$(ionice -p "$(ls "/proc/$pid/task" | sort -n | tail -n 1)")" 'best-effort: prio 7'
	fi
	kill -KILL "$pid"
	settle
	is 'killed then: counted, its weight waits' \
		"$(of victim-memory crashes kept_weight pending in_flight)" '1 0 1 0'
	is 'nothing of it is left' "$(litter)$(kept victim-memory)" ''
	crash "$memory" small
	settle
	is 'and the next crash has it' "$(kept victim-memory)" 2
	holds 'the ledger adds up' ledger_holds
fi

# ---- the victim is killed while it is read ----

# It has read more than /proc has of anything else: some of the memory, but not most of it.
is_in_the_middle() { # PID OF-MIB
	local key bytes=0
	while read -r key bytes; do
		[ "$key" != rchar: ] || break
	done <"/proc/$1/io"
	[ "$bytes" -gt $((16 << 20)) ] && [ "$bytes" -lt $((($2 - 16) << 20)) ]
} 2>/dev/null
# Stopped there, with its victim still held; false when that came too late.
stopped_reader() { # VICTIM OF-MIB
	local pid
	pid=$(await_keeper) || return
	until is_in_the_middle "$pid" "$2"; do
		kill -0 "$pid" 2>/dev/null || return
	done
	kill -STOP "$pid" 2>/dev/null
	echo "$pid"
	is_in_the_middle "$pid" "$2" && grep -q 'CoreDumping:.*1' "/proc/$1/status"
}
# MaxHold would make less of it, and not what is looked for here.
for ((i = 0; i < 10; i++)); do
	new_state "${plain[@]}" 'Buffer=4M' 'MaxHold=1min'
	"$memory" threads 300 &
	victim=$!
	pid=$(stopped_reader "$victim" 300) && break
	kill -KILL "$victim" ${pid:+"$pid"} 2>/dev/null
	wait "$victim" 2>/dev/null
	pid=
	settle
done
if [ -n "$pid" ]; then
	kill -KILL "$victim"
	wait "$victim" 2>/dev/null
	kill -CONT "$pid"
	settle
	is 'a victim that is killed in the middle: the record says that it is not complete' \
		"$(last '[.capture, .complete]')" '["full",false]'
	is 'and why' "$(cf info --json victim-memory | jq -r .incomplete_reason)" \
		'the process was killed during the dump'
	holds 'what is stored of it is whole members' gzip -t "$state"/cores/*.core.gz
	is 'nothing is left behind' "$(litter)" ''
else
	failed 'no corefold-keep was seen while it reads'
fi

# ---- very many threads, very many mappings; what the handler needs ----

# The kernel asks nobody but the parent how much memory a process had: victim-peak is it.
peak_of() { # BUFFER-MIB COMMAND...: KiB
	local buffer=$1
	shift
	rm -f "$base/peak"
	new_state "${plain[@]}" "Buffer=${buffer}M" "${kind:-Kind=auto}"
	crash "$@"
	settle
	sort -n "$base/peak" | tail -n 1 # others may crash meanwhile, and are small
}
set_pattern "|$base/victim-peak handle -C $conf $specifiers"
bounded() { # CLAIM BUFFER-MIB COMMAND...
	local claim=$1 kib
	shift
	kib=$(peak_of "$@")
	holds "$claim: $kib KiB are less than Buffer and 32 MiB" \
		test "${kib:-999999999}" -le $((($1 + 32) * 1024))
}
bounded 'a heap larger than Buffer' 64 "$memory" threads 200
is 'which is captured whole' "$(last '[.capture, .complete]')" '["full",true]'
kind=Kind=threads bounded '1,000 threads' 16 "$memory" crowd 1000
is 'which are all there' \
	"$(last '[.capture, .complete]')$(cf info --json victim-memory | jq .thread_count)" \
	'["threads",true]1001'
bounded '1,000 threads in full' 16 "$memory" crowd 1000
is 'which are all there, too' \
	"$(last '[.capture, .complete]')$(cf info --json victim-memory | jq .thread_count)" \
	'["full",true]1001'
if [ "$(cat /proc/sys/vm/max_map_count)" -ge 150000 ] ||
	set_sysctl /proc/sys/vm/max_map_count 150000; then
	bounded '70,000 mappings' 64 "$memory" mappings 70000
	is 'which are a full core' "$(last '[.capture, .complete]')" '["full",true]'
	matches 'whose frames are found although the kernel lists no files' \
		"$(cf info --json victim-memory | jq -r '.threads[0].frames[].symbol')" '^stumble$'
else
	echo '# max_map_count cannot be raised here'
fi

# ---- at once ----

new_state "${plain[@]}" 'Buffer=64M' 'MaxCaptures=4'
rm -f "$base/peak"
"$memory" herd 256
settle
full=$(cf list --json | jq '[.[] | select(.capture == "full")] | length')
echo "# $full of 100 are full, the largest needed $(sort -n "$base/peak" | tail -n 1) KiB"
is '100 captures of 256 MB at once: none but the full ones had a buffer' \
	"$(awk '$1 > 32 * 1024' "$base/peak" | wc -l)" "$full"
is 'and no buffer was larger than Buffer' \
	"$(awk '$1 > (64 + 32) * 1024' "$base/peak" | wc -l)" 0
holds 'four at a time, not all of them' test "$full" -lt 100
is 'every one is counted and kept' "$(of victim-memory crashes kept_weight in_flight)" '100 100 0'
is 'those beyond MaxCaptures as threads' \
	"$(cf list --json | jq -c '[.[] | .capture] | unique')" '["full","threads"]'
holds 'the ledger adds up' ledger_holds
is 'nothing is left behind' "$(litter)" ''

if [ "${COREFOLD_TEST_ALL:-no}" = yes ]; then
	# What the machine has is what /proc/meminfo says.
	sed 's/^MemAvailable:.*/MemAvailable:   65536 kB/' /proc/meminfo >"$base/meminfo"
	if mount --bind "$base/meminfo" /proc/meminfo 2>/dev/null; then
		undo_by 'umount /proc/meminfo 2>/dev/null'
		kib=$(peak_of 256 "$memory" threads 100)
		umount /proc/meminfo
		holds "with 64 MiB available: $kib KiB, and not 256 MiB" test "$kib" -le 49152
		is 'and captured all the same' "$(last '[.capture, .complete]')" '["full",true]'
	else
		echo '# /proc/meminfo cannot be replaced here'
	fi
fi
finish
