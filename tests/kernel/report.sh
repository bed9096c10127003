#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A user without any access to the state reports: the kernel says who it is.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
need setpriv
enable

# stranger UID COMMAND...: without any right to the state
stranger() {
	local id=$1
	shift
	setpriv --reuid="$id" --regid="$id" --clear-groups --no-new-privs "$@"
}
report() { # UID ARGUMENT...
	local id=$1
	shift
	stranger "$id" "$base/corefold" report -C "$conf" "$@" 2>"$base/err"
}
stranger 30001 "$base/corefold" --version >/dev/null 2>&1 || skip "uid 30001 cannot run $COREFOLD"
stranger 30001 test -r "$conf" || chmod 0644 "$conf"

# records N: that many are there. report comes back when the handler has let its child go.
records() {
	local i
	for ((i = 0; i < 300; i++)); do
		[ "$(cf list --json 2>/dev/null | jq length)" != "$1" ] || return 0
		sleep 0.1
	done
}

report 30001 watchdog --reason 'no answer for 30 s' -s 9 -p 4711
is 'a report without rights' $? 0
is '... without a word' "$(cat "$base/err")" ''
records 1
is 'is a record of the user who called' \
	"$(cf info --json last | jq -c '[.process, .uid, .signal, .pid, .capture, .capture_reason, .reported, .weight]')" \
	'["watchdog",30001,9,4711,"none","reported","no answer for 30 s",1]'
is '... which says nothing of the messenger' \
	"$(cf info --json last | jq -c '[.argv, .executable, .comm, .threads]')" \
	'[null,"",null,null]'
report 30001 'a/b c: d' --reason $'line\nbreak'
records 2
cf report 'a/b c: d' --uid 30002
is 'root reports for others' $? 0
is 'a name is what it is from root' "$(cf list --json | jq -r '.[-2:] | map(.process) | unique | length')" 1
is 'what is no text is escaped' "$(cf info --json "$(cf list --json | jq -r '.[1].id')" | jq -r .reported)" 'line\x0abreak'
for ((i = 0; i < 19; i++)); do report 30001 watchdog; done
settle
is 'it is throttled and weighed as any crash' "$(of watchdog crashes folded kept_weight pending)" '20 11 18 2'
holds 'the ledger adds up' ledger_holds
is 'who it was is proven for each' "$(for id in $(cf list --json watchdog | jq -r '.[].id'); do
	cf info --json "$id" | jq -r '.identity + " " + (.identity_reason // "")'; done | sort -u | xargs)" verified

report 30001 watchdog -u 0
is 'for another user: refused' $? 1
matches '... and why' "$(cat "$base/err")" 'only root may report for another user'
(ulimit -c 0 && report 30001 limited)
is 'RLIMIT_CORE 0 does not matter' $? 0

# The words alone do nothing: the program must be corefold's own.
crash -u 30001 -n fake "$base/victim-abort" --corefold-report 9 1 reason
settle
is 'another program with the same words is a crash' \
	"$(cf info --json last | jq -c '[.process, .capture, has("reported")]')" '["fake","full",false]'
# A command of ours that crashes for real is a crash like any other.
mkfifo "$base/fifo" && chmod 0666 "$base/fifo"
setpriv --reuid=30001 --regid=30001 --clear-groups "$base/corefold" simulate "$base/fifo" &
ours=$!
exec 7>"$base/fifo" # it has begun to read
kill -SEGV $ours
wait $ours 2>/dev/null
exec 7>&-
settle
is 'our own program crashing is no report' \
	"$(cf info --json last | jq -c '[.process, .signal, .capture, has("reported")]')" '["corefold",11,"full",false]'

set_pattern core
report 30001 nobody
is 'core_pattern is not ours: refused' $? 1
matches '... and what to do' "$(cat "$base/err")" "core_pattern is not corefold's.*corefold enable"
finish
