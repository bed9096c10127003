#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A bug that is new comes while another one is being kept.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
[ -x "${COREFOLD%/*}/corefold-unwind" ] || skip 'needs corefold-unwind'
kernel_setup
enable

# Whatever else crashes on this machine now comes to us, too.
list() { cf list --json --process=worker; }

keeper() {
	local exe
	exe=$(find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$base/corefold-keep" 2>/dev/null |
		head -n 1)
	exe=${exe#/proc/}
	echo "${exe%/exe}"
}

# The victim is gone and its handler, which has yet to store it, stands still. 1: it was too fast.
stop_after_release() {
	local victim handler='' i
	crash -n worker "$base/victim-big" 300 &
	victim=$!
	for ((i = 0; i < 2000 && ${#handler} == 0; i++)); do handler=$(keeper); done
	wait "$victim"
	stopped=$handler
	[ -n "$handler" ] && kill -STOP "$handler" 2>/dev/null && [ "$(of worker in_flight)" != 0 ]
}

# ---- in a loop ----

crash -t 29 -n worker "$base/victim-threads"
settle
folded=$(of worker pending)
crash -n worker "$base/victim-abort"
settle
is 'a loop that gains a new bug on its 30th crash: that one is kept' \
	"$(list | jq -c '.[-1] | [.decision, .weight]')" '["novel",1]'
is '... and what waited waits' "$(of worker pending)" "$folded"
crash -t 3 -n worker "$base/victim-abort"
settle
is 'the same once more is nothing new' "$(list | jq '[.[] | select(.decision == "novel")] | length')" 1
crash -t 10 -n worker "$base/victim-threads"
settle
cf info --json "$(list | jq -r '[.[] | select(.weight > 1)][-1].id')" >"$base/last"
is 'a kept one tells which bugs it stands for, and how many of each' \
	"$(jq -c '[(.weight == ([.stands_for[].count] | add)), ([.stands_for[] | select(.signature)] | length)]' "$base/last")" \
	'[true,2]'
holds 'the ledger adds up after that' ledger_holds

# ---- seen from afar they are alike ----

new_state
crash -t 29 -n worker "$base/victim-behind" request
settle
crash -n worker "$base/victim-behind" reply
settle
is 'a bug behind a buffer of the C library is new' \
	"$(list | jq -c '.[-1] | [.decision, .weight]')" '["novel",1]'

new_state
crash -t 12 -n worker "$base/victim-behind" null
settle
crash -n worker "$base/victim-behind" garbage
settle
is 'a jump to nowhere in a loop of calls of null is new' \
	"$(list | jq -c '.[-1] | [.decision, .weight]')" '["novel",1]'
crash -t 3 -n worker "$base/victim-behind" garbage
settle
is '... once' "$(list | jq '[.[] | select(.decision == "novel")] | length')" 1

# ---- one bug, captured in two ways ----

new_state
crash -t 5 -n worker "$base/victim-overflow"
settle
is 'a stack overflow: the first are captured in full, then the threads' \
	"$(list | jq -c '[.[].capture] | unique')" '["full","threads"]'
is '... and the signature is one' "$(list | jq '[.[].signature] | unique | length')" 1

# ---- while one is being kept ----

for ((try = 0; try < 5; try++)); do
	new_state '[Throttle]' CrashLoopLimit=1 ReportEvery=2
	crash -n worker "$base/victim-big" 1
	settle
	crash -n worker "$base/victim-big" 1
	settle
	stop_after_release && break
	kill -CONT "$stopped" 2>/dev/null
	settle
done
is 'one is being kept, and its victim is gone' "$(of worker in_flight pending)" '2 0'
crash -n worker "$base/victim-abort"
for ((i = 0; i < 300; i++)); do
	[ "$(list | jq length)" -lt 2 ] || break
	sleep 0.1
done
is 'the other bug is kept at once, as new' \
	"$(list | jq -c '[.[] | [.decision, .weight]]')" '[["keep",1],["novel",1]]'
kill -CONT "$stopped"
settle
is 'and then the first one is kept' "$(list | jq -c '[.[] | [.decision, .weight]] | sort')" \
	'[["keep",1],["keep",2],["novel",1]]'
holds 'the ledger adds up' ledger_holds
finish
