#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# The pid of a victim is given to another process before the handler looks at /proc/PID.
# Nothing of that other process may be in the record: who may read a core must never be
# decided by a stranger's facts.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable
chmod 0755 "$base"/victim-*
echo 0 >/proc/sys/kernel/core_pipe_limit # nobody waits for the handler

# A handler that comes late: as a busy machine would have it. Each waits for a file.
mkdir -m 0777 "$base/go"
cat >"$base/late" <<EOS
#!/bin/sh
exec 1>/dev/null 2>&1
pid=\$(echo " \$*" | /bin/sed 's/.* -P\([0-9]*\) .*/\1/')
n=1
while [ -e $base/go/\$pid.\$n.here ]; do n=\$((n + 1)); done
: >$base/go/\$pid.\$n.here
while [ ! -e $base/go/\$pid.\$n ]; do
	/bin/sleep 0.05
	[ -d $base ] || exit 1 # the test was killed
done
exec $base/corefold "\$@"
EOS
chmod 0755 "$base/late"

await() {
	local i
	for ((i = 0; i < 600; i++)); do
		"$@" && return 0
		sleep 0.1
	done
	die "waited for a minute: $*"
}
no_late() { ! pgrep -f "$base/late" >/dev/null; }
dumping() { grep -q '^CoreDumping:.*1' "/proc/$1/status" 2>/dev/null; }

# A victim whose whole core fits into the pipe: it is gone before anybody has looked.
small_victim() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	setpriv --reuid=30001 --regid=30001 --clear-groups \
		sh -c 'echo 0 >/proc/self/coredump_filter; exec "$@"' sh \
		"$base/victim-abort" of-the-victim 2>/dev/null &
	victim=$!
	wait "$victim" 2>/dev/null
	await test -e "$base/go/$victim.1.here"
}
# impostor PROGRAM ARGUMENT...: has the victim's pid from now on.
impostor() {
	"$base/victim-recycle" "$victim" 30001 "$@" &
	impostor_job=$!
	await grep -qz "of-the-impostor" "/proc/$victim/cmdline"
}
let_go() { : >"$base/go/$victim.$1"; }

record() { cf info --json "$(cf list --json | jq -r --arg p "$victim" '.[] | select(.pid == ($p | tonumber)).id' | head -n 1)"; }
# nothing_of_the_impostor CLAIM REASON: of the record of the victim; the reason tells which
# of the proofs has failed, where the next one would have told as well.
nothing_of_the_impostor() {
	record >"$base/record"
	is "$1: unverified" "$(jq -r .identity "$base/record")" unverified
	is "$1: the name is of the dump" "$(jq -r .process "$base/record")" victim-abort
	is "$1: captured from the pipe only" "$(jq -r '.source | . == "pipe" or . == "none"' "$base/record")" true
	fails "$1: nothing of the impostor" grep -q 'impostor\|sleep' "$base/record"
	is "$1: nothing of its /proc entry" \
		"$(jq -c '[.argv, .cgroup, .unit] | map(select(. != null))' "$base/record")" '[]'
	is "$1: and it says why" "$(jq -r .identity_reason "$base/record")" "$2"
}
with_pattern() {
	rm -rf "$base/go"/*
	new_state
	set_pattern "|$base/late handle -C$conf -P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d$1"
}

stranger() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	impostor /bin/sh -c 'while :; do sleep 1; done' of-the-impostor
}
stop_stranger() {
	pkill -KILL -P "$victim"
	kill -KILL "$victim"
	wait "$impostor_job" 2>/dev/null
}

# stranger_in_place CLAIM REASON: one that lives and does not crash
stranger_in_place() {
	small_victim
	stranger
	let_go 1
	await no_late
	settle
	stop_stranger
	nothing_of_the_impostor "$1" "$2"
}

# ---- the kernel's pidfd tells ----

with_pattern ' -F%F'
stranger_in_place 'by the pidfd' "the kernel's pidfd names another process"

# ---- without a pidfd: the process does not dump ----

with_pattern ''
stranger_in_place 'not dumping' '/proc/PID is not dumping core'

# ---- the new process dumps core, too ----

# dumping_impostor CLAIM REASON
dumping_impostor() {
	small_victim
	impostor "$base/victim-abort" of-the-impostor
	await test -e "$base/go/$victim.2.here"
	holds "$1: the impostor is dumping" dumping "$victim"
	let_go 1
	for ((i = 0; i < 600 && $(cf list --json 2>/dev/null | jq length) < 1; i++)); do sleep 0.1; done
	nothing_of_the_impostor "$1" "$2"
	let_go 2
	await no_late
	settle
	wait "$impostor_job" 2>/dev/null
	is "$1: both are counted" "$(of victim-abort crashes kept_weight)" '2 2'
	matches "$1: and the impostor has its own record" \
		"$(cf info --json last | jq -c '[.identity, .argv]')" 'verified.*of-the-impostor'
	holds "$1: the ledger adds up" ledger_holds
}
with_pattern ''
dumping_impostor 'dumping, too' 'the dump is not of the process that /proc/PID shows'
with_pattern ' -F%F'
dumping_impostor 'dumping, too, by the pidfd' "the kernel's pidfd names another process"

# ---- nobody has the pid ----

with_pattern ' -F%F'
small_victim
let_go 1
await no_late
settle
is 'gone: unverified' "$(record | jq -r .identity)" unverified
is 'gone: the name is of the dump' "$(record | jq -r .process)" victim-abort
is 'gone: the dump is kept' "$(record | jq -r .source)" pipe
finish
