#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Saved cores, plain and compressed, whole and broken, through `corefold replay`.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"
mkdir "$base/tmp"
export TMPDIR=$base/tmp # others replay at the same time

"$VICTIMS/victim-mkcore" -n worker -u 4711 -m 3 >"$base/core" || die 'cannot make a core'

decision() { cf replay --json "$@" 2>"$base/err" | jq -rc '.[] | [.process, .uid, .decision, .weight] | join(" ")'; }

is 'a plain core' "$(decision "$base/core")" 'worker 4711 keep 1'
gzip -c "$base/core" >"$base/core.gz"
is 'one that gzip made' "$(decision "$base/core.gz")" 'worker 4711 keep 1'
{ gzip -c <(head -c 5000 "$base/core"); gzip -9c <(tail -c +5001 "$base/core"); } >"$base/two.gz"
is 'one of two members' "$(decision "$base/two.gz")" 'worker 4711 keep 1'
gzip -cN "$base/core" >"$base/named.gz"
is 'one with a name in it' "$(decision "$base/named.gz")" 'worker 4711 keep 1'
cf replay --import "$base/core" >"$base/out" 2>&1
id=$(cf list --json | jq -r '.[0].id')
is 'one of our own' "$(decision "$state/cores/$id.core.gz")" 'worker 4711 keep 1'
cf dump "$id" -o "$base/dumped"
holds 'an import keeps every byte' cmp "$base/core" "$base/dumped"
cf replay --import "$base/two.gz" >"$base/out" 2>&1
cf dump last -o "$base/dumped"
holds 'also of a foreign gzip' cmp "$base/core" "$base/dumped"
is 'why is told' "$(cf replay --why "$base/core" | grep -c 'within the crash loop limit')" 1

# why JQ CORE...: of the last one, by jq.
why() {
	local filter=$1
	shift
	cf replay --json --why --at @1000 "$@" 2>/dev/null | jq -r ".[-1].why | $filter"
}
is 'why: the first' "$(why '[.in_window, .limit, .loop, .waiting, .capture, .capture_reason] | join(", ")' "$base/core")" \
	'1, 8, false, 0, full, within all limits'
# Each note begins 12 bytes before its name; how long the first is depends on the machine.
mapfile -t name_at < <(grep -abo CORE "$base/core" | cut -d: -f1)
head -c $((name_at[1] + 30)) "$base/core" >"$base/half" # in the second note
is 'why: one that is cut inside its notes' "$(why '[.capture, .capture_reason] | join(", ")' "$base/half")" \
	'notes, the dump ended inside its headers'
head -c -4096 "$base/core" >"$base/early"
is 'why: one that is cut behind them' "$(why '[.capture, .capture_reason] | join(", ")' "$base/early")" \
	'full, within all limits, but the dump ended early'
if [ "$(od -An -tu1 -j4 -N1 "$base/core")" -eq 2 ]; then # an Elf64_Phdr: p_offset at 64 + 8
	cp "$base/core" "$base/late"
	printf '\0\0\0\x10' | dd of="$base/late" bs=1 seek=72 conv=notrunc status=none
	is 'notes that come late, as gcore writes them, are refused' "$(cf replay "$base/late" 2>&1)" \
		"corefold replay: $base/late: its headers and notes end behind the first 192 MiB"
fi
ten=()
for ((i = 0; i < 10; i++)); do ten+=("$base/core"); done
is 'why: the tenth' "$(why '[.in_window, .loop, .waiting, .capture] | map(tostring) | join(", ")' "${ten[@]}")" \
	'10, true, 1, null'
is 'why: the eighteenth is the one in ten' "$(why '[.waiting, .novelty] | map(tostring) | join(", ")' "${ten[@]}" "${ten[@]:0:8}")" \
	'9, not asked: it is the one in ReportEvery that is kept anyway'
matches 'why, in words' "$(cf replay --why --at @1000 "${ten[@]}" 2>/dev/null)" \
	'window +10 crashes younger than 8min, the limit is 8: a crash loop'

# ---- in the order of their times ----

many=()
for ((i = 0; i < 40; i++)); do many+=("$base/core"); done
is '40 at one time' "$(cf replay --json --at @1000000 "${many[@]}" 2>/dev/null |
	jq -rc '[.[] | select(.weight > 0).weight] | join(" ")')" '1 1 1 1 1 1 1 1 10 10 10'
