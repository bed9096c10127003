#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory and files of a file system that does not answer: whoever asks it sleeps until it
# does, and cannot be killed. Every crash is counted and has its record all the same, root
# never waits, and a crash beside it is kept as ever.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
new_state '[Capture]' 'MaxHold=1s' 'MaxCaptures=16'
mknod "$base/fuse" c 10 229 || skip 'no device can be made here'
chmod 0666 "$base/fuse"
chmod 0755 "$base"/victim-*
: <"$base/fuse" 2>/dev/null || skip 'the kernel has no FUSE here'
setpriv --reuid=30001 --regid=30001 --clear-groups unshare -Ur true 2>/dev/null ||
	skip 'users cannot make user namespaces here'
enable

records() { find "$state/cores" -name '*.json' 2>/dev/null | wc -l; }
running() { # UID...: handlers that run as one of them
	local exe uid
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe" 2>/dev/null) in
		"$base"/corefold*) ;;
		*) continue ;;
		esac
		uid=$(awk '/^Uid:/ { print $3 }' "${exe%/exe}/status" 2>/dev/null)
		[ "$uid" = "$1" ] && echo "${exe%/exe}"
	done
}

# A mount as any user can make it, and as fusermount makes it for users.
for mode in open data; do
	setpriv --reuid=30001 --regid=30001 --clear-groups \
		"$base/victim-fuse" "$base/fuse" $mode >>"$base/servers" &
done
for mode in data stack header argv; do
	"$base/victim-fuse" "$base/fuse" $mode 30002 >>"$base/servers" &
done
for ((i = 0; i < 600 && $(records) < 6; i++)); do sleep 0.1; done
is 'every crash has its record' "$(records)" 6
is 'no process of root waits' "$(running 0)" ''
is 'the servers still do not answer' \
	"$(xargs -r ps -o pid= -p <"$base/servers" | wc -l)" "$(wc -l <"$base/servers")"
crash -n innocent "$base/victim-abort"
for ((i = 0; i < 600 && $(records) < 7; i++)); do sleep 0.1; done
is 'a crash beside them is kept in full' \
	"$(cf list --json | jq -c '.[] | select(.process == "innocent") | [.capture, .complete]')" \
	'["full",true]'

xargs -r kill -KILL <"$base/servers"
settle
is 'all are counted' "$(status '"\(.crashes) \(.kept_weight) \(.in_flight)"')" '7 7 0'
holds 'the ledger adds up' ledger_holds
is 'nothing is left behind' "$(litter)" ''
of_mode() { # MODE FILTER
	cf list --json | jq -r '.[] | select(.process == "victim-fuse").id' | while read -r id; do
		cf info --json "$id" | jq -r --arg mode "$1" "select(.argv[2] == \$mode) | $2"
	done
}
is 'a file that cannot be opened costs nothing' "$(of_mode open '"\(.capture) \(.complete)"')" \
	'full true'
matches 'and the frames are there' "$(of_mode open '.threads[0].frames | length')" '^[1-9]'
is 'memory that does not answer leaves the threads' \
	"$(of_mode data 'select(.uid == 30002).capture')" threads
matches 'and it is said' "$(of_mode data 'select(.uid == 30002).capture_reason')" 'could not be read in time'
matches 'and the frames are there' \
	"$(of_mode data 'select(.uid == 30002).threads[0].frames | length')" '^[1-9]'
is 'a stack that does not answer leaves the notes' "$(of_mode stack .capture)" notes
is 'a header that does not answer leaves a record' \
	"$(of_mode header '.capture | test("notes|threads|none")')" true

# ---- one user's captures that do not end, and another user's large one ----

new_state '[Capture]' 'MaxHold=60s' 'MaxCaptures=2' 'Buffer=8M'
rm "$base/servers"
for ((i = 0; i < 4; i++)); do
	"$base/victim-fuse" "$base/fuse" stack 30002 >>"$base/servers" &
done
for ((i = 0; i < 600; i++)); do
	[ "$(status .in_flight 2>/dev/null)" != 4 ] || break
	sleep 0.1
done
is 'four captures of one user wait' "$(status .in_flight)" 4
crash -u 30003 -n another "$base/victim-memory" threads 64
for ((i = 0; i < 600 && $(records) < 1; i++)); do sleep 0.1; done
is 'another user has the place that is left: a large core in full' \
	"$(cf list --json | jq -c '.[] | select(.process == "another") | [.capture, .complete]')" \
	'["full",true]'
xargs -r kill -KILL <"$base/servers"
settle
is 'three of the four had to step down' \
	"$(cf list --json | jq -r '.[] | select(.uid == 30002).id' | while read -r id; do
		cf info --json "$id" | jq -r .capture_reason
	done | grep -c 'share of MaxCaptures')" 3
is 'all are counted' "$(status '"\(.crashes) \(.kept_weight) \(.in_flight)"')" '5 5 0'
holds 'the ledger adds up' ledger_holds

# ---- an address space that nobody can look into ----

new_state
rm "$base/servers"
"$base/victim-fuse" "$base/fuse" lock 30002 >>"$base/servers" &
for ((i = 0; i < 100; i++)); do
	[ -z "$(running 0)" ] || break
	sleep 0.1
done
sleep 1
matches 'root waits for its lock' "$(running 0)" '^/proc/'
for ((i = 0; i < 60; i++)); do
	[ -n "$(running 0)" ] || break
	sleep 1
done
is '... but not for ever' "$(running 0)" ''
xargs -r kill -KILL <"$base/servers"
crash -n innocent "$base/victim-abort"
settle
is 'a crash after it is kept' "$(kept innocent)" 1
holds 'the ledger adds up' ledger_holds
finish
