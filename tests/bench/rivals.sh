# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/bench and tests/kernel/lib.sh set variables of this file
#
# scripts/bench --rivals: corefold beside systemd-coredump and minicoredumper, and beside
# what cannot be spared, for programs of several kinds.
#
# Debian's packages of the two exclude one another and any other crash handler, and set
# core_pattern when they are installed. So they are unpacked below the build directory, and
# only the libraries they need are installed.

RIVAL_LIBRARIES=(systemd libsystemd-shared libdw1 libelf1 libjson-c5 liblz4-1 libzstd1 liblzma5)
SYSTEMD_SOCKET=/run/systemd/coredump
SYSTEMD_STORE=/var/lib/systemd/coredump

declare -A RIVAL_PATTERN=()
RIVALS=() # in the order of the table
socket_job=
made_socket=no
made_store=no

# ---- getting them ----

# unpack PACKAGE[=VERSION] PROGRAM
unpack() {
	local into=$BUILD/rivals
	[ ! -x "$into/$2" ] || return 0
	mkdir -p "$into"
	(cd "$into" && rm -f "${1%%=*}"_*.deb && apt-get download -qq "$1" >/dev/null 2>&1 &&
		dpkg-deb -x "${1%%=*}"_*.deb .)
}

# Where the rivals cannot be had the rest is measured all the same.
rivals_get() {
	local version
	command -v dpkg-query >/dev/null || { echo 'rivals: only known from Debian: left out'; return; }
	(. scripts/lib.sh && install_packages "${RIVAL_LIBRARIES[@]}") || return
	version=$(dpkg-query -W -f='${Version}' libsystemd-shared)
	unpack "systemd-coredump=$version" lib/systemd/systemd-coredump ||
		echo "systemd-coredump $version, which fits libsystemd-shared, is not to be had: left out"
	unpack minicoredumper usr/sbin/minicoredumper ||
		echo 'minicoredumper is not to be had: left out'
}

# ---- starting them ----

