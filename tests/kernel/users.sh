#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Users do not throttle each other, and a name is whatever its owner wants it to be.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
enable
chmod 0755 "$base"/victim-*

# ---- two users, one program name ----

crash -t 20 -u 30001 -n shared "$base/victim-abort"
crash -t 3 -u 30002 -n shared "$base/victim-abort"
settle
of_uid() {
	cf status --json | jq -r --argjson u "$1" '.processes[]
		| select(.process == "shared" and .uid == $u)
		| [.crashes, .folded, .kept_weight, .pending, .throttled] | join(" ")'
}
is 'the user whose program loops is throttled' "$(of_uid 30001)" '20 11 18 2 true'
is 'the other one is not' "$(of_uid 30002)" '3 0 3 0 false'
holds 'the ledger adds up' ledger_holds

# ---- names ----

new_state
log_mark
escape=$'\e]0;owned\a\e[31mred'
long=$(printf 'x%.0s' {1..300})
crash -n $'line\nbreak' "$base/victim-abort"
crash -n "$escape" "$base/victim-abort"
crash -n '/usr/../etc/passwd' "$base/victim-abort"
crash -n '../../../tmp/x' "$base/victim-abort"
crash -n "$long" "$base/victim-abort"
crash -n "${long}y" "$base/victim-abort"
crash -n '' "$base/victim-abort"
crash -e "$base/victim-abort"
crash -n '%s%n%p' "$base/victim-abort"
crash -n $'\xff\xfe' "$base/victim-abort"
crash -n ') R 1 1' "$base/victim-abort" ') R 1 1'
crash -n comm "$base/victim-abort" $'\n\e[2Jc'
crash -n "\"quoted\"\\\\" "$base/victim-abort"
settle

is 'all are counted' "$(status .crashes)" 13
is 'all are kept' "$(cf list --json | jq length)" 13
holds 'the ledger adds up' ledger_holds
names=$(cf list --json | jq -r '.[].process')
is 'a newline is escaped' "$(grep -cxF 'line\x0abreak' <<<"$names")" 1
is 'an escape sequence is escaped' "$(grep -cF '\x1b]0;owned\x07\x1b[31mred' <<<"$names")" 1
is 'a path leaves its last component' "$(grep -cxF passwd <<<"$names")" 1
is 'also a relative one' "$(grep -cxF x <<<"$names")" 1
is 'no argv[0] leaves the executable' "$(grep -cxF victim-abort <<<"$names")" 2
is 'long names are cut and stay different' "$(grep -c '^xxxxx.*~' <<<"$names")" 2
is 'a format is a name' "$(grep -cxF '%s%n%p' <<<"$names")" 1
is 'bytes that are no text are escaped' "$(grep -cxF '\xff\xfe' <<<"$names")" 1
is 'a name that mimics /proc/PID/stat is a name' "$(grep -cxF ') R 1 1' <<<"$names")" 1

for command in list status summary; do
	cf "$command" >"$base/out" 2>&1
	fails "$command prints no control byte" env LC_ALL=C grep -q '[^ -~]' "$base/out"
done
is 'list has one line for each, and a heading' "$(cf list | wc -l)" 14
is 'list --json is an array' "$(cf list --json | jq -r type)" array
for id in $(cf list --json | jq -r '.[].id'); do
	cf info --json "$id" >"$base/out" || failed "info --json $id"
	jq -e . "$base/out" >/dev/null || failed "info --json $id is JSON"
	cf info "$id" >"$base/out" || failed "info $id"
	! LC_ALL=C grep -q '[^ -~]' "$base/out" || failed "info $id prints a control byte"
done
log_text | grep -F "corefold[" >"$base/log"
is 'each was logged in one line' "$(grep -c 'kept 2' "$base/log")" 13
fails 'no log line has a control byte' env LC_ALL=C grep -q '[^ -~]' "$base/log"
is 'records are files named by their ids' "$(cd "$state/cores" && find . -type f |
	grep -Evc '^\./[0-9T]+-[0-9a-f]+\.(core\.gz|json)$')" 0
is 'they are for their owner only' "$(find "$state" -type f ! -perm 0600 | wc -l)" 0
is 'and are the owner'"'"'s' "$(find "$state" ! -user "$owner" | wc -l)" 0

# ---- throttling by a name that is escaped ----

crash -t 8 -n $'line\nbreak' "$base/victim-abort"
settle
is 'an escaped name is throttled as any' "$(of 'line\x0abreak' crashes folded)" '9 1'
finish
