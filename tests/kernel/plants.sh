#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Something else under every name that a handler or a tick opens: links, pipes, sockets,
# devices, directories. Each crash is counted and kept, nobody waits, and where a link
# leads nothing is read, written, or changed.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
need python3
new_state
enable
chmod 0755 "$base"/victim-*
mkdir -m 0700 "$base/elsewhere"
echo untouched >"$base/elsewhere/file"
chown -R "$owner:$owner" "$base/elsewhere"

state_of_elsewhere() { stat -c '%n %s %a %u %h %Y %Z' "$base"/elsewhere "$base"/elsewhere/*; }
bind_socket() {
	python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1"
}
plant() { # KIND PATH
	rm -rf "$2"
	case $1 in
	link) ln -s "$base/elsewhere/file" "$2" ;;
	'link to a directory') ln -s "$base/elsewhere" "$2" ;;
	'link to nowhere') ln -s "$base/elsewhere/made" "$2" ;;
	'hard link') ln "$base/elsewhere/file" "$2" ;;
	pipe) mkfifo "$2" ;;
	socket) bind_socket "$2" ;;
	device) mknod "$2" c 1 5 ;;
	directory) mkdir "$2" && : >"$2/file" ;;
	file) echo nonsense >"$2" ;;
	"root's") echo nonsense >"$2" && return ;;
	writable) : >"$2" && chmod 0666 "$2" ;;
	esac
	chown -h "$owner:$owner" "$2"
}

kinds=(link 'hard link' pipe directory)
[ "${COREFOLD_TEST_ALL:-no}" = no ] ||
	kinds+=('link to a directory' 'link to nowhere' socket device file "root's" writable)
names=(throttle throttle.bad events events.bad counters counters.bad fulls cores cores.bad
	hooks signatures series loops .lock .series.new .signatures.new .counters.new)
# The temporary files too, of a handler whose pid can be guessed.
cd "$base/elsewhere" || die 'no directory'
tried=0 lost=0
for kind in "${kinds[@]}"; do
	for name in "${names[@]}"; do
		rm -rf "$state"
		mkdir -m 0700 "$state"
		mkdir -m 0700 "$state/cores"
		chown -R "$owner:$owner" "$state"
		plant "$kind" "$state/$name"
		before=$(state_of_elsewhere)
		[ "$kind" != 'hard link' ] || before=
		timeout 60 "$base/victim-crasher" -u 30001 -n planted "$base/victim-abort" 9>&-
		settle
		timeout 60 "$base/corefold" tick -C "$conf" >/dev/null 2>&1
		timeout 60 "$base/victim-crasher" -u 30001 -n planted "$base/victim-abort" 9>&-
		settle
		tried=$((tried + 1))
		# Commands refuse what is not the owner's, and say this.
		[ "$kind" != "root's" ] || chown -R "$owner:$owner" "$state"
		got=$(of planted crashes 2>/dev/null)
		records=$(cf list --json 2>/dev/null | jq '[.[] | select(.process == "planted")] | length')
		if [ "$got/$records" != 2/2 ]; then
			lost=$((lost + 1))
			echo "  a $kind as $name: crashes '$got', records '$records'"
		fi
		[ -z "$before" ] || [ "$before" = "$(state_of_elsewhere)" ] ||
			failed "a $kind as $name: something has changed where it leads"
		[ "$(cat "$base/elsewhere/file")" = untouched ] || failed "a $kind as $name: written to"
		[ ! -e "$base/elsewhere/made" ] || failed "a $kind as $name: made something elsewhere"
		rm -f "$base/elsewhere/made"
	done
done
is "of $tried plants none costs a count or a record" "$lost" 0

# The configuration and what lies beside it.
new_state
conf_d=$conf.d
mkdir -m 0755 "$conf_d"
for kind in pipe socket device directory 'link to nowhere' writable; do
	plant "$kind" "$conf_d/10.conf"
	log_mark
	crash -u 30001 -n configured "$base/victim-abort"
	settle
	matches "a $kind in the configuration is named in the log" "$(log_text)" '10\.conf'
done
rm -rf "$conf_d"
mkfifo "$conf_d"
crash -u 30001 -n configured "$base/victim-abort"
settle
rm -rf "$conf_d"
is 'and every crash is kept' "$(of configured crashes kept_weight)" '7 7'
holds 'the ledger adds up' ledger_holds
finish
