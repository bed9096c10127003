#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# doctor, enable and disable where they matter: on the kernel's own settings. Each setting is
# made wrong in turn, and doctor must say so; enable must mend it.

# shellcheck disable=SC2154 # lib.sh sets base, conf, state and owner
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh"

PATTERN=/proc/sys/kernel/core_pattern
LIMIT=/proc/sys/kernel/core_pipe_limit
SUID=/proc/sys/fs/suid_dumpable

# verdict CHECK: of a doctor that does not crash anything
verdict() {
	cf doctor --json --no-crash | jq -r --arg c "$1" '.checks[] | select(.check == $c).verdict'
}

settings() { cat "$PATTERN" "$LIMIT" "$SUID"; }

kernel_setup

# ---- before ----
before=$(settings)
is 'another pattern fails' "$(verdict pattern)" fail
is 'no crash is made for a pattern that is not ours' \
	"$(cf doctor --json | jq -r '.checks[] | select(.check == "crash").verdict')" skipped

# ---- all is well ----
enable
answer=$(cf doctor --json)
is 'doctor is content' "$?" 0
is 'nothing fails' "$(jq -c '[.ok, (.checks[] | select(.verdict == "fail").check)]' <<<"$answer")" '[true]'
for check in pattern pipe-limit suid-dumpable directory owner state crash backtrace; do
	is "$check is ok" "$(jq -r --arg c $check '.checks[] | select(.check == $c).verdict' <<<"$answer")" ok
done
is 'its crash is counted, under its name' "$(of corefold-doctor crashes folded kept_weight)" '1 0 1'
is 'its record is gone' "$(cf list --json | jq length)" 0
is 'and its core' "$(find "$state/cores" -type f | wc -l)" 0

# It must not be throttled away, nor spoil an hour: crash-free is what operational is.
write_config '[Throttle]' 'CrashLoopLimit=1' '[Hours]' 'Interval=200ms' '[Hook]' "OnKeep=/bin/false"
on_time() { cf status --json | jq .on_time_ms; }
cf doctor >/dev/null || failed 'a second crash on purpose'
until=$(($(on_time) + 1000))
for i in 1 2 3; do
	cf doctor --json >"$base/answer" || failed "crash on purpose $i"
done
is 'the fourth in a row is kept, too' \
	"$(jq -r '.checks[] | select(.check == "crash").verdict' "$base/answer")" ok
while [ "$(on_time)" -lt "$until" ]; do :; done
cf tick
is 'no hour is spoiled' "$(status '[.hours.operational_hours == .hours.crashfree_hours,
	.hours.operational_hours == .hours.crashfree_slots, .hours.operational_hours > 0] | all')" true
is 'no hook is queued' "$(find "$state/hooks" -type f 2>/dev/null | wc -l)" 0
is 'the sums hold' "$(status '.crashes == .kept_weight + .pending + .in_flight + .evicted')" true

# A name is not enough: another user's crash under that name is a crash like others.
write_config
setpriv --reuid=12345 --regid=12345 --clear-groups bash -c 'exec -a corefold-doctor "$1"' \
	other "$base/victim-abort" 2>/dev/null
settle
is 'another user cannot hide behind its name' \
	"$(cf list --json | jq -r '[.[] | select(.uid == 12345).process] | join(" ")')" corefold-doctor

# ---- each setting made wrong ----
pattern=$(cat "$PATTERN")
echo 0 >"$LIMIT"
is 'core_pipe_limit 0' "$(verdict pipe-limit)" fail
echo 0 >"$SUID"
is 'suid_dumpable 0' "$(verdict suid-dumpable)" warn
printf '%s' "|$base/corefold handle -P%P" >"$PATTERN"
is 'missing arguments' "$(verdict pattern)" warn
long=$base/$(printf 'x%.0s' {1..80})
mkdir "$long" && cp "$base/corefold" "$long/corefold"
printf '%s' "${pattern/$base\/corefold/$long/corefold}" >"$PATTERN"
is 'the kernel cut it' "$(tr -d '\n' <"$PATTERN" | wc -c)" 127
is 'a cut pattern' "$(verdict pattern)" fail
message=$("$long/corefold" enable -C "$conf" 2>&1)
is 'enable does not write what would be cut' "$?" 1
matches 'and says what to do' "$message" '127 characters .*shorter path'
rm -r "$long"
printf '%s' "${pattern/$base\/corefold/$base/gone/corefold}" >"$PATTERN"
is 'a program that is gone' "$(verdict pattern)" fail
enable
is 'enable mends all of them' "$(settings)" "$pattern"$'\n256\n2'
chmod 0755 "$state"
is 'a directory that others read' "$(verdict directory)" warn
chmod 0777 "$state"
is 'a directory that others write' "$(verdict directory)" fail
chmod 0700 "$state"
chown 0:0 "$state"
is "root's own directory" "$(verdict owner)" fail
chown "$owner:$owner" "$state"
chmod 0777 "$base"
is 'a parent that others write' "$(verdict directory)" fail
chmod 0755 "$base"
chmod 0722 "$base/corefold"
is 'a program that others write' "$(verdict pattern)" fail
chmod 0755 "$base/corefold"
is 'all is well again' "$(verdict pattern; verdict directory; verdict owner)" $'ok\nok\nok'

