# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # base is the sourcing test's
#
# What a test in bash says: verdicts, one line each, and what it cannot do without; and its
# configuration. base is the test's temporary directory.

skip() { echo "skipped: $*"; exit 77; }
# A test that cannot go on.
die() { printf 'not ok - %s\n' "$*"; exit 1; }

# need TOOL...
need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
}

# Counted in files: a check may stand behind a pipe.
passed() { echo "$1" >>"$base/passed"; printf 'ok - %s\n' "$1"; }
failed() { echo "$1" >>"$base/failed"; printf 'not ok - %s\n' "$1"; }

# write_config [LINE...]: $conf, of a state in $state that has all the room there is
write_config() {
	printf '[Store]\nDirectory=%s\nMaxUse=90%%\nKeepFree=0%%\n' "$state" >"$conf"
	[ $# -eq 0 ] || printf '%s\n' "$@" >>"$conf"
}

# is CLAIM GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		passed "$1"
	else
		failed "$1"
		printf '  got:    %s\n  wanted: %s\n' "$2" "$3"
	fi
}

# holds CLAIM COMMAND...
holds() {
	local claim=$1
	shift
	if "$@"; then passed "$claim"; else failed "$claim (${*:0:4})"; fi
}

# fails CLAIM COMMAND...
fails() {
	local claim=$1
	shift
	if "$@"; then failed "$claim (${*:0:4})"; else passed "$claim"; fi
}

# matches CLAIM TEXT EXTENDED-REGULAR-EXPRESSION
matches() {
	if grep -Eq -- "$3" <<<"$2"; then
		passed "$1"
	else
		failed "$1"
		printf '  text:   %s\n  wanted: %s\n' "$2" "$3"
	fi
}

finish() {
	touch "$base/passed" "$base/failed"
	printf '%d passed, %d failed\n' "$(wc -l <"$base/passed")" "$(wc -l <"$base/failed")"
	[ ! -s "$base/failed" ]
	exit
}
