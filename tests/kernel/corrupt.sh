#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever the throttle file becomes, it is set aside, its totals come back from counters
# and records, and the next crash is handled.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable

bytes=$(crash -n size "$base/victim-abort"; settle; stat -c %s "$state/throttle")
throttle=$state/throttle

# A state with a past: three programs, one of them in a loop with folds pending.
with_past() {
	new_state
	crash -t 21 -n loop "$base/victim-abort"
	crash -t 3 -n some "$base/victim-abort"
	crash -n one "$base/victim-abort"
	settle
	log_mark
}
past='loop 21 18 3, one 1 1 0, some 3 3 0'
# Of ours: any other program of the machine may crash meanwhile.
accounts() {
	cf status --json 2>/dev/null | jq -r '[.processes | sort_by(.process)[]
		| select(.process | IN("loop", "one", "some"))
		| "\(.process) \(.crashes) \(.kept_weight) \(.pending)"] | join(", ")'
}

# rebuilt CLAIM: a crash finds the damage; all counts are back, and it is counted, too.
rebuilt() {
	crash -n one "$base/victim-abort"
	settle
	is "$1: every count is back" "$(accounts)" 'loop 21 18 3, one 2 2 0, some 3 3 0'
	holds "$1: the ledger adds up" ledger_holds
	holds "$1: the file is set aside" test -e "$throttle.bad"
	matches "$1: it is said" "$(log_text)" 'throttle file was damaged'
	crash -n one "$base/victim-abort"
	settle
	is "$1: the next crash is handled" "$(of one crashes kept_weight)" '3 3'
	is "$1: ids stay unique" "$(cf list --json | jq '[.[].id] | (unique | length) == length')" true
}
# unharmed CLAIM: nothing is lost, whether it was repaired or rebuilt.
unharmed() {
	crash -n one "$base/victim-abort"
	settle
	is "$1: every count is there" "$(accounts)" 'loop 21 18 3, one 2 2 0, some 3 3 0'
	holds "$1: the ledger adds up" ledger_holds
	cf tick || failed "$1: tick"
	is "$1: and still after a tick" "$(accounts)" 'loop 21 18 3, one 2 2 0, some 3 3 0'
	holds "$1: the ledger adds up after it" ledger_holds
}
# random FROM BYTES, zeros FROM BYTES: into the throttle file.
random() { head -c "$2" /dev/urandom | dd of="$throttle" bs=1 seek="$1" conv=notrunc status=none; }
zeros() { head -c "$2" /dev/zero | dd of="$throttle" bs=1 seek="$1" conv=notrunc status=none; }

with_past
is 'the past is what it is meant to be' "$(accounts)" "$past"

with_past; truncate -s $((bytes / 2)) "$throttle"; rebuilt 'cut in half'
with_past; truncate -s 0 "$throttle"; rebuilt 'empty'
with_past; truncate -s $((bytes + 1)) "$throttle"; rebuilt 'one byte longer'
with_past; zeros 0 "$bytes"; rebuilt 'all zeros'
with_past; random 0 "$bytes"; rebuilt 'all random'
with_past; rm "$throttle"; mkfifo "$throttle"; rebuilt 'a FIFO'
with_past; rm "$throttle"; mkdir "$throttle"; rebuilt 'a directory'
with_past; rm "$throttle"; ln -s /etc/passwd "$throttle"; rebuilt 'a link'
is 'where the link led nothing was written' "$(find /etc/passwd -newer "$conf")" ''
with_past; ln "$throttle" "$base/second-name"; rebuilt 'two names'
rm -f "$base/second-name"
with_past; chmod 0666 "$throttle"; rebuilt 'writable by others'
with_past; chown 0:0 "$throttle"; rebuilt "root's"
with_past; rm "$throttle"
crash -n one "$base/victim-abort"
settle
is 'missing: the crash is handled' "$(of one crashes)" "$(of one kept_weight)"
holds 'missing: the ledger adds up' ledger_holds

# Parts of it. The last change is in the journal, which mends what it covers.
with_past; random 0 200; unharmed 'header random'
with_past; zeros 0 4096; unharmed 'header zeros'
with_past; random 4096 $((1024 * 32)); unharmed 'places random'
with_past; zeros 4096 $((1024 * 32)); unharmed 'places zeros'
for at in 10 30 50 70 90; do
	with_past; random $((bytes * at / 100)) 20000; unharmed "random at $at %"
	with_past; zeros $((bytes * at / 100)) 20000; unharmed "zeros at $at %"
