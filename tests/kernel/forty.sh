#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A program aborts 40 times in a row: kept are 1-8, 18, 28, 38. Replay decides the same.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable

wanted='1 1 1 1 1 1 1 1 10 10 10'
mapfile -t pids < <(crash -p -t 40 -n forty "$base/victim-abort")
settle

is 'weights of what is kept' "$(kept forty)" "$wanted"
kept_at=$(for pid in $(cf list --json | jq '.[] | select(.process == "forty").pid'); do
	for i in "${!pids[@]}"; do
		[ "${pids[i]}" != "$pid" ] || echo -n "$((i + 1)) "
	done
done)
is 'kept are crashes' "$kept_at" '1 2 3 4 5 6 7 8 18 28 38 '
is 'crashes, folded, kept weight, pending, in flight' \
	"$(of forty crashes folded kept_weight pending in_flight)" '40 29 38 2 0'
is 'it is throttled' "$(of forty throttled)" true
holds 'the ledger adds up' ledger_holds
is 'three of them in full, then the threads, all whole' \
	"$(cf list --json | jq -c '[.[] | select(.process == "forty") | [.capture, .complete]]
		| group_by(.) | map([length, .[0][]])')" \
	'[[3,"full",true],[8,"threads",true]]'
matches 'status tells until when' "$(of forty throttled_until)" '^20..-..-..T..:..:..Z$'

matches 'summary agrees' "$(cf summary --json |
	jq -c '[.. | objects | select(.process? == "forty") | {crashes, folded, kept_weight, pending}] | unique')" \
	'"crashes":40'
matches 'summary is text, too' "$(cf summary)" forty
is 'the newest counters line agrees' "$(jq -c 'select(.processes) | .processes[]
	| select(.process == "forty") | [.crashes, .folded, .kept_weight]' "$state/counters" |
	tail -n 1)" '[40,29,38]'
fails 'every counters line is JSON' grep -qv '^{.*}$' "$state/counters"

# The kernel's own cores of the same program, replayed with the times they had.
mkdir -m 0777 "$base/saved"
set_pattern "$base/saved/core.%p"
mapfile -t pids < <(crash -p -t 40 -n forty "$base/victim-abort")
at=$(($(date +%s) - 100))
arguments=()
for i in "${!pids[@]}"; do
	arguments+=(--at "@$((at + i / 10)).$((i % 10))" "$base/saved/core.${pids[i]}")
done
is 'the kernel saved 40 cores' "$(find "$base/saved" -name 'core.*' | wc -l)" 40
decisions='keep keep keep keep keep keep keep keep '
for _ in 1 2 3; do decisions+='fold fold fold fold fold fold fold fold fold keep '; done
decisions+='fold fold'
cf replay --json "${arguments[@]}" >"$base/replayed.json" 2>"$base/said" || failed 'replay on scratch'
is 'replay decides as the kernel run did' \
	"$(jq -r '[.[].decision] | join(" ")' "$base/replayed.json")" "$decisions"
is 'with the same weights' \
	"$(jq -r '[.[] | select(.decision == "keep").weight] | join(" ")' "$base/replayed.json")" "$wanted"
is 'and the same name and user' \
	"$(jq -c '[.[] | [.process, .uid]] | unique' "$base/replayed.json")" '[["forty",0]]'
is 'and changed nothing' "$(of forty crashes)" 40

new_state
cf replay --import --json "${arguments[@]}" >"$base/imported.json" 2>"$base/said" || failed 'replay --import'
is 'an import decides the same' \
	"$(jq -r '[.[].decision] | join(" ")' "$base/imported.json")" "$decisions"
is 'and keeps the same' "$(kept forty)" "$wanted"
is 'and counts the same' "$(of forty crashes folded kept_weight pending in_flight)" \
	'40 29 38 2 0'
holds 'its ledger adds up' ledger_holds
is 'imported cores say where they come from' \
	"$(cf list --json | jq -c '[.[].source] | unique')" '["file"]'
cf dump last -o "$base/dumped"
holds 'an imported core is the one that was given' cmp "$base/dumped" \
	"$base/saved/core.${pids[37]}"

# Times that matter: one a minute is never a loop, one in 59 seconds is; also long ago.
for gap in 59 60; do
	for ago in 3000 200000; do
		at=$(($(date +%s) - ago))
		arguments=()
		for i in "${!pids[@]}"; do
			arguments+=(--at "@$((at + i * gap))" "$base/saved/core.${pids[i]}")
			echo "$((i * gap)) crash forty"
		done >"$base/trace"
		simulated=$(cf simulate "$base/trace" | jq -r .decision | tr '\n' ' ')
		is "every $gap s, $ago s ago: replay is the policy" \
			"$(cf replay --json "${arguments[@]}" 2>"$base/said" | jq -r '.[].decision' | tr '\n' ' ')" \
			"$simulated"
		new_state
		is "every $gap s, $ago s ago: import is the policy" \
			"$(cf replay --import --json "${arguments[@]}" 2>"$base/said" | jq -r '.[].decision' | tr '\n' ' ')" \
			"$simulated"
		[ "$ago $gap" != '3000 59' ] || holds 'and its ledger adds up' ledger_holds
	done
done
finish
