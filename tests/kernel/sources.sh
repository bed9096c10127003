#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Where /proc cannot be had the dump goes by once, in the kernel's pipe: what is captured of
# it then. And what is left when the disk fills up, from either source.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
memory=$base/victim-memory
plain=('[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0')

# A pid that is nobody's: nothing of /proc is believed. Its name comes from the dump.
from_pipe() { set_pattern "|$base/corefold handle -C $conf ${specifiers/-P%P/-P4194000}"; }
from_memory() { set_pattern "|$base/corefold handle -C $conf $specifiers"; }

# last FILTER: of the newest record of the victim; other programs may crash, too.
last() {
	cf list --json | jq -c "[.[] | select(.process == \"victim-memory\")][-1] | $1"
}
id_of_last() { last .id | tr -d '"'; }
crash_memory() {
	crash "$memory" "$@"
	settle
}

# ---- the memory of a process whose first thread has ended ----

from_memory
new_state "${plain[@]}"
(exec "$base/victim-threads" alone) 2>/dev/null 9>&-
settle
is 'the first thread has ended: the one that crashed leads to the memory' \
	"$(cf info --json last | jq -c '[.process, .identity, .source, .complete, .pid != .tid]')" \
	'["victim-threads","verified","mem",true,true]'
is 'and to what was executed' "$(cf list -F executable last)" "$base/victim-threads"
matches 'and to a name for where it was' "$(cf list -F signature last)" '^fall\+'

# ---- threads from the pipe ----

from_pipe
new_state "${plain[@]}" 'Kind=threads'
crash_memory threads 100
is 'nine threads and 100 MB through the pipe: threads, less than 100 KB' \
	"$(last '[.capture, .source, .complete, .stored_bytes < 100000]')" \
	'["threads","pipe",true,true]'
if command -v gdb >/dev/null; then
	cf dump "$(id_of_last)" -o "$base/threads.core"
	say() {
		gdb -nx -batch "$@" "$memory" "$base/threads.core" 2>&1 | grep -v '^warning: '
	}
	text=$(say -ex 'thread apply all bt 12' -ex 'info sharedlibrary')
	is 'gdb finds all threads' "$(grep -c '^Thread ' <<<"$text")" 9
	is 'and where each of them was' "$(grep -cE 'in (wait_here|main) ' <<<"$text")" 9
	matches 'and lists the libraries' "$text" 'libc\.so'
	text=$(say -ex 'frame function stumble' -ex 'p *list' -ex 'p *list->next' \
		-ex 'p heap[99000000]')
	matches 'what the frame points to is there' "$text" 'name = "first'
	matches 'and what that points to' "$text" 'name = "second'
	matches 'what is missing is not zero' "$text" 'Cannot access memory'
fi

# ---- limits that show only while it goes by ----

new_state "${plain[@]}" 'MaxCoreSize=16M'
crash_memory threads 100
is 'larger than MaxCoreSize: the rest goes by for the threads' \
	"$(last '[.capture, .capture_reason, .source, .complete, .stored_bytes < 100000]')" \
	'["threads","MaxCoreSize reached","pipe",true,true]'
crash_memory many
is 'zeros do not count' "$(last '[.capture, .complete, .core_bytes > 128000000]')" \
	'["full",true,true]'

# ---- a disk that fills up ----

if mkdir "$base/small" && mount -t tmpfs -o size=20m,mode=0755 none "$base/small" 2>/dev/null; then
	for source in mem pipe; do
		case $source in mem) from_memory ;; pipe) from_pipe ;; esac
		state=$base/small/state
		rm -rf "$state"
		mkdir -m 0700 "$state"
		chown "$owner:$owner" "$state"
		write_config "${plain[@]}"
		# Half of it would fit, so it is tried; but it cannot be compressed.
		crash_memory noise 28
		is "$source: the threads of a core that turns out not to fit" \
			"$(last '[.capture, .source, .complete]')" "[\"threads\",\"$source\",true]"
		matches "$source: and the record says why" "$(last .capture_reason)" \
			'disk full|KeepFree'
		is "$source: nothing is left behind" "$(litter)" ''
		rm -rf "$state"
	done
	umount "$base/small"
else
	echo '# no tmpfs can be mounted here: no full disk'
fi
finish
