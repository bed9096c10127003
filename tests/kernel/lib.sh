# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What every test on the real kernel needs: the machine's lock, the kernel's settings put
# back on every way out, a state of its own, and questions to corefold.
#
# The settings are put back by the EXIT trap. A watchdog in a session of its own does it if
# the test is killed with SIGKILL; it holds the lock until it has, so the next test never
# saves what this one had set.

set -u

COREFOLD=${COREFOLD:?the program to test}
VICTIMS=${VICTIMS:?the directory of the victim programs}
LOCK_FILE=/run/corefold-test.lock
LOCK_WAIT_S=900
SAVED_FILE=/run/corefold.saved
SETTINGS='/proc/sys/kernel/core_pattern /proc/sys/kernel/core_pipe_limit
	/proc/sys/fs/suid_dumpable /proc/sys/kernel/printk_devkmsg'

base=
conf=
state=
owner=
watchdog=
log_mark=

# shellcheck source=tests/checks.sh
. "${BASH_SOURCE[0]%/*}/../checks.sh" || exit 1

# ---- the kernel's settings ----

save_settings() {
	local file i=0
	for file in $SETTINGS; do
		cat "$file" >"$base/settings.$i" || die "cannot read $file"
		i=$((i + 1))
	done
	[ ! -e "$SAVED_FILE" ] || cp -p "$SAVED_FILE" "$base/settings.saved"
}

# With the pattern first: suid_dumpable 2 and a plain pattern make the kernel complain.
restore_settings() {
	local file i=0
	[ -e "$base/settings.0" ] || return 0 # nothing is taken
	for file in $SETTINGS; do
		cat "$base/settings.$i" >"$file" || echo "cannot put back $file" >&2
		i=$((i + 1))
	done
	rm -f "$SAVED_FILE" /run/corefold.lock
	[ ! -e "$base/undo" ] || sh "$base/undo"
	[ ! -e "$base/settings.saved" ] || cp -p "$base/settings.saved" "$SAVED_FILE"
}

# undo_by COMMAND: on every way out, before what was to be undone later.
undo_by() {
	{ echo "$1"; cat "$base/undo" 2>/dev/null; } >"$base/undo.new"
	mv "$base/undo.new" "$base/undo"
}

# set_sysctl FILE VALUE: until the test ends; false when it cannot be.
set_sysctl() {
	undo_by "echo $(cat "$1") >$1"
	echo "$2" 2>/dev/null >"$1"
}

start_watchdog() {
	export -f restore_settings
	export SETTINGS SAVED_FILE base
	# shellcheck disable=SC2016 # expanded by the watchdog
	setsid bash -c 'trap "" INT TERM HUP
		tail --pid="$1" -s 0.2 -f /dev/null
		restore_settings
		rm -rf "$base"' watchdog $$ </dev/null >/dev/null 2>&1 &
	watchdog=$!
}

clean_up() {
	local status=$? job
	trap '' INT TERM HUP
	for job in $(jobs -p); do
		[ "$job" = "$watchdog" ] || kill -KILL "$job" 2>/dev/null
	done
	if [ -n "$watchdog" ]; then
		restore_settings
		kill -KILL -- "-$watchdog" 2>/dev/null
		wait "$watchdog" 2>/dev/null
	fi
	! mountpoint -q "$base/small" 2>/dev/null || umount -l "$base/small"
	[ -z "$base" ] || rm -rf "$base"
	exit "$status"
}

# ---- setting up ----

# For long runs: whoever waits for the kernel's settings has a turn.
kernel_release() {
	restore_settings
	rm -f "$base"/settings.*
	flock -u 9
}

kernel_again() {
	kernel_release
	sleep 0.2
	flock -w "$LOCK_WAIT_S" 9 || die "another kernel test holds $LOCK_FILE"
	save_settings
	echo 256 >/proc/sys/kernel/core_pipe_limit
}

kernel_setup() {
	[ "$(id -u)" -eq 0 ] || skip 'needs root: core_pattern is to be set'
	need jq flock setsid setpriv
	exec 9>"$LOCK_FILE" || skip "cannot open $LOCK_FILE"
	flock -w "$LOCK_WAIT_S" 9 || die "another kernel test holds $LOCK_FILE"
	[ -w /proc/sys/kernel/core_pattern ] || skip 'core_pattern cannot be written here'
	base=$(mktemp -d /var/tmp/cf.XXXXXX) || die 'cannot make a directory in /var/tmp'
	chmod 0755 "$base"
	trap clean_up EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	save_settings
	start_watchdog
	cat "$base/settings.0" >/proc/sys/kernel/core_pattern 2>/dev/null ||
		skip 'core_pattern cannot be written here'
	echo on >/proc/sys/kernel/printk_devkmsg 2>/dev/null # no log line is to be dropped
	cp "$COREFOLD" "$base/corefold"
	cp "$(dirname "$COREFOLD")"/corefold-keep "$base/"
	[ ! -x "$(dirname "$COREFOLD")/corefold-unwind" ] ||
		cp "$(dirname "$COREFOLD")/corefold-unwind" "$base/"
	find "$VICTIMS" -maxdepth 1 -type f -name 'victim-*' -exec cp {} "$base/" \;
	owner=$(id -u corefold 2>/dev/null || id -u nobody)
	new_state
	log_mark
}

