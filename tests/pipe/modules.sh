#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A core as the kernel writes it has no code and no unwind tables: with the files it has the
# frames of the crash, without them it is honest.
# WAYS: the program that dies in many ways.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"
need gdb readelf
need_processor
[ -x "${COREFOLD%/*}/corefold-unwind" ] || skip 'needs corefold-unwind'

# dies FILTER CORE WAY: with that in coredump_filter. 0x7f is all that a handler could read.
dies() {
	(
		echo "$1" >/proc/self/coredump_filter
		gdb -nx -batch -ex 'handle SIG34 nostop' -ex 'set use-coredump-filter on' -ex run \
			-ex "generate-core-file $base/$2" --args "$WAYS" "$3" >"$base/gdb.log" 2>&1
	)
	[ -s "$base/$2" ] || skip 'no process can be traced here'
}

# frames CORE [OPTION...]: of the crashed thread, as a new state has them. Names come from files, addresses not.
frames() {
	local core=$1
	shift
	new_state
	cf replay --import "$@" "$base/$core" >/dev/null 2>"$base/err"
	cf info --json | jq -c '[.threads[0].frames[] | [.module, .offset, .how == "scan"]]'
}
last() { cf info --json | jq -r "$1"; }
key() { last '[.signatures.exact, .signatures.confidence] | join(" ")'; }

# What the program and its C library lie among: another build, and what is no module at all.
mkdir -p "$base/files/deep/er" "$base/other"
cp "$WAYS" "$base/files/deep/another-name"
libc=$(ldd "$WAYS" | sed -n 's/.*libc\.so\.6 => \(.*\) (.*/\1/p')
cp "$libc" "$base/files/deep/er/"
cp "$VICTIMS/victim-abort" "$base/other/ways"
echo text >"$base/files/text"
mkfifo "$base/files/fifo"
ln -s /dev/zero "$base/files/zero"
ln -s .. "$base/files/deep/loop"

before_guess='.[:(map(.[2]) | index(true)) // length]'
for way in segv abort qsort nullcall datacall thread; do
	dies 0x7f "$way.whole" "$way"
	dies 0x33 "$way.core" "$way"
	whole=$(frames "$way.whole")
	signature=$(key)
	is "$way: with the files the frames are those of the crash" \
		"$(frames "$way.core" --modules "$base/files")" "$whole"
	is "$way: and so is the signature" "$(key)" "$signature"
	matches "$way: they are more than a few" "$signature" ' high$'
	matches "$way: and have names" "$(last '.threads[0].frames[].symbol')" '^(main|crash_thread)$'
	alone=$(frames "$way.core")
	is "$way: without, what is no guess is true" \
		"$(jq -c "$before_guess" <<<"$alone")" \
		"$(jq -c --argjson n "$(jq "$before_guess | length" <<<"$alone")" '.[:$n]' <<<"$whole")"
	is "$way: a file of another build is none" "$(frames "$way.core" --modules "$base/other")" "$alone"
done
is 'each may be named alone, and by its file' \
	"$(frames thread.core --modules "$WAYS" --modules="$base/files/deep/er")" "$whole"

# ---- the store, signed again ----

frames abort.core --modules "$base/files" >/dev/null
rich=$(key)
frames abort.core >/dev/null
poor=$(key)
matches 'too few frames are said to be' "$poor" ' low$'
is 'signed again with the files' \
	"$(cf replay --resign --modules "$base/files" --json | jq -c '[.changed, .unwound]')" '[1,1]'
is '... it is what they had made of it' "$(key)" "$rich"

# ---- mistakes ----

try 1 1 'a path that is not there' replay -C "$conf" --modules "$base/none" "$base/segv.core"
matches '... by its name' "$err" "^corefold replay: $base/none: No such file"
try 1 1 'a path that is neither file nor directory' replay -C "$conf" --modules /dev/zero "$base/segv.core"
(
	ulimit -n 20
	mkdir "$base/many"
	for ((i = 0; i < 30; i++)); do ln "$base/files/deep/another-name" "$base/many/$i"; done
	"$COREFOLD" replay -C "$conf" --modules "$base/many" "$base/segv.core" 2>"$base/err"
)
is 'more files than can be open: refused' $? 1
matches '... and says so' "$(cat "$base/err")" "more files than can be open: raise 'ulimit -n'"
finish