is 'order is that of the times, not of the arguments' "$(cf replay --json --at @2000 "$base/core" \
	--at @1000 "$base/core.gz" 2>/dev/null | jq -c '[.[].time]')" '[1000,2000]'
touch -d @5000 "$base/core"
is 'without --at it is when the file was changed' \
	"$(cf replay --json "$base/core" 2>/dev/null | jq '.[0].time')" 5000
is 'the epoch is a time, too' "$(cf replay --json --at @0 "$base/core" 2>/dev/null | jq '.[0].time')" 0
is 'a calendar date is a time' "$(TZ=UTC0 cf replay --json --at '2026-01-02 03:04:05' "$base/core" |
	jq '.[0].time')" 1767323045
every_minute=()
for ((i = 0; i < 20; i++)); do every_minute+=(--at "@$((1000000 + i * 60))" "$base/core"); done
is 'one a minute is no loop' "$(cf replay --json "${every_minute[@]}" 2>/dev/null |
	jq -c '[.[].decision] | unique')" '["keep"]'
is 'nothing of a trial is counted' "$(cf status --json | jq .crashes)" 2
is 'and no scratch is left' "$(ls -A "$TMPDIR")" ''

# ---- what is no core ----

refused() { # CLAIM FILE
	try 1 1 "refused: $1" replay -C "$conf" "$2"
	matches '... by its name' "$err" "$2: ."
}
head -c 10000 /dev/urandom >"$base/garbage"
refused 'garbage' "$base/garbage"
: >"$base/empty"
refused 'an empty file' "$base/empty"
echo '#!/bin/sh' >"$base/script"
refused 'a script' "$base/script"
refused 'a program' "$COREFOLD"
refused 'a directory' "$base/state"
refused 'a file that is not there' "$base/none"
mkfifo "$base/fifo"
refused 'a FIFO' "$base/fifo"
refused 'a device' /dev/zero
head -c 40 "$base/core" >"$base/short"
refused 'half of a header' "$base/short"
head -c 40 "$base/core.gz" >"$base/short.gz"
refused 'half of a gzip header' "$base/short.gz"
gzip -c "$base/garbage" >"$base/garbage.gz"
refused 'compressed garbage' "$base/garbage.gz"
{ head -c 100 "$base/core.gz"; head -c 10000 /dev/urandom; } >"$base/broken.gz"
"$COREFOLD" replay -C "$conf" "$base/broken.gz" >"$base/out" 2>"$base/err"
holds 'a gzip that breaks off: decided or refused' test $? -le 1
is '... in at most one line' "$(wc -l <"$base/err")" "$(wc -l <"$base/err" | grep '^[01]$')"

# Cut anywhere, and with any byte changed: never more than a message.
size=$(stat -c %s "$base/core")
for ((i = 1; i <= 60; i++)); do
	head -c $((i * 97 % size)) "$base/core" >"$base/cut"
	"$COREFOLD" replay -C "$conf" "$base/cut" >"$base/out" 2>"$base/err"
	status=$?
	if [ "$status" -gt 1 ] || grep -q 'Sanitizer\|runtime error' "$base/err"; then
		failed "cut at $((i * 97 % size)): exit status $status"
	fi
done
passed 'a core cut anywhere is no harm'
seed=${COREFOLD_TEST_SEED:-$RANDOM}
echo "# seed $seed (COREFOLD_TEST_SEED)"
RANDOM=$seed
for ((i = 0; i < 100; i++)); do
	cp "$base/core" "$base/changed"
	for _ in 1 2 3; do
		printf '%b' "\\0$(printf %o $((RANDOM % 256)))" |
			dd of="$base/changed" bs=1 seek=$((RANDOM % 2048)) conv=notrunc status=none
	done
	"$COREFOLD" replay -C "$conf" "$base/changed" >"$base/out" 2>"$base/err"
	status=$?
	if [ "$status" -gt 1 ] || grep -q 'Sanitizer\|runtime error' "$base/err"; then
		failed "changed, round $i: exit status $status"
	fi
done
passed 'a core with bytes changed is no harm'

# One of them bad: the others are decided.
"$COREFOLD" replay -C "$conf" --json "$base/core" "$base/garbage" "$base/core.gz" \
	>"$base/out" 2>"$base/err"