# shellcheck disable=SC2120 # the lines are for the tests
# new_state [LINE...]: an empty state, and a configuration with these lines in it.
new_state() {
	state=$base/state
	conf=$base/c.conf
	rm -rf "$state" "$state.d"
	mkdir -m 0700 "$state"
	chown "$owner:$owner" "$state"
	write_config "$@"
}

# ---- the program ----

cf() {
	local command=$1
	shift
	"$base/corefold" "$command" -C "$conf" "$@"
}

enable() { cf enable >/dev/null || die 'cannot enable'; }

set_pattern() {
	printf '%s' "$1" >/proc/sys/kernel/core_pattern
	[ "$(cat /proc/sys/kernel/core_pattern)" = "$1" ] || die "pattern too long: $1"
}

# What the kernel's pattern says behind `handle`.
# shellcheck disable=SC2034 # for the tests
specifiers='-P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d -F%F'

# A victim whose handler never ends must not keep the lock.
crash() { "$base/victim-crasher" "$@" 9>&-; }

# A handler that ends is without its program before it is without its files, and with them
# it still holds its place in the ledger. A thread of it may be the last to let go of them.
handler_ends() { # /proc/PID
	local comm
	read -r comm <"$1/comm" || return
	[[ $comm = corefold* ]] || return
	set -- "$1"/task/*
	[ $# -gt 1 ] || ! grep -q '^State:.*Z' "$1/status"
} 2>/dev/null
handlers_running() {
	local process
	for process in /proc/[0-9]*; do
		case $(readlink "$process/exe" 2>/dev/null) in
		"$base"/corefold*) return 0 ;;
		'') ! handler_ends "$process" || return 0 ;;
		esac
	done
	return 1
}

# in_every_way COMMAND...: of one crash, mem.gz, threads.gz and pipe.gz in $ways.
in_every_way() {
	local i
	ways=$base/ways
	rm -rf "$ways"
	mkdir "$ways"
	# Without a limit nobody waits for the handler: a small core fits into the pipe.
	echo 256 >/proc/sys/kernel/core_pipe_limit
	set_pattern "|$base/twice take $ways %P"
	(cd "$ways" && exec "$base/victim-crasher" "$@")
	for ((i = 0; i < 600; i++)); do
		grep -q '^done' "$ways/log" 2>/dev/null && break
		sleep 0.1
	done
	grep -q '^done 0$' "$ways/log"
}

# A victim is gone before its handler has done.
settle() {
	local i
	for ((i = 0; i < 300; i++)); do
		handlers_running || return 0
		sleep 0.1
	done
	die 'a handler is still running after 30 s'
}

# status FILTER: of `status --json`, by jq.
status() { cf status --json | jq -r "$1"; }

# of PROCESS KEY...: numbers of a process, in one line.
of() {
	local process=$1 keys
	shift
	keys=$(printf '.%s,' "$@")
	cf status --json | jq -r --arg p "$process" \
		"[.processes[] | select(.process == \$p) | ${keys%,}] | join(\" \")"
}

# kept PROCESS: its records' weights in order.
kept() {
	cf list --json | jq -r --arg p "$1" '[.[] | select(.process == $p).weight] | join(" ")'
}

# The ledger adds up: in the totals, for each process, and against the records.
ledger_holds() {
	local wrong
	wrong=$(cf status --json | jq -c '
		def off: .crashes != .kept_weight + .pending + .in_flight + (.evicted // 0);
		[select(off), (.processes[] | select(off))
		 | {process: (.process // "total"), crashes, kept_weight, pending, in_flight, evicted}]') ||
		return 1
	[ "$wrong" = '[]' ] || { printf '  off: %s\n' "$wrong"; return 1; }
	# Files, not arguments: a storm's list is longer than a command line may be.
	wrong=$(jq -cn --slurpfile status <(cf status --json) --slurpfile list <(cf list --json) '
		[$status[0].processes[] as $p
		 | ([$list[0][] | select(.process == $p.process and .uid == $p.uid).weight] | add // 0) as $w
		 | select($w != $p.kept_weight)
		 | {process: $p.process, kept_weight: $p.kept_weight, records: $w}]') || return 1
	[ "$wrong" = '[]' ] || { printf '  records: %s\n' "$wrong"; return 1; }
	[ "$(status .in_flight)" = 0 ] || { echo '  in flight'; return 1; }
}

lock_is_free() { [ ! -e "$state/throttle" ] || flock -n "$state/throttle" true; }

# Files that do not belong to a settled state.
litter() {
	local id
	find "$state" -name '.*' -type f -printf '%f\n'
	for id in "$state"/cores/*.core.gz; do
		[ ! -e "$id" ] || [ -e "${id%.core.gz}.json" ] || echo "${id##*/}"
	done
}

# ---- the log ----

log_mark() {
	log_mark="corefold-test $$ $RANDOM$RANDOM"
	log_since=$(date +%s)
	echo "$log_mark" >/dev/kmsg
}

# What handlers have logged since the mark.
log_text() {
	if [ -S /dev/log ] && command -v journalctl >/dev/null; then
		journalctl -q -o cat --since "@$log_since" 2>/dev/null | grep -v "$log_mark"
	else
		dmesg | sed "1,/$log_mark/d"
	fi
}
