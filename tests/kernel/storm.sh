#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# 200 crashes of 8 programs, 16 at a time: all counted, each program by the policy.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable

names=()
for i in 1 2 3 4 5 6 7 8; do names+=(-n "storm$i"); done
holds 'every one of 200 dies by its signal' crash -t 200 -j 16 "${names[@]}" "$base/victim-abort"
settle

for ((i = 0; i < 25; i++)); do echo '0 crash storm'; done >"$base/trace"
wanted=$(cf simulate "$base/trace" | jq -s -r '[.[] | select(.weight).weight] | join(" ")')
for i in 1 2 3 4 5 6 7 8; do
	# Two that crash together may get their ids in one order and their weights in the other.
	is "storm$i is kept as the policy says" "$(kept "storm$i" | tr ' ' '\n' | sort -n | xargs)" \
		"$wanted"
	is "storm$i: crashes, folded, kept weight, pending, in flight" \
		"$(of "storm$i" crashes folded kept_weight pending in_flight)" '25 16 18 7 0'
done
holds 'the ledger adds up' ledger_holds
is 'no crash of ours was lost' \
	"$(status '[.processes[] | select(.process | startswith("storm")).crashes] | add')" 200
holds 'no lock is left' lock_is_free
is 'no temporary file is left' "$(litter)" ''
fails 'nothing waits in events' test -s "$state/events"
is 'ids are unique' "$(cf list --json | jq '([.[].id] | unique | length) == length')" true
is 'captures stepped down, or are whole' "$(cf list --json | jq -c '[.[]
	| select(.process | startswith("storm"))
	| select((.capture == "full" and .complete) or .capture_reason != "") | 1] | length')" 72

# The same, with no limit on how many handlers run and nobody waiting for them.
new_state
echo 0 >/proc/sys/kernel/core_pipe_limit
holds 'core_pipe_limit 0: every one of 64 dies by its signal' \
	crash -t 64 -j 16 -n unlimited "$base/victim-abort"
settle
holds 'core_pipe_limit 0: the ledger adds up' ledger_holds
is 'core_pipe_limit 0: all are counted, and their name is known' "$(of unlimited crashes)" 64

# Without corefold-keep the first program does it all.
new_state
enable
mv "$base/corefold-keep" "$base/away"
holds 'without corefold-keep: every one of 64 dies by its signal' \
	crash -t 64 -j 16 -n alone "$base/victim-abort"
settle
is 'without corefold-keep: the same is kept' "$(kept alone | tr ' ' '\n' | sort -n | xargs)" \
	'1 1 1 1 1 1 1 1 10 10 10 10 10'
holds 'without corefold-keep: the ledger adds up' ledger_holds
finish
