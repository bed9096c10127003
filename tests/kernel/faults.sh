#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong around a crash costs no count: killed handlers, a full disk, a lock held
# for ever, directories that cannot be used, a process that is gone.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable

# ---- the handler is killed ----

# While it captures: counted, and its weight waits for the next crash.
"$base/victim-killer" "$base/corefold" 150000 "$base/victim-big" 300 >"$base/out"
is 'a capturing handler is killed' "$(cat "$base/out")" killed
settle
is 'its crash is counted and pending' "$(of victim-big crashes kept_weight pending in_flight)" \
	'1 0 1 0'
is 'nothing of it is stored' "$(cf list --json | jq length)" 0
holds 'no lock is left' lock_is_free
crash "$base/victim-big" 1
settle
is 'the next crash carries both' "$(kept victim-big)" 2
holds 'the ledger adds up' ledger_holds
is 'no temporary file is left' "$(litter)" ''

# At any moment: what was counted stays counted, and no weight is kept twice.
killed=0
for ((i = 0; i < 120; i++)); do
	"$base/victim-killer" "$base/corefold" $((i * 37 % 1500)) "$base/victim-abort" >"$base/out"
	[ "$(cat "$base/out")" != killed ] || killed=$((killed + 1))
	if [ $((i % 20)) -eq 19 ]; then
		settle
		ledger_holds || failed "the ledger is off after $i kills"
	fi
done
settle
echo "# $killed of 120 handlers were killed"
holds 'enough were killed to mean something' test "$killed" -gt 5
holds 'the ledger adds up after many kills' ledger_holds
holds 'most crashes were counted' test "$(of victim-abort crashes)" -ge $((120 - killed))
holds 'no lock is left by many kills' lock_is_free
before=$(of victim-abort crashes)
crash "$base/victim-abort"
settle
is 'the next crash is handled' "$(of victim-abort crashes)" $((before + 1))
cf tick || failed 'tick after kills'
is 'the throttle file was never damaged' "$(ls "$state/throttle.bad" 2>/dev/null)" ''

# ---- the disk is full ----

