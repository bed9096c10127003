#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# States of other versions: an earlier one is taken over, every count of it; a later one is
# left alone, and crashes are counted beside it until that corefold is back.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
DATA=$(cd "$(dirname "$0")/../data" && pwd) || exit 1
pipe_setup "$0" "$@"

accounts() {
	cf status --json 2>"$base/err" | jq -r '[.processes | sort_by(.process)[]
		| "\(.process) \(.crashes) \(.kept_weight) \(.pending)"] | join(", ")'
}
ledger() { cf status --json | jq '.crashes == .kept_weight + .pending + .in_flight + .evicted'; }
handle() { # NAME UID
	"$VICTIMS/victim-mkcore" -n "$1" -u "$2" >"$base/$1.core"
	"$COREFOLD" handle -C "$conf" -P4194000 -I4194000 "-u$2" "-g$2" -s6 "-t$(date +%s)" \
		-c0 -d1 -F <"$base/$1.core" 2>"$base/err"
}
version_of() { od -An -tu4 -j8 -N4 "$1" | tr -d ' '; }

# ---- earlier ones ----

for old in "$DATA"/state-v*.tar.gz; do
	name=${old##*/state-} name=${name%.tar.gz}
	new_state '[Capture]' 'Kind=notes'
	tar -C "$state" --no-same-owner -xzf "$old"
	is "$name: it is an earlier one" \
		"$([ "v$(version_of "$state/throttle")" = "$name" ] && echo yes)" yes
	handle some 30002
	matches "$name: the crash is kept, and it is said what became of the file" \
		"$(cat "$base/err")" 'throttle file was of an earlier corefold.*totals taken over'
	is "$name: every count is there" "$(accounts)" 'loop 21 18 3, some 4 4 0'
	is "$name: the ledger adds up" "$(ledger)" true
	is "$name: its records are listed" "$(cf list --json | jq length)" 13
	holds "$name: one is shown" cf info --json "$(cf list --json | jq -r '.[0].id')" >/dev/null
	holds "$name: its core is dumped" cf dump -o "$base/x" "$(cf list --json | jq -r '.[0].id')"
	handle loop 30001
	is "$name: the next crash takes its part of what was pending" "$(ledger)" true
done

# ---- a later record ----

new_state '[Capture]' 'Kind=notes'
handle some 30002
handle some 30002
later=$(cf list --json | jq -r '.[-1].id')
jq '.version = 2 | .weight = "many"' "$state/cores/$later.json" >"$base/later.json"
cp "$base/later.json" "$state/cores/$later.json"
is 'a record has a version' "$(cf info --json "$(cf list --json | jq -r '.[0].id')" | jq .version)" 1
try 0 1 'a later record is left out of the list' list -C "$conf"
matches 'and it is said' "$err" "$later is of a later corefold"
try 0 1 'prune leaves it alone, too' prune -C "$conf" --unreadable
holds 'it is untouched' cmp "$base/later.json" "$state/cores/$later.json"

# ---- a later state ----

new_state '[Capture]' 'Kind=notes'
for ((i = 0; i < 3; i++)); do handle some 30002; done
ours=$(version_of "$state/throttle")
printf '%b' "\\x$(printf %02x $((ours + 1)))" |
	dd of="$state/throttle" bs=1 seek=8 conv=notrunc status=none
cp "$state/throttle" "$base/later"
cp "$state/counters" "$base/counters"
for command in status tick summary; do
	try 1 1 "$command is refused" $command -C "$conf"
	matches "$command: and it is said why" "$err" 'of a later corefold'
done
for ((i = 0; i < 12; i++)); do handle some 30002; done
matches 'a crash is counted beside it' "$(cat "$base/err")" 'counted in events'
is 'all twelve' "$(wc -l <"$state/events")" 12
is 'the first ones are kept' "$(find "$state/cores" -name '*.json' | wc -l)" 11
holds 'the file is untouched' cmp "$state/throttle" "$base/later"
holds 'and so are the counters' cmp "$state/counters" "$base/counters"
is 'nothing was set aside' "$(find "$state" -name '*.bad*')" ''
is 'records are still listed' "$(cf list --json | jq length)" 11

printf '%b' "\\x$(printf %02x "$ours")" |
	dd of="$state/throttle" bs=1 seek=8 conv=notrunc status=none
holds 'when the later one is back it counts them' cf tick
is 'every one of them' "$(accounts)" 'some 15 11 4'
is 'the ledger adds up' "$(ledger)" true
finish
