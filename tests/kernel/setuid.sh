#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that had more rights than their user: what arrives under each suid_dumpable, and
# that the user can read nothing of it, neither by a file nor by a command.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
need setcap
enable
chmod 0755 "$base"/victim-* "$base/corefold"

cp "$base/victim-abort" "$base/suid"
chown 0:0 "$base/suid"
chmod 4755 "$base/suid"
cp "$base/victim-abort" "$base/capable"
chmod 0755 "$base/capable"
setcap cap_net_raw+ep "$base/capable" || skip 'the file system has no capabilities of files'
cp "$base/victim-abort" "$base/unreadable" # execute only: not dumpable either
chmod 0711 "$base/unreadable"

as_user() { setpriv --reuid=30001 --regid=30001 --clear-groups "$@"; }
arrived() { cf list --json | jq -r --arg p "$1" '[.[] | select(.process == $p)] | length'; }
modes() { cf list --json | jq -r '.[].id' | while read -r id; do
	cf info --json "$id" | jq -r '"\(.process) \(.uid) \(.dumpable)"'
done | sort | uniq | xargs; }

# The user is told nothing and reads nothing.
shut() { # CLAIM
	local file word
	is "$1: directories are the owner's alone" \
		"$(find "$state" -type d \( ! -perm 0700 -o ! -user "$owner" \))" ''
	is "$1: files, too" "$(find "$state" -type f \( ! -perm 0600 -o ! -user "$owner" \))" ''
	is "$1: no list grants more" "$(getfacl -cpR "$state" 2>/dev/null | grep -c '^user:[^:]')" 0
	for file in "$state" "$state/cores" "$state/throttle" "$state"/cores/*; do
		! as_user test -r "$file" || failed "$1: the user reads $file"
	done
	for word in list info status summary "dump -o $base/go/x" debug export prune tick; do
		# shellcheck disable=SC2086 # words
		! as_user "$base/corefold" $word -C "$conf" </dev/null >"$base/out" 2>&1 ||
			failed "$1: $word is refused to the user"
		! grep -q 'suid\|capable\|redump\|read-as-root' "$base/out" || failed "$1: $word tells nothing"
	done
	is "$1: nothing was written for the user" "$(find "$base/go" -type f | wc -l)" 0
}
mkdir -m 0777 "$base/go"

for mode in 0 1 2; do
	new_state
	echo "$mode" >/proc/sys/fs/suid_dumpable
	crash -u 30001 "$base/suid"
	crash -u 30001 "$base/capable"
	crash -u 30001 "$base/unreadable"
	"$base/victim-redumpable" 30001 2>/dev/null
	"$base/victim-redumpable" 30001 keep 2>/dev/null
	settle
	case $mode in
	0) wanted='victim-redumpable 30001 1' ;;
	1) wanted='capable 30001 1 suid 30001 1 unreadable 30001 1 victim-redumpable 30001 1' ;;
	2) wanted='capable 30001 2 suid 30001 2 unreadable 30001 2 victim-redumpable 30001 1 victim-redumpable 30001 2' ;;
	esac
	is "suid_dumpable $mode: these arrive, with the kernel's word for it" "$(modes)" "$wanted"
	holds "suid_dumpable $mode: the ledger adds up" ledger_holds
	shut "suid_dumpable $mode"
done
id=$(cf list --json | jq -r '[.[] | select(.process == "victim-redumpable")][-1].id')
cf dump -o "$base/core" "$id" 2>/dev/null
holds 'what a daemon read as root is in its core: that is why' grep -q read-as-root "$base/core"
is 'a dumped core is its caller'"'"'s alone, too' "$(stat -c %a "$base/core")" 600
finish
