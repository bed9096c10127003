# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The real binary on recorded input, as a plain user: no root, no kernel setting, nothing
# outside of one temporary directory. Started by root it becomes nobody first.

set -u

COREFOLD=${COREFOLD:?the program to test}
VICTIMS=${VICTIMS:?the directory of the victim programs}

base=
conf=
state=

# shellcheck source=tests/checks.sh
. "${BASH_SOURCE[0]%/*}/../checks.sh" || exit 1

# Whether programs of this build run on this machine's own processor: scripts/worlds says
# where they do not. A debugger sees the emulator there.
need_processor() { [ -z "${COREFOLD_TEST_EMULATED:-}" ] || skip 'victims run under an emulator'; }

# Whether corefold-unwind answers: it does not without its filter, which no emulator has.
can_unwind() { [ -x "${COREFOLD%/*}/corefold-unwind" ] && [ -z "${COREFOLD_TEST_EMULATED:-}" ]; }

# pipe_setup "$0" "$@": a plain user from here on.
pipe_setup() {
	if [ "$(id -u)" -eq 0 ]; then
		need setpriv
		exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
			env HOME=/nonexistent bash "$@" || skip 'cannot become nobody'
	fi
	need jq
	[ -x "$COREFOLD" ] || skip "the build directory is not readable for uid $(id -u)"
	base=$(mktemp -d "${TMPDIR:-/tmp}/corefold-pipe.XXXXXX") || die 'no temporary directory'
	chmod 0755 "$base"
	trap 'rm -rf "$base"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	cd "$base" || die 'cannot enter the temporary directory'
	new_state
}

# shellcheck disable=SC2120 # the lines are for the tests
# new_state [LINE...]: an empty state, and a configuration with these lines in it.
new_state() {
	state=$base/state
	conf=$base/c.conf
	rm -rf "$state"
	mkdir -m 0700 "$state"
	write_config "$@"
}

cf() {
	local command=$1
	shift
	"$COREFOLD" "$command" -C "$conf" "$@"
}

# try STATUS LINES CLAIM ARGUMENT...: the exit status is that, and stderr has so many lines
# (of which the first begins with the program's name). stdout is in $out, stderr in $err.
try() {
	local status=$1 lines=$2 claim=$3 got
	shift 3
	"$COREFOLD" "$@" >"$base/out" 2>"$base/err" </dev/null
	got=$?
	# shellcheck disable=SC2034 # for the tests
	out=$(cat "$base/out") err=$(cat "$base/err")
	if [ "$got" != "$status" ]; then
		failed "$claim: exit status $got, not $status"
		sed 's/^/  /' "$base/err"
	elif [ "$(wc -l <"$base/err")" != "$lines" ]; then
		failed "$claim: $(wc -l <"$base/err") lines on stderr, not $lines"
		sed 's/^/  /' "$base/err"
	elif grep -q 'Sanitizer\|runtime error' "$base/err"; then
		failed "$claim: a sanitizer has found something"
		sed 's/^/  /' "$base/err"
	else
		passed "$claim"
	fi
}

# A crash of a program that is there: program, its build_id, the id of its record. What
# commands leave in TMPDIR shows by litter.
# shellcheck disable=SC2034 # for the tests
import_worker() {
	gdb=/usr/bin/gdb
	need $gdb
	need_processor
	[ -x "${COREFOLD%/*}/corefold-unwind" ] ||
		skip 'needs corefold-unwind: it finds the build-ids'
	export TMPDIR=$base/tmp
	program=$base/bin/worker
	mkdir "$TMPDIR" "$base/bin"
	cp "$VICTIMS/victim-threads" "$program"
	$gdb -nx -batch -ex run -ex "generate-core-file $base/core" "$program" >"$base/gdb.log" 2>&1
	[ -s "$base/core" ] || skip 'no process can be traced here'
	cf replay --import "$base/core" >/dev/null 2>&1
	id=$(cf list --json | jq -r '.[0].id')
	build_id=$(readelf -n "$program" | sed -n 's/.*Build ID: //p')
}
litter() { find "$TMPDIR" -mindepth 1 -maxdepth 1; }