# What systemd-coredump.socket does. A socket that listens already is systemd's own.
# systemd_start [ENVIRONMENT-OPTION PROGRAM]
systemd_start() {
	local service=("$base/systemd-coredump")
	[ $# -eq 0 ] || service=("$@")
	[ -d "$SYSTEMD_STORE" ] || { mkdir -p "$SYSTEMD_STORE" && made_store=yes; }
	[ "$made_socket" = yes ] || ! grep -q " $SYSTEMD_SOCKET\$" /proc/net/unix || return 0
	made_socket=yes
	mkdir -p "${SYSTEMD_SOCKET%/*}"
	rm -f "$SYSTEMD_SOCKET"
	setpriv --pdeathsig TERM systemd-socket-activate --seqpacket -a -l "$SYSTEMD_SOCKET" \
		"${service[@]}" >/dev/null 2>&1 9>&- &
	socket_job=$!
	until grep -q " $SYSTEMD_SOCKET\$" /proc/net/unix; do
		kill -0 "$socket_job" 2>/dev/null || die 'systemd-socket-activate has ended'
		sleep 0.05
	done
}

systemd_stop() {
	[ -n "$socket_job" ] || return 0
	kill "$socket_job" 2>/dev/null
	wait "$socket_job" 2>/dev/null
	socket_job=
}

rivals_start() {
	local unpacked=$BUILD/rivals
	RIVALS=(empty copy discard corefold)
	RIVAL_PATTERN=([empty]="|$base/victim-empty" [copy]="|$base/bench-bound copy %P"
		[discard]="|$base/bench-bound discard"
		[corefold]="|$base/corefold handle -C$keep $specifiers")
	cp "$BUILD"/tests/bench/bench-{bound,timed,victim} "$base/"
	if [ -x "$unpacked/lib/systemd/systemd-coredump" ]; then
		cp "$unpacked/lib/systemd/systemd-coredump" "$base/"
		systemd_start
		RIVALS+=(systemd)
		RIVAL_PATTERN[systemd]="|$base/systemd-coredump %P %u %g %s %t %c %h"
	fi
	if [ -x "$unpacked/usr/sbin/minicoredumper" ]; then
		# As it comes: stacks of all threads and what gdb needs, gzip in a tar.
		mkdir -p "$base/mini/cores"
		cp "$unpacked"/etc/minicoredumper/generic.recept.json "$base/mini/"
		cp "$unpacked/usr/sbin/minicoredumper" "$base/"
		jq --arg d "$base/mini" '.base_dir = $d + "/cores"
			| .watch[].recept = $d + "/generic.recept.json"' \
			"$unpacked/etc/minicoredumper/minicoredumper.cfg.json" >"$base/mini/cfg"
		RIVALS+=(mini)
		RIVAL_PATTERN[mini]="|$base/minicoredumper %P %u %g %s %t %h %e $base/mini/cfg"
	fi
}

rivals_stop() {
	systemd_stop
	[ "$made_socket" = no ] || rm -f "$SYSTEMD_SOCKET"
	[ "$made_store" = no ] || rmdir "$SYSTEMD_STORE" 2>/dev/null
}

# ---- one crash ----

# Handlers of this run, which work on behind their victims' backs.
others_running() {
	local exe
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe" 2>/dev/null) in
		"$base"/*) return 0 ;;
		esac
	done
	return 1
}

# A smaller capture would be no comparison.
check_whole() {
	[ "$(jq -r '"\(.capture) \(.complete) \(.source)"' "$1")" = 'full true mem' ] ||
		die "corefold captured less than the whole: $(jq -c '{capture, capture_reason,
			source, complete, incomplete_reason}' "$1")"
}

# stored HANDLER FILE: bytes of the core, which goes
stored() {
	local file
	case $1 in
	corefold)
		file=$kept/cores/${2%.json}
		check_whole "$file.json" >&2
		stat -c %s "$file.core.gz" && rm -f "$file.core.gz" "$file.json"
		;;
	systemd)
		stat -c %s "$SYSTEMD_STORE/$2" && rm -f "${SYSTEMD_STORE:?}/$2"
		;;
	mini)
		du -sb "$base/mini/cores" | cut -f 1
		rm -rf "$base/mini/cores"
		mkdir "$base/mini/cores"
		;;
	*) echo 0 ;;
	esac
}

# Whatever else crashes on this machine meanwhile comes to the same handler.
is_ours() { # HANDLER FILE PID
	case $1 in
	corefold) [ "$(jq .pid "$kept/cores/$2")" = "$3" ] ;;
	systemd) [[ $2 == *."$3".* ]] ;;
	*) true ;;
	esac
}

# crash_under HANDLER COMMAND...: $measured is "HELD TOTAL STORED" in nanoseconds and bytes
crash_under() {
	local handler=$1 watch=() held total file pid bytes try
	shift
	case $handler in
	corefold) watch=(-d "$kept/cores" -s .json) ;;
	systemd) watch=(-d "$SYSTEMD_STORE" -s .zst) ;;
	esac
	for try in 1 2 3; do
		read -r held total file pid < <(timeout 300 "$base/bench-timed" "${watch[@]}" "$@" 2>&1)
		[ -n "$pid" ] || die "$handler: a crash could not be measured: $held $total"
		while others_running; do sleep 0.02; done
		! is_ours "$handler" "$file" "$pid" || break
		[ "$try" -lt 3 ] || die "$handler: others crash all the time"
	done
	measured_file=$file
	bytes=0
	[ -n "${KEEP_CORE:-}" ] || bytes=$(stored "$handler" "$file") || die "$handler: no core"
	measured="$held $total $bytes"
}

# A crash of its own, with a program around the handler that waits for its end: $peak is
# the KiB of the handler's largest process (VmHWM), helpers included.
peak_under() {
	local handler=$1 around=$base/around.$1
	shift
	mkdir -p "$around"
	cp "$base/victim-peak" "$around/"
	rm -f "$around/peak"
	case $handler in
	corefold)
		ln -sf "$base/corefold" "$around/peak-of"
		set_pattern "|$around/victim-peak handle -C$keep $specifiers"
		;;
	mini)
		ln -sf "$base/minicoredumper" "$around/peak-of"
		set_pattern "|$around/victim-peak %P %u %g %s %t %h %e $base/mini/cfg"
		;;
	systemd)
		ln -sf "$base/systemd-coredump" "$around/peak-of"
		systemd_stop
		systemd_start "$around/victim-peak"
		set_pattern "${RIVAL_PATTERN[systemd]}"
		;;
	esac
	crash_under "$handler" "$@"
	peak=$(head -n 1 "$around/peak")
	if [ "$handler" = systemd ]; then
		systemd_stop
		systemd_start
	fi
}

# ---- one victim ----

# At ratio of medians: cell COLUMN HANDLER
cell() {
	local value
	[ -e "$base/$1.$2" ] || return 1
	read -r value _ < <(figures "$base/$1.$2")
	echo "$value"
}

victim_table() {
	local h
	printf '  %-10s %10s %9s %10s %10s %11s %9s\n' handler 'held ms' '/ empty' '/ systemd' \
		'total ms' 'stored KiB' 'peak MiB'
	for h in "${RIVALS[@]}"; do
		awk -v h="$h" -v held="$(cell held "$h")" -v empty="$(cell held empty)" \
			-v systemd="$(cell held systemd || echo 0)" -v total="$(cell total "$h")" \
			-v stored="$(cell stored "$h")" -v peak="$(cell peak "$h" || echo 0)" '
			function or(text, x) { return x > 0 ? text : "-" }
			BEGIN { printf "  %-10s %10.2f %8.2fx %10s %10s %11s %9s\n", h, held / 1e6,
				held / empty, or(sprintf("%.4f", held / (systemd + !systemd)), systemd),
				or(sprintf("%.1f", total / 1e6), stored),
				or(sprintf("%.0f", stored / 1024), stored),
				or(sprintf("%.1f", peak / 1024), peak) }'
		note --arg victim "$1" --arg handler "$h" --argjson held_ns "$(cell held "$h")" \
			--argjson total_ns "$(cell total "$h")" --argjson peak_kib "$(cell peak "$h" || echo null)" \
			--argjson stored_bytes "$(cell stored "$h")" '$ARGS.named'
	done
}

# compared CLAIM COLUMN HANDLER LIMIT: corefold's figure over another's
compared() {
	[ ! -e "$base/$2.$3" ] || target "$1" "$(ratio "$base/$2.corefold" "$base/$2.$3")" "$4" x
}

# victim_targets NAME: what is promised of it
victim_targets() {
	local limit=0.1
	[ "$1" != sparse ] || limit=0.005
	compared "$1: held, of systemd-coredump's" held systemd "$limit"
	case $1 in
	tiny) compared "$1: held, of the empty handler's" held empty 10 ;;
	*) compared "$1: held, of copying the pages once" held copy 1.5 ;;
	esac
	if [ "$1" != random ]; then
		compared "$1: total, of systemd-coredump's" total systemd 0.333
		compared "$1: size, of systemd-coredump's" stored systemd 1.8
	fi
	target "$1: most memory, Buffer and 32 MiB" \
		"$(awk -v k="$(cell peak corefold)" 'BEGIN { printf "%.1f", k / 1024 }')" 288 ' MiB'
}

# victim NAME ROUNDS WHAT COMMAND...
victim() {
	local name=$1 rounds=$2 what=$3 column i h
	wanted "$name" || return 0
	shift 3
	rm -f "$base"/{held,total,stored,peak}.*
	for ((i = 0; i < rounds; i++)); do
		[ "$i" -eq 0 ] || kernel_again # others want the kernel, too
		for h in "${RIVALS[@]}"; do
			set_pattern "${RIVAL_PATTERN[$h]}"
			crash_under "$h" "$@"
			for column in held total stored; do
				echo "${measured%% *}" >>"$base/$column.$h"
				measured=${measured#* }
			done
		done
	done
	kernel_again
	for h in corefold systemd mini; do
		[ -n "${RIVAL_PATTERN[$h]:-}" ] || continue
		peak_under "$h" "$@"
		echo "$peak" >"$base/peak.$h"
	done
	echo "$name: $what ($rounds crashes each; medians)"
	victim_table "$name"
	victim_targets "$name"
}

# How long a command takes, in nanoseconds, into a file.
timed() { # FILE COMMAND...
	local file=$1 from=${EPOCHREALTIME/./}
	shift
	"$@" >/dev/null || die "failed: $*"
	echo $(((${EPOCHREALTIME/./} - from) * 1000)) >>"$file"
}

# What was stored has to come back: beside zcat, which reads it as well.
dump_part() {
	local i stored
	wanted dump || return 0
	set_pattern "${RIVAL_PATTERN[corefold]}"
	KEEP_CORE=yes crash_under corefold "$base/bench-victim" heap
	stored=${measured_file%.json}
	kernel_again
	rm -f "$base"/times.*
	for ((i = 0; i < ROUNDS; i++)); do
		timed "$base/times.corefold" "$base/corefold" dump -C "$keep" "$stored"
		timed "$base/times.zcat" zcat "$kept/cores/$stored.core.gz"
	done
	echo "decompressing a core of 256 MiB of records ($ROUNDS times each; median, quartiles)"
	row zcat "$base/times.zcat" "$base/times.zcat"
	row corefold "$base/times.corefold" "$base/times.zcat"
	target 'dump, of zcat'"'"'s time' "$(ratio "$base/times.corefold" "$base/times.zcat")" 0.333 x
}

PYTHON_VICTIM='
import time
a = [{"id": i, "name": "object %d" % i, "next": None} for i in range(300000)]
print("ready", flush=True)
time.sleep(600)'
NODE_VICTIM='
const a = [];
for (let i = 0; i < 300000; i++) a.push({id: i, name: "object " + i, next: a[i >> 1]});
console.log("ready");
setTimeout(() => a.length, 600000);'

rivals_run() {
	rivals_start
	victim tiny "$ROUNDS" 'a tiny C program' "$base/bench-victim" tiny
	victim heap "$ROUNDS" '256 MiB of records' "$base/bench-victim" heap
	victim random "$ROUNDS" '256 MiB of random bytes' "$base/bench-victim" random
	victim sparse $((ROUNDS > 3 ? 3 : ROUNDS)) '4 GiB mapped, 1 % touched' "$base/bench-victim" sparse
	victim threads "$ROUNDS" '200 threads' "$base/bench-victim" threads
	if command -v python3 >/dev/null; then
		victim python "$ROUNDS" 'Python with 300,000 objects' python3 -c "$PYTHON_VICTIM"
	else
		echo 'python: left out, there is no python3'
	fi
	if command -v node >/dev/null; then
		victim node "$ROUNDS" 'Node with 300,000 objects' node -e "$NODE_VICTIM"
	else
		echo 'node: left out, there is no node'
	fi
	dump_part
	rivals_stop
}
