#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What one user does, or whoever holds the lock for ever, costs the others nothing: no
# count, no pending weight, no core.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable
chmod 0755 "$base"/victim-*

of_quiet() {
	cf status --json | jq -r '.processes[] | select(.uid == 30002 and .process == "quiet")
		| [.crashes, .kept_weight, .pending] | join(" ")'
}
# Of our two users; others' programs crash as well on a busy machine.
events() { awk '$3 == 30001 || $3 == 30002' "$state/events" 2>/dev/null | wc -l; }
records_of() { cat "$state"/cores/*.json | jq -r --arg u "$1" 'select(.uid == ($u | tonumber)).id' | wc -l; }

# ---- a lock that is held for ever ----

crash -u 30002 -n quiet "$base/victim-abort"
settle
setpriv --reuid="$owner" --regid="$owner" --clear-groups \
	flock -x "$state/throttle" sleep infinity &
holder=$!
while flock -n "$state/throttle" true; do sleep 0.1; done
log_mark
started=$SECONDS
crash -t 20 -u 30001 -n loop "$base/victim-abort"
crash -u 30002 -n quiet "$base/victim-abort"
settle
# Two seconds for each would be 42, and as much again to say that it was kept.
holds 'only the first waits for long' test $((SECONDS - started)) -lt 40
is 'every crash stands in the events' "$(events)" 21
is 'a loop is seen there, too' "$(records_of 30001)" 8
is 'the others are kept' "$(records_of 30002)" 2
matches 'and it is said' "$(log_text)" 'counted in events: the state was locked'
fails 'a command gives up' cf tick 2>"$base/err"
matches 'and says what to do' "$(cat "$base/err")" 'is locked by another process'
pkill -KILL -P "$holder"
kill -KILL "$holder"
wait "$holder" 2>/dev/null
cf tick
is 'then every one is counted' "$(of loop crashes kept_weight pending)" '20 8 12'
is 'of the others, too' "$(of_quiet)" '2 2 0'
holds 'the ledger adds up' ledger_holds
is 'the events are empty' "$(events)" 0
crash -u 30001 -n loop "$base/victim-abort"
settle
is 'the next that is kept stands for what was folded' "$(of loop crashes kept_weight pending)" '21 21 0'

# ---- more names than there are places ----

new_state '[Capture]' 'Kind=none'
crash -t 12 -u 30002 -n quiet "$base/victim-abort"
settle
before=$(of_quiet)
names=1500 # there are 1024 places
[ "${COREFOLD_TEST_ALL:-no}" = no ] || names=10000
crash -t $names -j 8 -u 30001 -N made-up- "$base/victim-abort"
settle
is 'all names were counted' "$(status '.crashes >= '$((names + 12)))" true
is 'the other user has lost nothing' "$(of_quiet)" "$before"
is 'the state is full' "$(status '.processes | length')" 1024
holds 'the ledger adds up' ledger_holds


# ---- more cores than may stay ----

new_state '[Store]' 'MaxCount=20'
crash -u 30002 -n quiet "$base/victim-abort"
crash -t 40 -j 4 -u 30001 -N made-up- "$base/victim-abort"
settle
cf tick
is 'the number of cores is bounded' \
	"$(find "$state/cores" -name '*.core.gz' | wc -l | awk '{ print ($1 <= 20) }')" 1
is 'the only core of the other user stays' \
	"$(cf list --json | jq -r '.[] | select(.uid == 30002).capture')" full
holds 'the ledger adds up' ledger_holds
finish