# ---- a chain that is broken in the middle ----
mv "$base/corefold-unwind" "$base/away"
is 'without the unwinder' "$(verdict programs)" warn
mv "$base/away" "$base/corefold-unwind"
# ---- a directory that cannot be made ----
if id corefold >/dev/null 2>&1; then
	printf '[Store]\nDirectory=%s/not/there\n' "$base" >"$base/other.conf"
	message=$("$base/corefold" enable -C "$base/other.conf" 2>&1)
	is 'enable makes one directory, and not those above it' "$?" 1
	matches 'and says so' "$message" \
		"^corefold enable: cannot make $base/not/there: .*the directory above it has to be there"
fi
# ---- enable and disable ----
enable
matches 'a second enable says so' "$(cf enable | tr '\n' ' ')" '^core_pattern: .* \(already enabled\) $'
cf disable >/dev/null
is 'what was there survives a second enable' "$(settings)" "$before"
message=$(cf disable 2>&1)
is 'a second disable changes nothing and says so' "$? $(settings)" "1 $before"
matches 'it is one line' "$message" '^corefold disable: core_pattern is not corefold'

echo '|/bin/true %P' >"$PATTERN"
matches 'who gets no more dumps is named' "$(cf enable)" '^another program gets no more core dumps'
cf disable >/dev/null
is "the other's pattern is back" "$(cat "$PATTERN")" '|/bin/true %P'

# What was there cannot be read any more: that must not keep us there.
for saved in 'garbage' $'core\nmany\nnone' $'core\n3' ''; do
	head -n 1 <<<"$before" >"$PATTERN"
	enable
	printf '%s\n' "$saved" >"$SAVED_FILE"
	message=$(cf disable 2>&1 >/dev/null)
	is "saved settings that are none: the kernel's own come back" "$? $(settings | xargs)" '0 core 0 0'
	matches 'and it says so' "$message" "^corefold disable: $SAVED_FILE is damaged"
done
sed -n 2p <<<"$before" >"$LIMIT"
sed -n 3p <<<"$before" >/proc/sys/fs/suid_dumpable

# Somebody takes the pattern alone while we are enabled, as apport does at every boot.
head -n 1 <<<"$before" >"$PATTERN"
echo 3 >"$LIMIT"
enable
echo '|/bin/true %P' >"$PATTERN"
enable
cf disable >/dev/null
is 'their pattern comes back, with the limit from before us' "$(cat "$PATTERN" "$LIMIT")" \
	$'|/bin/true %P\n3'
head -n 1 <<<"$before" >"$PATTERN"
sed -n 2p <<<"$before" >"$LIMIT"

# Killed at any of its writes, the next enable and disable still know what was there.
if command -v strace >/dev/null; then
	for when in 1 2 3 4 5; do
		strace -f -o /dev/null -e trace=write -e "inject=write:signal=KILL:when=$when" \
			"$base/corefold" enable -C "$conf" >/dev/null 2>&1
		enable
		cf disable >/dev/null
		is "enable killed at write $when" "$(settings)" "$before"
		enable
		strace -f -o /dev/null -e trace=write -e "inject=write:signal=KILL:when=$when" \
			"$base/corefold" disable -C "$conf" >/dev/null 2>&1
		cf disable >/dev/null 2>&1
		is "disable killed at write $when" "$(settings)" "$before"
	done
fi

finish
