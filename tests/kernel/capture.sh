#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# The memory of the held process is what the kernel would have dumped of it, and parts of it
# are enough for a debugger. TWICE: the program that captures one process in every way.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh"
kernel_setup
TWICE=${TWICE:?the program that captures twice}
cp "$TWICE" "$base/twice"
memory=$base/victim-memory

same_memory() { "$base/twice" compare "$1" "$2" >/dev/null; }

# ---- address by address ----

# What this machine may not have; without it the kind is left out, and said to be.
add_swap() {
	local free
	command -v mkswap >/dev/null && command -v swapon >/dev/null || return 1
	free=$(awk '/^SwapFree/ { print $2 }' /proc/meminfo)
	[ "$free" -lt 65536 ] || return 0
	dd if=/dev/zero of="$base/swap" bs=1M count=64 status=none && chmod 0600 "$base/swap" &&
		mkswap "$base/swap" >/dev/null && swapon "$base/swap" 2>/dev/null || return 1
	undo_by "swapoff $base/swap"
}
add_huge_pages() {
	[ -e /proc/sys/vm/nr_hugepages ] && set_sysctl /proc/sys/vm/nr_hugepages 4 &&
		[ "$(cat /proc/sys/vm/nr_hugepages)" -ge 4 ]
}
kinds=(small threads shared sysv private huge protected dontdump read_only many behind_the_end)
for filter in 0 1 2 4 8 10 33 7f; do kinds+=("files 0x$filter"); done
if add_swap; then kinds+=(swapped); else echo '# no swap can be had here'; fi
if add_huge_pages; then kinds+=(hugetlb); else echo '# no huge pages can be had here'; fi
if [ -e /proc/sys/vm/unprivileged_userfaultfd ]; then
	kinds+=(userfault 'userfault 1' 'userfault 2')
else
	echo '# no userfaultfd here'
fi
for kind in "${kinds[@]}"; do
	# shellcheck disable=SC2086 # an argument may follow
	holds "$kind: is captured in every way" in_every_way "$memory" $kind
	if [ "$kind" = swapped ]; then
		swapped=$(sed -n 's/^VmSwap:[[:space:]]*\([0-9]*\) kB/\1/p' "$ways/status")
		holds 'swapped: and pages were swapped out' test "${swapped:-0}" -gt 1024
	fi
	holds "$kind: what memory gave is what the pipe gave" \
		same_memory "$ways/mem.gz" "$ways/pipe.gz"
	holds "$kind: and all of it" same_memory "$ways/pipe.gz" "$ways/mem.gz"
	for file in "$ways"/*.gz; do
		holds "$kind: gzip takes ${file##*/}" gzip -t "$file"
	done
	case $kind in
	small | shared | sysv | protected | hugetlb | files*)
		holds "$kind: without large holes the bytes are the kernel's" \
			cmp -s <(zcat "$ways/mem.gz") <(zcat "$ways/pipe.gz")
		;;
	esac
done

# ---- what a debugger says ----

