#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What a record tells of a crash, and info shows, without anybody opening the core.
# WAYS: the program that dies in many ways; SOURCES: where its C++ sister's source is.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"
need gdb
need_processor
[ -x "${COREFOLD%/*}/corefold-unwind" ] || skip 'needs corefold-unwind'

# Code and unwind tables too, as a handler sees them that reads the memory itself.
echo 0x7f >/proc/self/coredump_filter

# dies NAME PROGRAM [ARGUMENT...]: its core in $base/NAME.core, and imported.
dies() {
	local name=$1
	shift
	gdb -nx -batch -ex 'handle SIG34 SIGUSR1 nostop' -ex run -ex "generate-core-file $base/$name.core" \
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
matches 'list marks it' "$(cf list | tail -n 1)" '~[0-9a-f]{16} \?$'
is '... and no other' "$(cf list | grep -c '~[0-9a-f]\{16\}$')" 1
is '... and has it in JSON' "$(cf list --json | jq -r '[.[].confidence] | join(" ")')" 'high low'

dies overflow "$WAYS" overflow
is 'a stack overflow' "$(record '[.points_at, .stack_overflow] | join(" ")')" 'stack guard true'
matches 'info says it' "$(cf info)" 'at 0x[0-9a-f]+ \(stack guard\), the stack overflowed$'
dies assert "$WAYS" assert
matches 'an assertion' "$(cf info)" "Message: .*Assertion .number == 77' failed"
is 'no fault address where there was no fault' "$(record .fault_address)" null
if readelf -h "$WAYS" | grep -q ELF64; then # 32 bits have no address that cannot be one
	dies wild "$WAYS" wild
	is 'an address that the kernel does not tell is not told as 0' \
		"$(record '[.si_code_name, .fault_address, .points_at] | map(. // "-") | join(" ")')" \
		'SI_KERNEL - not told'
	matches 'nor shown' "$(cf info)" 'Signal: 11 \(SIGSEGV: SI_KERNEL\)$'
fi
dies datacall "$WAYS" datacall
is 'what was called, and its rights' "$(record .points_at)" 'ways (rw-)'

# ---- many frames, and the kernel's ----

dies deep "$WAYS" deep 1000
is 'frames that repeat are one line' "$(cf info | grep -Ec '#[0-9]+ to #[0-9]+: .*, [0-9]+ times$')" 2
is 'what is not stored is counted' "$(cf info | sed -n 's/^ *(\([0-9]*\) frames left out)$/\1/p')" \
	"$(record '.threads[0] | .frames_total - (.frames | length)')"
is 'and the numbers below it are true' "$(cf info | sed -n 's/^ *#\([0-9]*\) .*/\1/p' | tail -n 1)" \
	"$(record '.threads[0].frames_total - 1')"
dies mutual "$WAYS" overflow
matches 'frames that repeat in turns are one line' "$(cf info)" \
	'^ *#[0-9]+ to #[0-9]+: the 2 frames above, [0-9]+ more times$'
cf summary --format html >"$base/page" 2>/dev/null
matches 'the page says it as well' "$(cat "$base/page")" '^\([0-9]+ frames left out\)$'
dies handler "$WAYS" in-handler
matches 'a signal handler is called one' "$(cf info)" '#[0-9]+ +signal handler called$'

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
is '... in list as well' "$(cf list --json | jq -c '.[-1].stands_for')" "$(record '.stands_for | tojson')"
is 'info says it in words' "$(cf info | sed -n '/Stands for/,/Capture/s/^[ A-Za-z]*[:]* *\([0-9]* of .*\)/\1/p')" \
	"$(printf '6 of %s\n4 of %s' "$(cf info --json "$first" | jq -r .signature)" \
		"$(cf info --json "$second" | jq -r .signature)")"
new_state '[Throttle]' CrashLoopLimit=1 ReportEvery=10 NovelPerProcess=0
weighs "$a" "$a" "$a" "$a"
weighs "$a" "$a" "$a" "$a" "$a" "$a" "$a"
is 'without a budget nobody looks' "$(record '.stands_for[] | [.signature // "?", .count] | join(" ")')" \
	"$(printf '? 9\n%s 1' "$(record .signatures.exact)")"
matches 'and info says so' "$(cf info)" '9 of unknown signature$'

# ---- signed again ----

new_state
cf replay --import --at @1700000000 "$a" --at @1700000001 "$b" --at @1700000002 "$a" >/dev/null 2>&1
mapfile -t ids < <(cf list --json | jq -r '.[].id')
ids() { echo "${ids[$1]}"; }
# spoil FILTER ID: a record as another build would have written it.
spoil() {
	local file=$state/cores/$2.json
	jq "$1" "$file" >"$base/spoilt" && cat "$base/spoilt" >"$file"
}
again() { cf replay --resign --json | jq -r '[.records, .changed, .unwound, .without_core, .without_frames, .failed] | join(" ")'; }
for i in 0 1 2; do cp "$state/cores/$(ids $i).json" "$base/good.$i"; done
same() { jq -Sc . "$state/cores/$(ids "$1").json" | cmp -s - <(jq -Sc . "$base/good.$1"); }
is 'what is signed already stays' "$(again)" '3 0 0 0 0 0'
old='.signature = "old~0000000000000000" | .signatures.exact = "0000000000000000"'
spoil "$old" "$(ids 0)"
spoil '.stands_for = [{"signature": "0000000000000000", "count": 1}]' "$(ids 1)"
rm "$state/cores/$(ids 0).core.gz"
is 'an old signature is made new, from the frames: no core is needed' "$(again)" '3 1 0 1 0 0'
holds '... and is what it was' same 0
is '... also where another record names it' "$(jq -r '.stands_for[0].signature' "$state/cores/$(ids 1).json")" \
	"$(jq -r .signatures.exact "$base/good.0")"
cp "$base/good.1" "$state/cores/$(ids 1).json"
spoil '.threads = [{"tid": 1, "frames": []}] | .signature = null | del(.signatures) | .unwind_error = "x"' "$(ids 2)"
is 'a record without frames gets them from its core' "$(again)" '3 1 1 1 0 0'
holds '... all of them' same 2
rm "$state/cores/$(ids 2).core.gz"
spoil '.threads = [] | .signature = null | del(.signatures)' "$(ids 2)"
cp "$state/cores/$(ids 2).json" "$base/poor"
is 'with neither it stays as it is' "$(again)" '3 0 0 2 1 0'
holds '... every byte of it' cmp -s "$state/cores/$(ids 2).json" "$base/poor"
rm "$state/cores/$(ids 1).core.gz"
spoil '.threads[0].frames |= .[0:1] | .signature = null' "$(ids 1)"
is 'one frame is signed as one frame' "$(again)" '3 1 0 3 1 0'
is '... with low confidence' "$(jq -r .signatures.confidence "$state/cores/$(ids 1).json")" low
spoil '.version = 2 | .signature = "theirs"' "$(ids 1)"
is 'what a later corefold wrote is left alone' "$(again) $(jq -r .signature "$state/cores/$(ids 1).json")" \
	'3 0 0 2 1 0 theirs'
spoil '.version = 1 | .signature = null' "$(ids 1)"
echo garbage >"$state/cores/$(ids 2).json"
try 1 1 'a record that cannot be read is a failure' replay -C "$conf" --resign
is 'and the others are done' "${out%%:*}" '2 records'
is 'nothing is left of it' "$(find "$state/cores" -name '.*' -type f)" ''
try 2 1 'cores have no place there' replay -C "$conf" --resign "$a"

if command -v g++ >/dev/null && g++ "$SOURCES/victim.cc" -O0 -o "$base/shop" 2>/dev/null; then
	dies throw "$base/shop" throw
	is 'the exception nobody caught' "$(record '.exception | [.type, .message] | join(": ")')" \
		'std::out_of_range: no room for 5'
	matches 'info shows it' "$(cf info)" 'Exception: std::out_of_range: no room for 5$'
else
	echo '# no g++ here: no exception'
fi
# ---- an unwinder that has no time for all threads ----

mkdir "$base/slow"
cp "$COREFOLD" "$base/slow/"
cat >"$base/slow/corefold-unwind" <<-END
	#!/bin/sh
	case " \$* " in *' --threads=1 '*) exec ${COREFOLD%/*}/corefold-unwind "\$@" ;; esac
	exec sleep 60
END
chmod 0755 "$base/slow/corefold-unwind"
new_state
cf replay --import "$base/segv.core" >/dev/null 2>&1
signature=$(record .signature)
"$base/slow/corefold" replay -C "$conf" --import "$base/segv.core" >/dev/null 2>&1
is 'no time for all threads: the one that crashed gives the signature' "$(record .signature)" "$signature"
is 'and it is said' "$(record '[.unwind_complete, .unwind_error] | map(tostring) | join(" ")')" 'false null'
matches 'info, too' "$(cf info)" 'not all of them could be unwound in time'

finish
