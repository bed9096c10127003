#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What one user's crashes may take of time and disk, whatever they are made of: mappings that
# are much larger than what is in them, pages that shrink to nothing, cores that shrink not
# at all. Beside them another user's crash is kept in full, and his cores stay.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
chmod 0755 "$base"/victim-*
memory=$base/victim-memory
plain=('[Throttle]' 'Enabled=no' '[Capture]' 'FullPerSignature=0' 'Buffer=4M')

from_memory() { set_pattern "|$base/corefold handle -C $conf $specifiers"; }
# A pid that is nobody's: nothing of /proc is believed.
from_pipe() { set_pattern "|$base/corefold handle -C $conf ${specifiers/-P%P/-P4194000}"; }
stored_mib() { du -sm "$state/cores" | cut -f1; }
records_of() { cf list --json | jq "[.[] | select(.uid == $1)] | length"; }
# of_uid UID FILTER: one line for each record
of_uid() { cf list --json | jq -c ".[] | select(.uid == $1) | $2"; }

# ---- much larger than what is in it ----

# bombs SOURCE: each at once with all the others, and with somebody else.
bombs() {
	local kind

	new_state "${plain[@]}" 'MaxHold=2s' 'MaxCoreSize=128M' 'MaxCaptures=16'
	"from_$1"
	for kind in 'sparse 256' 'zeros 400' 'comb 100' many; do
		# shellcheck disable=SC2086 # an argument may follow
		crash -u 30001 -n "${kind% *}" "$memory" $kind &
		bombs+=($!)
	done
	crash -u 30002 -n innocent "$base/victim-abort"
	wait "${bombs[@]}"
	settle
	is "$1: every bomb has its record" "$(records_of 30001)" 4
	holds "$1: they take less than 64 MiB together ($(stored_mib))" test "$(stored_mib)" -lt 64
	is "$1: beside them a crash is kept in full" "$(of_uid 30002 '[.capture, .complete]')" \
		'["full",true]'
	is "$1: what is stored is whole gzip" \
		"$(find "$state/cores" -name '*.core.gz' ! -exec gzip -t {} \; -print)" ''
	holds "$1: the ledger adds up" ledger_holds
}
bombs=()
bombs memory
is 'memory: one page in 256 GiB is a full core' \
	"$(cf list --json | jq -c '.[] | select(.process == "sparse") | [.capture, .complete]')" \
	'["full",true]'
is 'memory: pages beyond MaxCoreSize are not, whatever they shrink to' \
	"$(cf list --json | jq -c '.[] | select(.process == "zeros") | [.capture, .capture_reason]')" \
	'["threads","larger than MaxCoreSize"]'
bombs pipe
# How far it comes in MaxHold is the machine's affair; that it ends there is not.
holds 'pipe: 256 GiB of zeros end with MaxHold' test "$(cf list --json |
	jq -r '.[] | select(.uid == 30001).id' | while read -r id; do
		cf info --json "$id" | jq -r '"\(.incomplete_reason) \(.capture_reason)"'
	done | grep -c MaxHold)" -ge 1

# ---- more than there is room for ----

if mkdir "$base/small" && mount -t tmpfs -o size=100m,mode=0755 none "$base/small" 2>/dev/null; then
	state=$base/small/state
	mkdir -m 0700 "$state"
	chown "$owner:$owner" "$state"
	printf '[Store]\nDirectory=%s\nMaxUse=40%%\nKeepFree=20%%\n' "$state" >"$conf"
	printf '%s\n' "${plain[@]}" >>"$conf"
	from_memory
	crash -u 30002 -n quiet "$base/victim-abort"
	crash -t 12 -u 30001 -N noise- "$memory" noise 8
	settle
	cf tick
	is 'cores that do not shrink: each has its record' "$(records_of 30001)" 12
	holds "they take no more than MaxUse ($(stored_mib) of 100 MiB)" test "$(stored_mib)" -le 41
	is 'the only core of another user stays' "$(of_uid 30002 .capture)" '"full"'
	is 'and it is there' "$(find "$state/cores" -name "$(cf list --json |
		jq -r '.[] | select(.uid == 30002).id').core.gz" | wc -l)" 1

	# Somebody else has filled the disk beyond KeepFree.
	find "$state/cores" -name '*.core.gz' -delete # which would make room
	head -c 85M /dev/zero >"$base/small/fill"
	crash -t 5 -u 30001 -N late- "$base/victim-abort"
	settle
	is 'below KeepFree there are no cores, but records' "$(cf list --json |
		jq -c '[.[] | select(.process | startswith("late-")) | [.capture, .capture_reason]] | unique | .[]')" \
		'["none","KeepFree reached"]'
	is 'one for each crash' "$(cf list --json |
		jq '[.[] | select(.process | startswith("late-"))] | length')" 5
	holds 'the ledger adds up' ledger_holds
	rm "$base/small/fill"
	new_state
	umount "$base/small"

	# Of a few hundred kilobytes that are left a core of twenty is no small part, but it fits.
	mount -t tmpfs -o size=3m,mode=0755 none "$base/small"
	state=$base/small/state
	mkdir -m 0700 "$state"
	chown "$owner:$owner" "$state"
	printf '[Store]\nDirectory=%s\nMaxUse=90%%\nKeepFree=5%%\n' "$state" >"$conf"
	printf '%s\n' "${plain[@]}" >>"$conf"
	crash -u 30002 -n quiet "$base/victim-abort"
	crash -u 30002 -n large "$memory" noise 8
	settle
	is 'less than a mebibyte is left: what fits is stored' \
		"$(cf list --json | jq -c '[.[] | [.process, .capture, .complete]]')" \
		'[["quiet","full",true],["large","threads",true]]'
	new_state
	umount "$base/small"
else
	echo '# no tmpfs can be mounted here: no small disk'
fi

# ---- records have a bound of their own ----

new_state "${plain[@]}" 'Kind=none'
from_memory
crash -t 3 -u 30002 -n quiet "$base/victim-abort"
crash -u 30001 -n loud "$base/victim-abort"
settle
one=$(cf list --json | jq -r '.[] | select(.uid == 30001).id')
text=$(cat "$state/cores/$one.json")
for ((i = 0; i < 10100; i++)); do
	printf -v id '%s-e%06x' "${one%-*}" "$i"
	printf '%s\n' "${text//"$one"/"$id"}" >"$state/cores/$id.json"
done
chown -R "$owner:$owner" "$state/cores"
find "$state/cores" -name '*.json' -exec chmod 0600 {} +
cf tick
# Others' programs crash as well on a busy machine.
ours() { grep -rlE "\"uid\": ?$1" "$state/cores" | wc -l; }
left=$(ours '3000[12]')
holds "of 10,104 records 10,000 stay ($left)" test "$left" -le 10000 -a "$left" -gt 9900
is 'and the user with few has lost none' "$(ours 30002)" 3
finish
