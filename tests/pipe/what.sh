#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What a record tells of a crash, and info shows, without anybody opening the core.
# WAYS: the program that dies in many ways; SOURCES: where its C++ sister's source is.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"
command -v gdb >/dev/null || skip 'needs gdb'
[ -x "${COREFOLD%/*}/corefold-unwind" ] || skip 'needs corefold-unwind'

# Code and unwind tables too, as a handler sees them that reads the memory itself.
echo 0x7f >/proc/self/coredump_filter

# dies NAME PROGRAM [ARGUMENT...]: its core in $base/NAME.core, and imported.
dies() {
	local name=$1
	shift
	gdb -nx -batch -ex 'handle SIG34 nostop' -ex run -ex "generate-core-file $base/$name.core" \
		--args "$@" >"$base/gdb.log" 2>&1
	[ -s "$base/$name.core" ] || skip 'no process can be traced here'
	cf replay --import "$base/$name.core" >/dev/null 2>&1
}
record() { cf info --json | jq -r "$1"; }

dies segv "$WAYS" segv
is 'a null pointer: code, address, what is there' \
	"$(record '[.signal_name, .si_code_name, .points_at] | join(" ")')" 'SIGSEGV SEGV_MAPERR null page'
matches 'the address' "$(record .fault_address)" '^0x[0-9a-f]+$'
is 'the build-id is that of the program' "$(record .build_id)" \
	"$(readelf -n "$WAYS" | sed -n 's/.*Build ID: //p')"
is 'everything was unwound' "$(record .unwind_complete)" true
is 'no overflow, no exception, no message' "$(record '[.stack_overflow, .exception, .abort_message] | map(select(. != null)) | length')" 0
matches 'info has it in one line' "$(cf info)" \
	'Signal: 11 \(SIGSEGV: SEGV_MAPERR\) at 0x[0-9a-f]+ \(null page\)$'
matches 'and the modules that matter' "$(cf info)" 'Module: ways, build-id [0-9a-f]{40}$'
is 'all modules on demand' "$(cf info --modules | grep -c 'Module:')" "$(record '.modules | length')"
matches 'confidence is shown only where it is low' "$(cf info)" 'Signature: [^ ]+~[0-9a-f]{16}$'
(
	echo 0x33 >/proc/self/coredump_filter # no code, no tables
	dies poor "$WAYS" assert
)
matches 'where it is, frames are called guesses and the confidence low' "$(cf info)" \
	'Signature: .*, low confidence: few frames could be resolved$'

dies overflow "$WAYS" overflow
is 'a stack overflow' "$(record '[.points_at, .stack_overflow] | join(" ")')" 'stack guard true'
matches 'info says it' "$(cf info)" 'at 0x[0-9a-f]+ \(stack guard\), the stack overflowed$'
dies assert "$WAYS" assert
matches 'an assertion' "$(cf info)" "Message: .*Assertion .number == 77' failed"
is 'no fault address where there was no fault' "$(record .fault_address)" null
dies wild "$WAYS" wild
is 'an address that the kernel does not tell is not told as 0' \
	"$(record '[.si_code_name, .fault_address, .points_at] | map(. // "-") | join(" ")')" 'SI_KERNEL - not told'
matches 'nor shown' "$(cf info)" 'Signal: 11 \(SIGSEGV: SI_KERNEL\)$'
dies datacall "$WAYS" datacall
is 'what was called, and its rights' "$(record .points_at)" 'ways (rw-)'

# ---- which crashes a weight is of ----

new_state '[Throttle]' CrashLoopLimit=1 ReportEvery=10
weighs() { cf replay --import --at @1700000000 "$@" >/dev/null 2>&1; }
a=$base/segv.core b=$base/assert.core
weighs "$a"
weighs "$b" # a loop, but new
weighs "$a" "$b" "$a" "$b" "$a" "$b" "$a" "$b" "$a"
weighs "$a"
key() { cf info --json "$1" | jq -r .signatures.exact; }
first=$(cf list --json | jq -r '.[0].id') second=$(cf list --json | jq -r '.[1].id')
is 'ten crashes: of which bugs' "$(record '.stands_for[] | [.signature, .count] | join(" ")')" \
	"$(printf '%s 6\n%s 4' "$(key "$first")" "$(key "$second")")"
is 'info says it in words' "$(cf info | sed -n '/Stands for/,/Capture/s/^[ A-Za-z]*[:]* *\([0-9]* of .*\)/\1/p')" \
	"$(printf '6 of %s\n4 of %s' "$(cf info --json "$first" | jq -r .signature)" \
		"$(cf info --json "$second" | jq -r .signature)")"
new_state '[Throttle]' CrashLoopLimit=1 ReportEvery=10 NovelPerProcess=0
weighs "$a" "$a" "$a" "$a"
weighs "$a" "$a" "$a" "$a" "$a" "$a" "$a"
is 'without a budget nobody looks' "$(record '.stands_for[] | [.signature // "?", .count] | join(" ")')" \
	"$(printf '? 9\n%s 1' "$(record .signatures.exact)")"
matches 'and info says so' "$(cf info)" '9 of unknown signature$'

if command -v g++ >/dev/null && g++ "$SOURCES/victim.cc" -O0 -o "$base/shop" 2>/dev/null; then
	dies throw "$base/shop" throw
	is 'the exception nobody caught' "$(record '.exception | [.type, .message] | join(": ")')" \
		'std::out_of_range: no room for 5'
	matches 'info shows it' "$(cf info)" 'Exception: std::out_of_range: no room for 5$'
else
	echo '# no g++ here: no exception'
fi
finish
