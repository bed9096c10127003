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

finish
