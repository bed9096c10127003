#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# One bug has one key in whatever way it ends, and two bugs have two, also in programs that
# tell nothing of themselves.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
[ -x "${COREFOLD%/*}/corefold-unwind" ] || skip 'needs corefold-unwind'
here=$(cd "$(dirname "$0")" && pwd)
built=$(mktemp -d /var/tmp/cfs.XXXXXX) || die 'cannot make a directory in /var/tmp'

# Built before the machine's lock is taken.
static='' rust=''
! command -v cc >/dev/null || ! cc -O2 -static -s "$here/victims/asserts.c" -o "$built/static" 2>/dev/null ||
	static=yes
! command -v rustc >/dev/null ||
	! rustc -C panic=abort -C strip=symbols -O "$here/../unwind/victim.rs" -o "$built/rust" 2>/dev/null ||
	rust=yes
nobuild='' go=''
! command -v cc >/dev/null || ! cc -O2 -Wl,--build-id=none "$here/victims/asserts.c" -o "$built/nobuild" 2>/dev/null ||
	nobuild=yes
[ "${COREFOLD_TEST_ALL:-no}" != yes ] || ! command -v go >/dev/null ||
	! (cd "$built" && GOCACHE="$built/cache" go build -o gocrash "$here/../unwind/victim.go") ||
	go=yes
kernel_setup
undo_by "rm -rf $built"
enable

# keys: of the records there are, one each.
keys() { jq -r '.signatures.exact' "$state"/cores/*.json | sort -u; }
texts() { jq -r '.signatures.exact_text' "$state"/cores/*.json | sort -u; }

# ---- a stack overflow, and its handler ----

for thread in '' thread; do
	new_state '[Throttle]' CrashLoopLimit=63
	for way in return raise unblocked abort; do
		# More than are captured in full: the others are threads only.
		for _ in 1 2 3 4 5 6; do
			# shellcheck disable=SC2086 # an argument, or none
			(ulimit -s 8192; crash "$base/victim-handled" "$way" $thread)
			settle
		done
	done
	is "a stack overflow has one key, however its handler passes it on ${thread:+(a $thread)}" \
		"$(keys | wc -l)" 1
	matches '... as an overflow' "$(texts)" '^cf1\|victim-handled\|SIGSEGV\|stackoverflow\|'
	is '... captured in full or not' "$(jq -r .capture "$state"/cores/*.json | sort -u | xargs)" 'full threads'
done

# ---- two bugs, and nothing to tell the C library by ----

# one NAME COMMAND...: one key, also when the program has had its full captures.
one() {
	local name=$1
	shift
	new_state '[Throttle]' CrashLoopLimit=63
	for _ in 1 2 3 4; do
		crash "$@"
		settle
	done
	is "$name: captured in full and by threads, one key" "$(keys | wc -l)" 1
	is "$name: ... captured in full or not" "$(jq -r .capture "$state"/cores/*.json | sort -u | xargs)" 'full threads'
	is "$name: ... which can be relied on" "$(jq -r .signatures.confidence "$state"/cores/*.json | sort -u)" high
}

# two NAME PROGRAM FIRST SECOND: two keys, and each has one.
two() {
	local name=$1 program=$2 first=$3 second=$4
	new_state
	for _ in 1 2 3; do crash "$program" "$first"; done
	settle
	is "$name: one bug has one key" "$(keys | wc -l)" 1
	crash "$program" "$second"
	settle
	is "$name: two bugs have two" "$(keys | wc -l)" 2
	is "$name: and no name that is none" \
		"$(jq -r '.threads[0].frames[] | select(.module == "'"${program##*/}"'").symbol' "$state"/cores/*.json |
			sort -u)" null
}
[ -z "$static" ] || two 'a stripped static program' "$built/static" request reply
[ -z "$rust" ] || two 'a stripped program of Rust' "$built/rust" panic unwrap

# ---- no build-id ----

[ -z "$nobuild" ] || one 'without build-id' "$built/nobuild" request
if [ -n "$go" ]; then
	export GOTRACEBACK=crash
	one Go "$built/gocrash" nil
	new_state
	for how in nil map index panic; do crash "$built/gocrash" $how; done
	settle
	is 'Go: four bugs have four keys' "$(keys | wc -l)" 4
fi

# ---- a core that the kernel saved ----

libraries=$(dirname "$(ldd "$base/victim-threads" | sed -n 's/.*libc\.so\.6 => \(.*\) (.*/\1/p')")
# told: of the newest record, the crashed thread.
told() { cf info --json | jq -c '[.signature, .signatures.confidence, [.threads[0].frames[] | [.module, .offset, .symbol]]]'; }
saved=$base/saved
mkdir -m 0777 "$saved"
for victim in victim-threads victim-abort 'victim-behind reply'; do
	new_state
	enable
	# shellcheck disable=SC2086 # an argument may follow
	crash "$base/"$victim
	settle
	live=$(told)
	cf disable >/dev/null
	set_pattern "$saved/core"
	# shellcheck disable=SC2086
	crash "$base/"$victim
	mv "$saved"/core* "$saved/it"
	new_state
	cf replay --import --modules "$base" --modules "$libraries" "$saved/it" >/dev/null 2>&1
	is "$victim, saved: with its modules it is the crash itself" "$(told)" "$live"
	new_state
	cf replay --import "$saved/it" >/dev/null 2>&1
	is "$victim, saved: without them it knows that it knows little" "$(told | jq -r '.[1]')" low
	is '... and is where the crash was' "$(told | jq -c '.[2][0][:2]')" "$(jq -c '.[2][0][:2]' <<<"$live")"
done

[ -n "$static" ] || echo '# no compiler here that links statically'
[ -n "$rust" ] || echo '# no rustc here'
finish
