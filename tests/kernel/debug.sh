#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What root debugs, root does not run: who the debugger is, and what it can reach.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
[ -x /usr/bin/gdb ] || skip 'needs gdb'
[ -x "${COREFOLD%/*}/corefold-unwind" ] || skip 'needs corefold-unwind: it finds the build-ids'
kernel_setup
enable
cf tick
mkdir -m 0700 "$base/secret"
mkdir -m 1777 "$base/tmp"
cp "$base/victim-threads" "$base/secret/"
crash "$base/victim-threads"
crash "$base/secret/victim-threads"
settle
cf disable >/dev/null
first=$(cf list --json | jq -r '.[0].id')

# shellcheck disable=SC2016 # expanded in there
# asked QUESTION [VARIABLE=VALUE...]: what the shell answers inside of the debugger.
asked() {
	local question=$1
	shift
	env -u SUDO_UID -u SUDO_GID TMPDIR="$base/tmp" "$@" "$base/corefold" debug -C "$conf" "$first" \
		-A "-batch -ex 'shell $question'" 2>"$base/err" </dev/null | grep -v '^\[New\|^#\|^[0-9]*	'
}

matches 'the frames are those of the record' \
	"$(TMPDIR=$base/tmp cf debug "$first" -A '-batch -ex bt' 2>/dev/null </dev/null)" 'in stumble \('
is 'root is nobody in there' "$(asked 'echo =$(id -u):$(id -g):$(id -G)' | grep ^=)" '=65534:65534:65534'
is 'with sudo it is who asked' \
	"$(asked 'echo =$(id -u):$(id -g):$(id -G)' SUDO_UID=4711 SUDO_GID=4712 | grep ^=)" '=4711:4712:4712'
is 'nobody also for a sudo of root' "$(asked 'echo =$(id -u)' SUDO_UID=0 SUDO_GID=0 | grep ^=)" '=65534'
is 'no capability, and none to be had' \
	"$(asked 'grep -E "^(Cap|NoNewPrivs)" /proc/self/status' | grep -E '^(Cap[IPEA]|NoNew)' | awk '{ print $2 }' | sort -u | xargs)" \
	'0000000000000000 1'
is 'the store is out of reach' "$(asked "ls $state/cores; echo =\$?" SUDO_UID=4711 SUDO_GID=4711 2>&1 | grep '^=')" '=2'
is 'and no descriptor leads into it' \
	"$(asked 'ls -l /proc/$PPID/fd' | grep -c "$state")" 0
matches 'what its user may not read is not used' \
	"$(TMPDIR=$base/tmp cf debug last -A -batch 2>&1 </dev/null)" 'no executable: .*secret.*Permission denied'
is 'nothing is left behind' "$(find "$base/tmp" -mindepth 1)" ''
finish