is 'one bad core fails the command' $? 1
is 'but the others are decided' "$(jq length "$base/out")" 2

try 2 1 'usage: no file' replay -C "$conf"
try 2 1 'usage: a time that is none' replay -C "$conf" --at noon "$base/core"
try 1 1 'an import from the future' replay -C "$conf" --import --at @9000000000 "$base/core"
is 'is not counted' "$(cf status --json | jq .crashes)" 2
cf replay --import --at @0 "$base/core" >"$base/out"
epoch=$(sed -n 's/.* as //p' "$base/out")
matches 'an import of the epoch is of then, not of now' "$epoch" '19700101T000000-*'
is '... also in its record' "$(cf info --json "$epoch" | jq .time)" 0

# ---- cut before it says more of the signal ----

new_state
siginfo=$(LC_ALL=C grep -abom1 IGIS "$base/core" | cut -d: -f1)
head -c "$((siginfo + 4))" "$base/core" >"$base/cut"
cf replay --import "$base/cut" >"$base/out" 2>"$base/err"
is 'a core without siginfo: no code, no sender' "$(cf info --json | jq -c \
	'[.signal, .si_code, .si_code_name, .sender_pid]')" '[6,null,null,null]'
if can_unwind; then
	is '... no class' "$(cf info --json | jq -r .signatures.class)" crash
	matches '... the signal in its key' "$(cf info --json | jq -r .signatures.exact_text)" '\|SIGABRT\|'
fi
matches '... and in words' "$(cf info)" 'Signal: 6 \(SIGABRT\)'

# ---- a store that takes nothing ----

new_state
cf replay --import "$base/core" >/dev/null 2>&1
chmod 0500 "$state/cores"
cf replay --import --json "$base/core" >"$base/out" 2>"$base/err"
is 'an import that cannot be stored fails' $? 1
is '... has no id, and says why' "$(jq -c '.[0] | [.decision, .id, .error]' "$base/out")" \
	'["keep","","Permission denied"]'
cf replay --import "$base/core" >"$base/out" 2>"$base/err"
matches '... also in words' "$(cat "$base/out")" ': counted, but not stored: Permission denied'
chmod 0700 "$state/cores"
is '... and there is none' "$(cf list --json | jq length)" 1

# ---- told to stop ----

mkfifo "$base/unread"
many=()
for ((i = 0; i < 200; i++)); do many+=("$base/core"); done
# It does not come to its end: nobody reads what it has to say.
stopped() {
	local signal=$1 pid scratch
	exec 9<>"$base/unread"
	# Whoever runs the tests with nohup has SIGHUP ignored for all of them.
	env --default-signal "$COREFOLD" replay --why -C "$conf" "${many[@]}" \
		>"$base/unread" 2>/dev/null 9>&- &
	pid=$!
	until scratch=$(compgen -G "$base/tmp/corefold-replay.*/throttle"); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.02
	done
	kill "-$signal" "$pid"
	wait "$pid"
	is "$signal ends a replay" $? $((128 + $(kill -l "$signal")))
	exec 9<&-
	matches '... that was under way' "$scratch" 'corefold-replay'
	is '... and no scratch state stays' "$(ls -A "$base/tmp")" ''
}
for signal in TERM HUP; do stopped "$signal"; done
"$COREFOLD" replay --why -C "$conf" "${many[@]}" 2>/dev/null | head -1 >/dev/null
is 'a reader that goes leaves none either' "$(ls -A "$base/tmp")" ''
cf replay --import "$base/half" >"$base/out" 2>&1
cf dump last -o "$base/dumped"
case $(od -An -tu1 -j4 -N1 "$base/core") in # file header and one program header
*1) headers=$((52 + 32)) ;;
*) headers=$((64 + 56)) ;;
esac
is 'an import of a core that is cut has the note that is whole' \
	"$(stat -c %s "$base/dumped")" $((headers + name_at[1] - name_at[0]))

# ---- names that were made harmless ----

new_state
"$VICTIMS/victim-mkcore" -n $'a\x01b' >"$base/strange"
cf replay --import "$base/strange" >"$base/out" 2>"$base/err"
matches 'a name with an escape is in the log as it is in the list' "$(cat "$base/err")" \
	': a\\x01b \(pid '
is '... where it is' "$(cf list --json | jq -r '.[-1].process')" 'a\x01b'
finish