if command -v gdb >/dev/null; then
	say() {
		local core=$1
		shift
		gdb -nx -batch "$@" "${program:-$memory}" "$core" 2>&1 |
			grep -v -e '^warning: ' -e '^\[New LWP' -e '^$'
	}
	for kind in threads alternate; do
		in_every_way "$memory" "$kind"
		for file in threads pipe; do zcat "$ways/$file.gz" >"$base/$file.core"; done
		say "$base/pipe.core" -ex 'thread apply all bt 12' -ex 'info sharedlibrary' \
			>"$base/pipe.txt"
		say "$base/threads.core" -ex 'thread apply all bt 12' -ex 'info sharedlibrary' \
			>"$base/threads.txt"
		holds "$kind: gdb says the same of the threads" \
			diff "$base/pipe.txt" "$base/threads.txt"
		matches "$kind: and there is something to say" "$(cat "$base/threads.txt")" 'stumble'
		text=$(say "$base/threads.core" -ex 'frame function stumble' -ex 'p *list' \
			-ex 'p *list->next' -ex 'p heap[123456]')
		matches "$kind: what the frame points to is there" "$text" 'name = "first'
		matches "$kind: and what that points to" "$text" 'name = "second'
		matches "$kind: what is missing is not zero" "$text" 'Cannot access memory'
	done
	for program in "$base/victim-data" "$base/victim-data-static"; do
		name=${program##*/}
		in_every_way "$program"
		for file in threads pipe; do
			zcat "$ways/$file.gz" >"$base/$file.core"
			say "$base/$file.core" -ex bt -ex 'thread apply all p mine' >"$base/$file.txt"
		done
		holds "$name: gdb says the same of its threads" diff "$base/pipe.txt" "$base/threads.txt"
		matches "$name: a variable that was changed" \
			"$(say "$base/pipe.core" -ex 'p table[30000]')" '= 4711$'
		matches "$name: is not what it was in the file where it is left out" \
			"$(say "$base/threads.core" -ex 'p table[30000]')" 'Cannot access memory'
		matches "$name: and who called the large frame" "$(cat "$base/threads.txt")" ' main \('
	done
	unset program
else
	echo '# no gdb here'
fi

# ---- the handler ----

enable
new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0'
crash "$memory" sixteen_tebibytes
settle
is 'sixteen tebibytes with one page are a full core' \
	"$(cf list --json | jq -c '.[-1] | [.capture, .source, .complete, .stored_bytes < 200000]')" \
	'["full","mem",true,true]'

new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0' 'Kind=threads'
crash "$memory" threads 300
settle
is 'nine threads and 300 MB are less than 100 KB' \
	"$(cf list --json | jq -c '.[-1] | [.capture, .source, .complete, .stored_bytes < 100000]')" \
	'["threads","mem",true,true]'

new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0' 'Kind=notes'
crash "$memory" threads
settle
is 'notes are notes' "$(cf list --json | jq -c '.[-1] | [.capture, .source, .complete]')" \
	'["notes","pipe",true]'

new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=2'
for ((i = 0; i < 4; i++)); do crash "$memory" small && settle; done
is 'the first two of a kind are full' \
	"$(cf list --json | jq -c '[.[].capture]')" '["full","full","threads","threads"]'
rm "$state/cores/$(cf list --json | jq -r '.[0].id').core.gz"
crash "$memory" small
settle
is 'one whose core was removed does not count' "$(cf list --json | jq -r '.[-1].capture')" full

new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=1'
for ((i = 0; i < 2; i++)); do crash "$base/victim-data" && settle; done
is 'a frame larger than ThreadStack: full or not, one signature' \
	"$(cf list --json | jq -c '[[.[].capture], ([.[].signature] | unique | length)]')" \
	'[["full","threads"],1]'

new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0' 'MaxCoreSize=64M'
crash "$memory" threads 300
settle
is 'larger than MaxCoreSize: the threads' \
	"$(cf list --json | jq -c '.[-1] | [.capture, .capture_reason]')" \
	'["threads","larger than MaxCoreSize"]'

new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0' 'MaxHold=1ms' 'Buffer=4M'
crash "$memory" threads 300
settle
is 'longer than MaxHold: the threads, whole' \
	"$(cf list --json | jq -c '.[-1] | [.capture, .complete]')" '["threads",true]'

# ---- more than 65,534 segments ----

limit=$(cat /proc/sys/vm/max_map_count)
if [ "$limit" -lt 150000 ] && echo 150000 >/proc/sys/vm/max_map_count 2>/dev/null; then
	in_every_way "$memory" mappings 70000
	same=$?
	echo "$limit" >/proc/sys/vm/max_map_count
	is '70,000 mappings are captured in every way' "$same" 0
	holds 'and are the same' same_memory "$ways/pipe.gz" "$ways/mem.gz"
	holds 'and byte for byte' cmp -s <(zcat "$ways/mem.gz") <(zcat "$ways/pipe.gz")
	is 'and the tools see them' \
		"$(zcat "$ways/mem.gz" >"$base/x" && readelf -hW "$base/x" 2>/dev/null |
			sed -n 's/.*program headers:.*(\([0-9]*\)).*/\1/p' |
			awk '{ print ($1 > 70000) }')" 1
else
	echo '# max_map_count cannot be raised here'
fi

# ---- killed while it is dumped ----

enable
new_state '[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0' 'Buffer=4M'
"$memory" threads 600 &
victim=$!
for ((i = 0; i < 400; i++)); do
	grep -q 'CoreDumping:.*1' "/proc/$victim/status" 2>/dev/null && break
	sleep 0.01
done
sleep 0.05
kill -KILL "$victim"
wait "$victim" 2>/dev/null
settle
is 'a victim that is killed is recorded' "$(cf list --json | jq 'length')" 1
row=$(cf list --json | jq -c '.[0] | [.capture, .complete]')
matches 'and the record says what it has' "$row" 'true|false'
for file in "$state"/cores/*.core.gz; do
	[ ! -e "$file" ] || holds 'what is stored of it is whole members' gzip -t "$file"
done
holds 'the ledger adds up' ledger_holds
is 'nothing is left behind' "$(litter)" ''
finish
