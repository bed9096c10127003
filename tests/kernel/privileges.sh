#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Root lasts a moment; what the kernel leaves out is repaired; settings go in and out whole.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable

# ---- while it captures ----

crash "$base/victim-big" 400 &
victim=$!
handler=
for ((i = 0; i < 2000 && ${#handler} == 0; i++)); do
	handler=$(find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$base/corefold-keep" \
		2>/dev/null | head -n 1)
	handler=${handler#/proc/} handler=${handler%/exe}
done
kill -STOP "$handler" || die 'no handler was seen'
field() { awk -v k="$1:" '$1 == k { $1 = ""; print substr($0, 2) }' "/proc/$handler/status"; }
is 'every uid is the owner of the state' "$(field Uid)" "$owner $owner $owner $owner"
is 'no gid is root' "$(field Gid | tr ' ' '\n' | grep -cx 0)" 0
is 'no further groups' "$(field Groups)" ''
for set in CapInh CapPrm CapEff CapAmb; do
	is "no capability in $set" "$(field "$set")" 0000000000000000
done
is 'no new privileges' "$(field NoNewPrivs)" 1
is 'it cannot dump itself: /proc shows it as root'"'"'s' "$(stat -c %u "/proc/$handler/fd")" 0
is 'its environment has nothing of ours' "$(tr '\0' '\n' <"/proc/$handler/environ" | grep -vc '^TZ=')" 0
for fd in 1 2; do
	is "fd $fd is there, and leads nowhere" "$(readlink "/proc/$handler/fd/$fd")" /dev/null
done
is 'what is open outside of its state is open for reading only' \
	"$(for fd in /proc/"$handler"/fd/*; do
		case $(readlink "$fd") in
		"$state"* | /dev/null | /dev/kmsg | /memfd:* | */oom_score_adj) continue ;;
		/*) grep -q '^flags:.*0$' "/proc/$handler/fdinfo/${fd##*/}" || readlink "$fd" ;;
		esac
	done)" ''
kill -CONT "$handler"
wait "$victim"
settle
is 'and then the core is whole' "$(cf list --json | jq -c '.[0] | [.capture, .complete]')" \
	'["full",true]'
matches 'it stepped back: how it did is in the record' "$(cf info --json last | jq -c .)" held_ms
is 'files are the owner'"'"'s alone' "$(find "$state" \( ! -user "$owner" -o -perm /077 \) | wc -l)" 0

# ---- commands run by root write as the owner, too ----

cf report fromroot
cf tick
is 'no file of root is left by commands' "$(find "$state" -user 0 | wc -l)" 0

# ---- patterns ----

new_state
set_pattern "|$base/corefold handle -C$conf -P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d -F"
crash -n bare "$base/victim-abort"
settle
is 'a bare -F is taken' "$(of bare crashes kept_weight)" '1 1'
set_pattern "|$base/corefold handle -C$conf -P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d"
crash -n nopidfd "$base/victim-abort"
settle
is 'no -F is taken' "$(of nopidfd crashes kept_weight)" '1 1'
is 'and the process is verified without' \
	"$(cf info --json last | jq -c '[.identity, .process]')" '["verified","nopidfd"]'
set_pattern "|$base/corefold handle -C$conf -P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d -F%9"
crash -n newspec "$base/victim-abort"
settle
is 'a specifier the kernel does not know leaves its letter' "$(of newspec crashes)" 1
log_mark
set_pattern "|$base/corefold handle -C$conf -u%u"
crash -n broken "$base/victim-abort"
settle
matches 'a pattern without -P is said' "$(log_text)" 'no -P: the pattern must be the one'
is 'and counts nothing' "$(of broken crashes)" ''
enable
for limit in 0 1 4096; do
	(ulimit -c 0; ulimit -S -c "$limit" 2>/dev/null; "$base/victim-crasher" -n "limit" "$base/victim-abort")
done
settle
is 'RLIMIT_CORE does not matter unless it is asked to' "$(of limit crashes kept_weight)" '3 3'

# ---- a daemon that gave up root ----

cp "$base/victim-abort" "$base/setuid"
chown "$owner" "$base/setuid"
chmod 4755 "$base/setuid"
crash -u 30003 "$base/setuid"
settle
is 'a setuid program arrives, with its real user' \
	"$(cf list --json | jq -c '[.[] | select(.process == "setuid").uid]')" '[30003]'
matches 'and is marked' "$(cf info --json last | jq -c .)" '"dumpable":2'

# ---- enable and disable ----

cf disable >/dev/null
for old in 'core' '|/bin/false %P %e' '/var/tmp/cf-none/core.%p'; do
	echo "$old" >/proc/sys/kernel/core_pattern
	echo 7 >/proc/sys/kernel/core_pipe_limit
	echo 1 >/proc/sys/fs/suid_dumpable
	holds "enable over '$old'" cf enable >/dev/null
	matches 'the pattern is ours' "$(cat /proc/sys/kernel/core_pattern)" \
		"^\|$base/corefold handle -C ?$conf -P%P"
	is 'limits are set' "$(cat /proc/sys/kernel/core_pipe_limit /proc/sys/fs/suid_dumpable | xargs)" '256 2'
	holds 'enable again' cf enable >/dev/null
	holds 'disable' cf disable >/dev/null
	is 'everything is back' "$(cat /proc/sys/kernel/core_pattern /proc/sys/kernel/core_pipe_limit \
		/proc/sys/fs/suid_dumpable | tr '\n' ';')" "$old;7;1;"
	fails 'disable again' cf disable >/dev/null 2>&1
	is '... changes nothing' "$(cat /proc/sys/kernel/core_pattern)" "$old"
done

long=$base/$(printf 'd%.0s' {1..60})
mkdir -m 0755 "$long"
cp "$base/corefold" "$long/"
echo core >/proc/sys/kernel/core_pattern
said=$("$long/corefold" enable -C "$conf" 2>&1)
is 'a pattern that is too long is refused' $? 1
matches 'and it is said' "$said" '127 characters'
is 'and nothing is changed' "$(cat /proc/sys/kernel/core_pattern)" core
mkdir -m 0755 "$base/a b"
cp "$base/corefold" "$base/a b/"
fails 'a path with a blank is refused' "$base/a b/corefold" enable -C "$conf" >/dev/null 2>&1
chmod 0777 "$state"
fails 'enable with a directory that others may write to' cf enable >/dev/null 2>&1
is 'changes nothing' "$(cat /proc/sys/kernel/core_pattern)" core
chmod 0700 "$state"
fails 'a plain user cannot enable' setpriv --reuid=30003 --regid=30003 --clear-groups \
	"$base/corefold" enable -C "$conf" >/dev/null 2>&1

finish
