#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# The handler itself crashes, at a sample of its system calls in all of its programs: it is
# never its own next case, with core_pipe_limit 0 and with 64, and no count is lost that was
# made. (A real SIGSEGV from outside, so nothing in the programs is there for this test.)
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
inject=${INJECT:?the program that disturbs system calls}
kernel_setup
cp "$inject" "$base/inject" || die 'no inject'

points=6
[ "${COREFOLD_TEST_ALL:-no}" != yes ] || points=100

# The kernel starts this one. A chain of handlers would never end, so it ends at 20.
cat >"$base/h" <<END
#!/bin/sh
exec 1>>"$base/said" 2>&1
case \$(readlink "/proc/\${1#-P}/exe") in
"$base"/*) ;;
*) exec cat >/dev/null ;; # somebody else's crash
esac
echo >>"$base/started"
[ "\$(wc -l <"$base/started")" -lt 20 ] || exec cat >/dev/null
read -r n action <"$base/how"
exec "$base/inject" -o "$base/calls.\$\$" "\$n" "\$action" "$base/corefold" handle -C "$conf" "\$@"
END
chmod 0755 "$base/h"
set_pattern "|$base/h $specifiers"

# disturb N ACTION NAME: a crash whose handler is disturbed; how many handlers ran.
disturb() {
	echo "$1 $2" >"$base/how"
	: >"$base/started"
	rm -f "$base"/calls.*
	crash -n "$3" "$base/victim-abort" || failed "$3 does not die by its signal"
	settle
	for ((i = 0; i < 600; i++)); do # the tracer outlives the traced
		pgrep -f "^($base/inject|/bin/sh $base/h)" >/dev/null || break
		sleep 0.05
	done
	started=$(wc -l <"$base/started")
}

for limit in 0 64; do
	new_state
	echo "$limit" >/proc/sys/kernel/core_pipe_limit
	disturb 1 list undisturbed
	is "limit $limit: one handler for a crash" "$started" 1
	is "limit $limit: and it is kept" "$(kept undisturbed)" 1
	calls=$(cat "$base"/calls.* | wc -l)
	more=0 dumped=0 lost=0
	for ((point = 0; point < points; point++)); do
		n=$((1 + point * (calls - 1) / points))
		before=$(status .crashes)
		disturb "$n" crash "crashed$point"
		[ "$started" -eq 1 ] || more=$((more + 1))
		! grep -q dumped "$base"/calls.* || dumped=$((dumped + 1))
		after=$(status .crashes)
		[ "$after" -gt "$before" ] || lost=$((lost + 1))
		# From the first that was counted on all are: what comes later has been decided.
		[ "$after" -gt "$before" ] || [ "$lost" -eq $((point + 1)) ] ||
			failed "limit $limit: a crash at call $n is not counted"
	done
	echo "# limit $limit: the handler crashed at $points of $calls calls; $lost crashes not yet counted then"
	is "limit $limit: no handler for a handler" "$more" 0
	is "limit $limit: the kernel says that none dumped" "$dumped" 0
	holds "limit $limit: most are counted" test "$lost" -lt $((points / 2))
	holds "limit $limit: and the handler did crash" grep -q . "$base"/calls.*
	disturb 1 list after
	is "limit $limit: the next crash is handled" "$(of after crashes)" 1
	# A core whose record was not to come is litter to the first tick that finds it old.
	find "$state" -type f -exec touch -d '20 minutes ago' {} +
	cf tick >/dev/null
	holds "limit $limit: the ledger adds up" ledger_holds
	is "limit $limit: no temporary file is left" "$(litter)" ''
done
finish
