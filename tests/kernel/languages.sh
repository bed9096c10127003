#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What gdb says of a `threads` capture is what it says of all of the same process: in C++,
# Rust, Go, Python and JavaScript. What of these is not here is left out, and said to be.
# TWICE: the program that captures one process in every way.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
need gdb
sources=$(realpath "$(dirname "$0")/../unwind")
built=$(mktemp -d /var/tmp/cfl.XXXXXX) || die 'cannot make a directory in /var/tmp'

# Built before the machine's lock is taken, and before there is a place for verdicts.
unbuilt=()
build() {
	local name=$1
	shift
	command -v "$1" >/dev/null || { echo "# no $1 here"; return 1; }
	(cd "$built" && GOFLAGS=-mod=mod GOCACHE="$built/cache" "$@" -o "$name") >/dev/null 2>&1 ||
		{ unbuilt+=("$name"); return 1; }
}
build cxx g++ -g -O1 -pthread "$sources/victim.cc" && cxx=yes
build rust rustc -g -C panic=abort -O "$sources/victim.rs" && rust=yes
if [ "${COREFOLD_TEST_ALL:-no}" = yes ] && command -v go >/dev/null; then
	(cd "$built" && GOCACHE="$built/cache" go build -o gocrash "$sources/victim.go") &&
		go=yes
fi
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null)
node=$(command -v node)

kernel_setup
undo_by "rm -rf $built"
for name in "${unbuilt[@]}"; do failed "$name is built"; done
cp "${TWICE:?the program that captures twice}" "$base/twice"

# same NAME EXECUTABLE FRAME COMMAND...: of the crash of that command, with that in a frame.
same() {
	local name=$1 executable=$2 frame=$3 file
	shift 3
	in_every_way "$@" >/dev/null 2>&1 || { failed "$name: is captured in every way"; return; }
	for file in pipe threads; do
		zcat "$ways/$file.gz" >"$base/$file.core"
		gdb -nx -batch -ex 'thread apply all bt -frame-arguments none 32' \
			-ex 'info sharedlibrary' "$executable" "$base/$file.core" 2>/dev/null |
			grep -v -e '^\[New LWP' -e '^warning' -e '^$' >"$base/$file.txt"
	done
	holds "$name: gdb says the same of the threads" diff "$base/pipe.txt" "$base/threads.txt"
	matches "$name: and there is something to say" "$(cat "$base/threads.txt")" "$frame"
	echo "# $name: $(grep -c '^Thread' "$base/threads.txt") threads," \
		"$(stat -c %s "$ways/threads.gz") of $(stat -c %s "$ways/mem.gz") bytes"
	holds "$name: in a fifth of the bytes" \
		test "$(stat -c %s "$ways/threads.gz")" -lt $(($(stat -c %s "$ways/mem.gz") / 5 + 50000))
	holds "$name: and in less than 100 KB" test "$(stat -c %s "$ways/threads.gz")" -lt 100000
}

[ "${cxx:-no}" = no ] || same C++ "$built/cxx" 'shop::buy' "$built/cxx" throw
[ "${rust:-no}" = no ] || same Rust "$built/rust" 'visit|take' "$built/rust" panic
[ "${go:-no}" = no ] || GOTRACEBACK=crash same Go "$built/gocrash" 'runtime\.sigtramp' "$built/gocrash" nil
if [ -n "$python" ]; then
	same Python "$python" 'raise|kill|abort' "$python" -c '
import os, threading
for i in range(4): threading.Thread(target=threading.Event().wait, daemon=True).start()
heap = [str(i) for i in range(300000)]
os.abort()'
else
	echo '# no python3 here'
fi
if [ -n "$node" ]; then
	same JavaScript "$node" 'abort|raise|kill' "$node" -e '
const heap = Array.from({ length: 300000 }, (_, i) => "" + i); process.abort()'
else
	echo '# no node here'
fi
finish
