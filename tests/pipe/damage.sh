#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What is damaged in the state costs no count, and every command says what it found.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"

# A loop with folds pending, and two programs that are none.
with_past() {
	local i
	new_state
	{
		for ((i = 0; i < 12; i++)); do cf report loop; done
		cf report one
		cf report other
	} 2>"$base/said"
}
totals() {
	cf status --json 2>"$base/err" |
		jq -c '[.crashes, .folded, .kept, .kept_weight, .pending, .in_flight, .evicted]'
}
past='[14,4,10,10,4,0,0]'

with_past
is 'the past is what it is meant to be' "$(totals)" "$past"

# ---- the throttle file ----

# damage_slot NAME: in the account of this process, which no later change touches.
damage_slot() {
	local at
	at=$(grep -abo "$1" "$state/throttle" | tail -n 1 | cut -d: -f1)
	printf 'damage' | dd of="$state/throttle" bs=1 seek=$((at + 200)) conv=notrunc status=none
}

# Status and summary look at every slot, as a tick does.
for command in 'status --json' status 'summary --json' summary tick; do
	with_past
	damage_slot loop
	cf report one 2>"$base/said"
	fails "a damaged slot does not show in another program's crash" grep damaged "$base/said"
	read -ra words <<<"$command"
	cf "${words[@]}" >"$base/out" 2>"$base/said"
	is "$command finds it, and goes on" $? 0
	matches '... it says so' "$(cat "$base/said")" \
		"^corefold ${words[0]}: $state/throttle was damaged .*: totals rebuilt"
	is '... and no count is lost' "$(totals)" '[15,4,11,11,4,0,0]'
	is '... for good' "$(cat "$base/err")" ''
done

# ---- records that claim too much ----

# claim WEIGHT [N]: the first records of the loop are of that weight, N more are added.
claim() {
	local first n
	first=$(find "$state/cores" -name '*-000001.json')
	jq -c ".weight = $1" "$first" >"$base/claim"
	cat "$base/claim" >"$first"
	for ((n = 0; n < ${2:-0}; n++)); do
		printf -v id '%s-%06x' "$(basename "${first%-*}")" $((n + 4096))
		sed "s/\"id\":\"[^\"]*\"/\"id\":\"$id\"/" "$base/claim" >"$state/cores/$id.json"
	done
	chmod 0600 "$state"/cores/*
}

with_past
claim 4611686018427387904
truncate -s 100 "$state/throttle"
is 'a rebuild takes no weight from a record that nobody can read' "$(totals)" "$past"

with_past
claim 9007199254740992 1100
cf summary --json >"$base/summary" 2>"$base/said"
matches 'the sum of weights ends where numbers end' \
	"$(grep '"records_weight"' "$base/summary")" ' 9223372036854775807,$'
truncate -s 100 "$state/throttle"
cf status --json >"$base/status" 2>"$base/said"
matches '... in a rebuild at 2^62, so that there is room for what comes' \
	"$(grep -m 1 '"kept_weight"' "$base/status")" ' 46116860184273879[0-9]{2},$'
cf report loop 2>"$base/said"
holds '... and the ledger goes on' cf tick 2>"$base/said"
matches '... and counts' "$(cf status | grep total)" '^ *total +46116860184273879[0-9]{2} '

# ---- records under false names ----

# false_record ID: a copy of the newest, which says that it is this one.
false_record() {
	jq -c ".id = \"$1\"" "$state/cores/$newest.json" >"$state/cores/$1.json"
	chmod 0600 "$state/cores/$1.json"
}

with_past
newest=$(cf list --json | jq -r '.[-1].id')
before=$(cf list --json)
false_record zzz
false_record 20990101T000000-0000f1
false_record 19990101T000000-0000f2
cp "$state/cores/$newest.json" "$state/cores/20991231T000000-0000f3.json"
is 'a record whose date is not that of its id is not listed' "$(cf list --json 2>"$base/err")" "$before"
is '... and named' "$(grep -c '^corefold list: record [^ ]* cannot be read and is left out' "$base/err")" 4
is 'summary counts them as unreadable' "$(cf summary --json 2>"$base/said" | jq '[.records, .records_unreadable] | @json')" \
	'"[10,4]"'
try 1 1 'info does not show one' info -C "$conf" zzz
is 'quota leaves the others alone' "$(cf prune 2>&1)" 'removed 0 records, 0B'
cf prune --unreadable >"$base/out" 2>&1
is 'prune --unreadable removes them, and them only' "$(cf list --json 2>&1)" "$before"
is '... all' "$(find "$state/cores" -name '*.json' | wc -l)" 10

# ---- what ids tell ----

# Folds that nobody came to fetch are dated by the last of them, as their record is.
new_state
"$VICTIMS/victim-mkcore" -n old -u 0 >"$base/old"
for ((i = 0; i < 10; i++)); do at+=(--at "@$((1700000000 + i))" "$base/old"); done
cf replay --import "${at[@]}" >"$base/out" 2>&1
cf report young 2>"$base/said"
write_config '[Throttle]' PendingMax=1ms
cf tick 2>"$base/said"
is 'the folds of a crash loop have its date' "$(cf list --json |
	jq -r '.[] | select(.decision == "folded") | .id[0:15] + " " + (.time | todate)')" \
	'20231114T221329 2023-11-14T22:13:29Z'
is 'so that the list is in order' "$(cf list --json | jq 'map(.time) | . == sort')" true

# ---- found at the end of a keep ----

# keep_meanwhile COMMAND...: runs it between the decision on a crash and the end of its keep.
keep_meanwhile() {
	local i
	new_state
	cf report before 2>"$base/said"
	rm -f "$base/pipe"
	mkfifo "$base/pipe"
	"$COREFOLD" handle -C "$conf" -P4194000 -I4194000 "-u$(id -u)" "-g$(id -g)" -s6 \
		"-t$(date +%s)" -c0 -d1 -F <"$base/pipe" 2>"$base/err" &
	exec 7>"$base/pipe"
	head -c 65536 "$base/large" >&7
	for ((i = 0; i < 100; i++)); do
		[ "$(cf status --json | jq .in_flight)" = 0 ] || break
		sleep 0.1
	done
	"$@"
	tail -c +65537 "$base/large" >&7
	exec 7>&-
	wait $!
}
"$VICTIMS/victim-mkcore" -n large -u "$(id -u)" -m 3 >"$base/large"
garbage() { printf 'garbage\n' >>"$state/events"; }
damage() { truncate -s 100 "$state/throttle"; }
keep_meanwhile garbage
is 'garbage among the events is named then, too' "$(grep -c 'events: left out what is no crash, lines: 1$' "$base/err")" 1
keep_meanwhile damage
is 'so is a damaged throttle file' "$(grep -c 'throttle file was damaged .* rebuilt' "$base/err")" 1
is '... and the crash is kept once' "$(totals)" '[2,0,2,2,0,0,0]'
keep_meanwhile true
is 'and nothing where nothing is' "$(grep -vc ' kept ' "$base/err")" 0

finish