if mkdir "$base/small" && mount -t tmpfs -o size=16m,mode=0755 none "$base/small" 2>/dev/null; then
	state=$base/small/state
	mkdir -m 0700 "$state"
	chown "$owner:$owner" "$state"
	write_config
	crash "$base/victim-big" 48
	settle
	is 'a core that cannot fit: the crash is kept with less' \
		"$(cf list --json | jq -c '[.[] | [.weight, .capture]]')" '[[1,"threads"]]'
	matches 'and the record says why' "$(cf list --json | jq -r '.[0].capture_reason')" \
		'free space'
	# Each of these fits, but not all of them.
	crash -t 3 -j 3 -n together "$base/victim-big" 8
	settle
	is 'cores that do not fit together: all are counted' "$(of together crashes in_flight)" '3 0'
	less=$(cf list --json | jq -r '.[] | select(.process == "together")
		| select(.capture != "full" or (.complete | not)).id')
	holds 'not all of them whole' test -n "$less"
	for id in $less; do
		matches 'and the record says why' \
			"$(cf info --json "$id" | jq -c '[.capture_reason, .incomplete_reason]')" 'space|room|KeepFree|disk full'
	done
	holds 'the ledger adds up' ledger_holds
	is 'no temporary file is left by a full disk' "$(litter)" ''
	# Another program takes the room while a core is being written into it.
	write_config '[Capture]' Kind=full Buffer=1M
	used() { df --output=used "$base/small" | tail -n 1; }
	# take_room NAME LEFT: $how is PENDING/why there is less, of crash $name; KiB are left
	take_room() {
		local i crasher before
		for ((i = 0; i < 10; i++)); do # until it was not too late
			rm -f "$state"/cores/*.core.gz
			before=$(used)
			name=$1$i
			crash -n "$name" "$base/victim-big" 12 &
			crasher=$!
			until [ "$(used)" -gt $((before + 1024)) ] || ! kill -0 "$crasher" 2>/dev/null; do :; done
			dd if=/dev/zero of="$base/small/fill" bs=64k 2>/dev/null
			truncate -s "-${2}K" "$base/small/fill"
			wait "$crasher"
			settle
			rm "$base/small/fill"
			how=$(of "$name" pending)/$(cf list --json | jq -r --arg p "$name" '.[]
				| select(.process == $p)
				| if .complete and .capture == "full" then "whole"
					else .capture_reason + .incomplete_reason end')
			[ "$how" = 0/whole ] || break
		done
		echo "# $2 KiB are left while a core is written: $how"
		is 'room goes while a core is written: counted' "$(of "$name" crashes in_flight)" '1 0'
		holds 'the ledger adds up' ledger_holds
	}
	take_room midway 0
	matches 'less is kept, or it waits for the next, and the record says why' \
		"$how" '^1/|KeepFree|disk full|[Nn]o space|room'
	take_room nearly 256
	matches 'where there is room for the record it says that the core is not whole' \
		"$how" '^0/.*(KeepFree|disk full|[Nn]o space|room)'
	is 'no temporary file is left' "$(litter)" ''
	is 'what is stored is whole gzip' \
		"$(find "$state/cores" -name '*.core.gz' ! -exec gzip -t {} \; -print)" ''
	write_config
	dd if=/dev/zero of="$base/small/fill" bs=64k 2>/dev/null
	log_mark
	crash -t 2 -n full "$base/victim-abort"
	settle
	is 'not even room for a record: pending' "$(of full crashes kept_weight pending in_flight)" \
		'2 0 2 0'
	matches 'and it is said' "$(log_text)" 'counted but not kept.*[Nn]o space'
	holds 'the ledger adds up on a full disk' ledger_holds
	text=$(cf tick 2>&1)
	is 'a tick fails' $? 1
	matches 'and says why' "$text" '^corefold tick: .*No space left on device$'
	is 'in one line' "$(wc -l <<<"$text")" 1
	rm "$base/small/fill"
	crash -n full "$base/victim-abort"
	settle
	is 'with room again the next carries all' "$(kept full)" 3
	holds 'the ledger adds up again' ledger_holds
	is 'the newest counters line knows all' "$(jq -R 'fromjson? | .crashes' "$state/counters" |
		tail -n 1)" "$(status .crashes)"

	# Full before there is any state.
	rm -rf "$state"
	mkdir -m 0700 "$state"
	chown "$owner:$owner" "$state"
	dd if=/dev/zero of="$base/small/fill" bs=4k 2>/dev/null
	log_mark
	crash -n early "$base/victim-abort"
	settle
	matches 'no room for the state: it is said' "$(log_text)" '[Nn]o space'
	rm "$base/small/fill"
	crash -n early "$base/victim-abort"
	settle
	matches 'with room the next crash is handled' "$(of early crashes)" '^[12]$'
	holds 'and the ledger adds up' ledger_holds
	is 'no temporary file is left on it' "$(litter)" ''

	# A share of the disk is to stay free.
	rm -rf "$state"
	mkdir -m 0700 "$state"
	chown "$owner:$owner" "$state"
	write_config 'KeepFree=99%'
	crash "$base/victim-abort"
	settle
	is 'KeepFree: kept without a core' "$(cf list --json | jq -c '[.[] | [.weight, .capture]]')" \
		'[[1,"none"]]'
	new_state
	umount "$base/small"
else
	echo '# no tmpfs can be mounted here: no full disk'
	new_state
fi

# ---- the lock is held for ever ----

crash -n locked "$base/victim-abort"
settle
flock "$state/throttle" sleep 1000 9>&- &
holder=$!
sleep 0.3
log_mark
crash -t 3 -j 3 -n locked "$base/victim-abort"
settle
matches 'crashes go to events' "$(wc -l <"$state/events")" '^[3-9]$'
matches 'and it is said' "$(log_text)" 'counted in events'
fails 'status does not wait for ever' cf status >/dev/null 2>&1
matches 'and says why' "$(cf status 2>&1)" 'locked by another process'
pkill -KILL -P "$holder"
kill -KILL "$holder" 2>/dev/null
wait "$holder" 2>/dev/null
is 'they are merged by the next who gets the lock' \
	"$(of locked crashes kept_weight pending in_flight)" '4 4 0 0'
holds 'the ledger adds up' ledger_holds
fails 'events are consumed' test -s "$state/events"
crash -n locked "$base/victim-abort"
settle
is 'the next crash is handled' "$(of locked crashes kept_weight)" '5 5'

# ---- directories that cannot be used ----

unusable() { # CLAIM MESSAGE: a crash is said to be lost, and changes nothing
	log_mark
	crash -n lost "$base/victim-abort"
	settle
	matches "$1: it is said" "$(log_text)" "$2"
}
usable() { # CLAIM: the next one is handled
	local before
	before=$(status .crashes)
	crash -n found "$base/victim-abort"
	settle
	is "$1: the next crash is handled" "$(status .crashes)" $((before + 1))
	holds "$1: the ledger adds up" ledger_holds
}
chmod 0770 "$state"
unusable 'group-writable' "state directory $state: not safe"
chmod 0700 "$state"
usable 'group-writable'
chmod 0777 "$base"
unusable 'parent writable by others' "state directory $state: not safe"
chmod 0755 "$base"
usable 'parent writable by others'
mv "$state" "$base/away"
unusable 'missing' "state directory $state: No such file"
ln -s "$base/away" "$state"
unusable 'a link' "state directory $state: not safe"
rm "$state"
mv "$base/away" "$state"
usable 'missing'
rm -f "$state/events" # which could be appended to
chmod 0500 "$state" "$state/cores"
mv "$state/throttle" "$base/throttle"
unusable 'unwritable' 'could not be counted|[Pp]ermission denied'
mv "$base/throttle" "$state/throttle"
chmod 0700 "$state" "$state/cores"
usable 'unwritable'
chown -R 0:0 "$state"
log_mark
before=$(status .crashes)
crash -n roots "$base/victim-abort"
settle
matches 'owned by root: it is said' "$(log_text)" 'counted but not kept.*belongs to root'
is 'owned by root: it is counted' "$(status .crashes)" $((before + 1))
is 'owned by root: not kept' "$(of roots kept_weight pending in_flight)" '0 1 0'
chown -R "$owner:$owner" "$state"
usable 'owned by root'

# ---- the configuration is gone, or wrong ----

mv "$conf" "$base/away"
log_mark
crash -n noconf "$base/victim-abort"
settle
matches 'no configuration: it is said' "$(log_text)" 'c.conf: No such file'
mv "$base/away" "$conf"
printf '[Throttle]\nCrashLoopLimit=many\n' >>"$conf"
log_mark
before=$(status .crashes 2>/dev/null)
crash -n badconf "$base/victim-abort"
settle
matches 'a bad value: file and line are named' "$(log_text)" 'c.conf:6: bad value'
is 'and the crash is handled' "$(status .crashes 2>/dev/null)" $((before + 1))
write_config

# ---- the process is gone ----

mkdir -m 0777 "$base/saved"
set_pattern "$base/saved/core"
crash -n ghost "$base/victim-abort"
cf enable >/dev/null
core=$(echo "$base"/saved/core*)
before=$(status .crashes)
"$base/corefold" handle -C "$conf" -P4194000 -I4194000 -u30009 -g30009 -s6 \
	-t"$(date +%s)" -c0 -d1 -F <"$core" 2>"$base/out"
is 'a pid that is nobody: handled' $? 0
matches 'it is said, on stderr where there is one' "$(cat "$base/out")" \
	'kept .*ghost .*identity unverified'
is 'its name comes from the core, its user from the kernel' \
	"$(cf list --json | jq -c '.[-1] | [.process, .uid, .capture, .complete]')" \
	'["ghost",30009,"full",true]'
matches 'the record says why' "$(cf info --json last | jq -c '[.identity, .identity_reason]')" \
	'/proc/PID is gone'
"$base/corefold" handle -C "$conf" -P$$ -I$$ -u30009 -g30009 -s6 \
	-t"$(date +%s)" -c0 -d1 -F <"$core" 2>"$base/out"
is 'a pid of another user: handled' $? 0
matches 'and not believed' "$(cf info --json last | jq -c '[.identity, .identity_reason]')" \
	'another user'
"$base/corefold" handle -C "$conf" -P$$ -I$$ -u0 -g0 -s6 \
	-t"$(date +%s)" -c0 -d1 -F <"$core" 2>"$base/out"
is 'a process that does not crash: handled' $? 0
matches 'and not believed' "$(cf info --json last | jq -c '[.identity, .identity_reason]')" \
	'not dumping'
now=$(date +%s)
head -c 100 /dev/urandom |
	"$base/corefold" handle -C "$conf" -P4194000 -I4194000 -u30009 -g30009 -s6 -t"$now" -c0 -d1 -F \
		2>"$base/out"
is 'garbage for a dump: handled' $? 0
"$base/corefold" handle -C "$conf" -P4194000 -I4194000 -u30009 -g30009 -s6 -t"$now" -c0 -d1 -F \
	</dev/null 2>"$base/out"
is 'nothing for a dump: handled' $? 0
is 'all five are counted' "$(status .crashes)" $((before + 5))
holds 'the ledger adds up' ledger_holds
usable 'strange dumps'
finish