done
seed=${COREFOLD_TEST_SEED:-$RANDOM}
echo "# seed $seed (COREFOLD_TEST_SEED)"
RANDOM=$seed
for ((i = 0; i < 8; i++)); do
	at=$(((RANDOM * 32768 + RANDOM) % bytes))
	with_past; random "$at" 64; unharmed "64 random bytes at $at"
done

# In-flight entries of handlers that are gone, then damaged.
with_past
"$base/victim-killer" "$base/corefold" 100000 "$base/victim-big" 300 >"$base/out"
is 'a capturing handler is killed' "$(cat "$base/out")" killed
settle
for ((i = 0; i < 12; i++)); do
	random $((36864 + i * 1500)) 40 # behind the places
done
crash -n one "$base/victim-abort"
settle
is 'in-flight entries random: the crash is handled' "$(of one crashes)" 2
cf tick >/dev/null 2>&1
is 'what had been in flight is in flight, and nothing else is off' \
	"$(status '"\(.crashes) \(.kept_weight) \(.pending) \(.in_flight) \(.evicted)"')" '27 23 3 1 0'

# Many keeps under way while the file is damaged: none is counted twice, none is lost.
for ((round = 0; round < 5; round++)); do
	with_past
	crash -t 48 -j 12 -n many1 -n many2 -n many3 -n many4 -n many5 -n many6 \
		"$base/victim-abort" &
	storm=$!
	sleep "0.0$((RANDOM % 10))"
	random 0 200000
	wait "$storm"
	settle
	is "damage in a storm, round $round: all are counted" \
		"$(cf status --json | jq '[.processes[] | select(.process | startswith("many")).crashes]
			| add')" 48
	holds "damage in a storm, round $round: the ledger adds up" ledger_holds
done

# A bad file after a bad file, of every kind.
with_past
mkdir "$throttle.bad"
touch "$throttle.bad/something"
truncate -s 100 "$throttle"
crash -n one "$base/victim-abort"
settle
is 'throttle.bad is a full directory: handled' "$(accounts)" 'loop 21 18 3, one 2 2 0, some 3 3 0'
with_past
truncate -s 0 "$throttle.bad"
rm "$throttle"
mkdir "$throttle"
crash -n one "$base/victim-abort"
settle
is 'throttle is a directory, throttle.bad a file: handled' "$(accounts)" \
	'loop 21 18 3, one 2 2 0, some 3 3 0'

# Throttling goes on after a rebuild: the windows are lost, the weights are not.
with_past
truncate -s 0 "$throttle"
crash -t 9 -n loop "$base/victim-abort"
settle
is 'after a rebuild the first keep carries what was pending' \
	"$(kept loop)" '1 1 1 1 1 1 1 1 10 4 1 1 1 1 1 1 1'
holds 'and the ledger adds up' ledger_holds

# ---- the counters ----

with_past
printf '{"time":17953,"crashes":99' >>"$state/counters"
crash -n one "$base/victim-abort"
settle
truncate -s 0 "$throttle"
crash -n one "$base/victim-abort"
settle
is 'a torn line counts for nothing' "$(accounts)" 'loop 21 18 3, one 3 3 0, some 3 3 0'
holds 'and the ledger adds up' ledger_holds
with_past
head -c 300 /dev/urandom >>"$state/counters"
crash -n one "$base/victim-abort"
settle
truncate -s 0 "$throttle"
is 'nor does garbage' "$(accounts)" 'loop 21 18 3, one 2 2 0, some 3 3 0'
with_past
rm "$state/counters"
truncate -s 0 "$throttle"
is 'without counters the records tell' "$(accounts)" 'loop 18 18 0, one 1 1 0, some 3 3 0'
holds 'and the ledger adds up' ledger_holds
with_past
rm "$state/counters" && mkdir "$state/counters"
crash -n one "$base/victim-abort"
settle
is 'counters is a directory: the crash is handled' "$(of one crashes kept_weight)" '2 2'
matches 'and it is said' "$(log_text)" 'cannot append to counters'
with_past
rm "$state/counters" && ln -s /etc/passwd "$state/counters"
crash -n one "$base/victim-abort"
settle
is 'counters is a link: the crash is handled' "$(of one crashes kept_weight)" '2 2'
is 'and where it leads nothing was written' "$(find /etc/passwd -newer "$conf")" ''
with_past
rm -f "$state/events" && mkfifo "$state/events" && chown "$owner" "$state/events"
crash -n one "$base/victim-abort"
settle
is 'events is a FIFO: the crash is handled' "$(of one crashes)" 2
finish
