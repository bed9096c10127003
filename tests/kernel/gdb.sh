#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A kept core is as good as the kernel's own: the same bytes, the same backtrace.
# TWICE: the program that compares cores.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable

# ---- the bytes ----

# With a pid that is nobody's the dump has to come through the pipe.
set_pattern "|$base/victim-tee handle -C $conf ${specifiers/-P%P/-P4194000}"
for victim in "victim-abort" "victim-threads" "victim-big 24"; do
	rm -f "$base/dump"
	# shellcheck disable=SC2086 # an argument may follow
	crash "$base/"$victim
	for ((i = 0; i < 100; i++)); do
		pgrep -x victim-tee >/dev/null || break
		sleep 0.1
	done
	settle
	cf dump last -o "$base/dumped" || failed "dump of $victim"
	if [ "$victim" = victim-threads ]; then
		# Untouched stacks are not stored: the same memory, not the same bytes.
		holds "$victim: dump has the memory the kernel wrote" \
			"$TWICE" compare "$base/dump" "$base/dumped"
		holds "$victim: and no other" "$TWICE" compare "$base/dumped" "$base/dump"
		continue
	fi
	holds "$victim: dump is what the kernel wrote" cmp "$base/dump" "$base/dumped"
	is "$victim: the record has its size" "$(cf list --json | jq '.[-1].core_bytes')" \
		"$(stat -c %s "$base/dump")"
	zcat "$state/cores/$(cf list --json | jq -r '.[-1].id').core.gz" >"$base/unzipped"
	holds "$victim: and so is what zcat makes of it" cmp "$base/dump" "$base/unzipped"
	cf dump >"$base/dumped"
	holds "$victim: and dump to a pipe" cmp "$base/dump" "$base/dumped"
done
is 'all came through the pipe, and whole' \
	"$(cf list --json | jq -c '[.[] | [.capture, .complete, .source]] | unique')" \
	'[["full",true,"pipe"]]'

# ---- the backtrace ----

if command -v gdb >/dev/null && command -v setarch >/dev/null; then
	# The kernel puts the threads that did not crash in no particular order.
	backtrace() {
		gdb -nx -batch -ex 'thread apply all backtrace' -ex 'info registers rip' \
			"$base/victim-threads" "$1" 2>/dev/null |
			grep -v '^warning: Unexpected size of section' |
			sed -E 's/LWP [0-9]+/LWP N/g; s/^Thread [0-9]+ /Thread /' |
			awk 'BEGIN { RS = ""; ORS = "\n\n" } { gsub("\n", "\r") } 1' | sort |
			tr '\r' '\n'
	}
	cf enable >/dev/null
	setarch -R "$base/victim-crasher" "$base/victim-threads"
	settle
	cf dump last -o "$base/ours"
	mkdir -m 0777 "$base/saved"
	set_pattern "$base/saved/core"
	setarch -R "$base/victim-crasher" "$base/victim-threads"
	cp "$base"/saved/core* "$base/theirs"
	backtrace "$base/ours" >"$base/ours.txt"
	backtrace "$base/theirs" >"$base/theirs.txt"
	is 'gdb sees four threads' "$(grep -c '^Thread .*LWP N' "$base/ours.txt")" 4
	for frame in fall stumble main wait_in reader writer timer; do
		holds "gdb sees $frame()" grep -q " $frame (" "$base/ours.txt"
	done
	holds 'gdb says the same of both cores' diff "$base/ours.txt" "$base/theirs.txt"
else
	echo '# no gdb here: backtraces are not compared'
fi
finish
