#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A state that was given to the wrong owner by a chown(1) that missed: no command moves
# anything, each says what is wrong and how to mend it, and that mends it.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
new_state
enable
crash -t 3 -n kept "$base/victim-abort"
settle
cf tick || failed 'tick'
stranger=31337

names() { (cd "$state" && find . -printf '%p %y\n' | sort); }
# mend CHECK: what doctor says to do
mend() {
	cf doctor --json --no-crash 2>/dev/null |
		jq -r --arg c "$1" '.checks[] | select(.check == $c) | "\(.verdict) \(.mend)"'
}
# refuses CLAIM NAME: every command, in one line that names it and the mend; nothing moves
refuses() {
	local command before
	before=$(names)
	for command in list info status summary tick; do
		cf "$command" >/dev/null 2>"$base/errors"
		is "$1: $command fails, in a line" "$? $(wc -l <"$base/errors")" '1 1'
		matches "$1: $command says what and how" "$(cat "$base/errors")" \
			"$state/$2 belongs to uid .*chown -R [a-z0-9]+:? $state'"
	done
	matches "$1: doctor says how" "$(mend owner)" "^fail chown -R [a-z0-9]+:? $state\$"
	matches "$1: and again for the state" "$(mend state)" "^fail chown -R [a-z0-9]+:? $state\$"
	is "$1: nothing is moved" "$(names)" "$before"
}
# mended CLAIM: what was said to do does it
mended() {
	eval "$(mend owner | sed 's/^fail //')"
	is "$1: the mend mends it" "$(of kept crashes kept_weight) $(cf list --json | jq length)" '3 3 3'
	chown -R "$owner:$owner" "$state"
}

chown root: "$state"
refuses "the directory is root's" cores
mended "the directory is root's"
chown "$stranger" "$state"
refuses "the directory is a stranger's" cores
mended "the directory is a stranger's"
chown root "$state/throttle"
refuses "the throttle file is root's" throttle
mended "the throttle file is root's"
chown "$stranger" "$state/counters" || failed 'chown'
refuses "the counters are a stranger's" counters
mended "the counters are a stranger's"

# On a read-only file system the records can be read; what needs the counts says what to do.
read_only() { # COMMAND
	unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 9
		exec "$2" "$3" -C "$4"' sh "$state" "$base/corefold" "$1" "$conf"
}
is 'read-only: list reads' "$(read_only list 2>&1 | grep -c kept)" 3
read_only status >/dev/null 2>"$base/errors"
is 'read-only: status fails, in a line' "$? $(wc -l <"$base/errors")" '1 1'
matches 'read-only: and says what can be done' "$(cat "$base/errors")" 'remount,rw.*corefold list'

# What is nobody's mistake is moved by the tick, and not by who only asks.
mv "$state/cores" "$base/records"
ln -s "$base/records" "$state/cores"
chown -h "$owner:$owner" "$state/cores"
before=$(names)
cf list >/dev/null 2>"$base/errors"
is 'a link for the store: list fails' "$?" 1
matches 'and names the command that sets it aside' "$(cat "$base/errors")" "corefold tick -C $conf'"
is 'and moves nothing' "$(names)" "$before"
cf tick 2>/dev/null || failed 'tick'
holds 'the tick does' test -L "$state/cores.bad"

# Records that were set aside are put back by what doctor says.
rm -r "$state/cores" "$state/cores.bad"
mv "$base/records" "$state/cores.bad"
matches 'no records are thrown away' "$(mend state)" '^warn .*mv -n'
is 'no removal of records is told' "$(mend state | grep -c 'rm -r')" 0
eval "$(mend state | sed -e 's/^warn //' -e "s|corefold tick|$base/corefold tick|")"
is 'and they are back' "$(cf list --json | jq length) $(mend state)" '3 ok null'
finish
