#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What is wrong in a configuration is one line that names file and line; the default stands.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"

# said LINES-OF-CONFIG...: what status says of them; they begin in line 5
said() {
	write_config "$@"
	{ cf status >/dev/null; } 2>&1
}
wrong() { # CLAIM WANTED LINE...
	local claim=$1 wanted=$2 text
	shift 2
	text=$(said "$@")
	matches "$claim" "$text" "^corefold: $conf:$wanted"
	is "... in one line" "$(wc -l <<<"$text")" 1
}
wrong 'an unknown key' '6: unknown key CrashLimit' '[Throttle]' 'CrashLimit=9'
wrong 'an unknown section' '6: unknown section Throtle' '[Throtle]' 'CrashLoopLimit=9'
wrong 'a value that is no number' '6: bad value: CrashLoopLimit=nine \(a whole number\)' '[Throttle]' 'CrashLoopLimit=nine'
wrong 'a value out of range' '6: value out of range: CrashLoopLimit=64' '[Throttle]' 'CrashLoopLimit=64'
wrong 'more fulls than are remembered' '6: value out of range: FullPerSignature=17 \(0 to 16\)' '[Capture]' 'FullPerSignature=17'
wrong 'a span without sense' '6: bad value: AgeOut=8parsec \(a time such as 8min\)' '[Throttle]' 'AgeOut=8parsec'
wrong 'a size without sense' '6: bad value: MaxCoreSize=2X \(a size such as 512M\)' '[Capture]' 'MaxCoreSize=2X'
wrong 'a share above all' '6: value out of range: MaxUse=101% \(0% to 100%\)' '[Store]' 'MaxUse=101%'
wrong 'a share without its sign' '6: bad value: KeepFree=0 \(a share such as 10%, two decimals at most\)' '[Store]' 'KeepFree=0'
wrong 'a word that is no yes' '6: bad value: Enabled=perhaps \(yes or no\)' '[Throttle]' 'Enabled=perhaps'
wrong 'a kind that is none' '6: bad value: Kind=half \(auto, full, threads, notes or none\)' '[Capture]' 'Kind=half'
wrong 'a line that is nothing' '6: not a section' '[Throttle]' 'nonsense'
wrong 'a section that does not end' '5: not a section' '[Throttle'
wrong 'a path that is not absolute' '6: bad value: Directory=state \(an absolute path\)' '[Store]' 'Directory=state'
is 'two wrong lines are two messages' "$(said '[Throttle]' 'A=1' 'B=2' | wc -l)" 2
matches 'a control byte is not passed on' "$(said '[Throttle]' $'A\e[2J=1')" '\\x1b'
is 'good lines are none' "$(said '[Throttle]' 'CrashLoopLimit=3' 'AgeOut=1min' '# x' '; y' '')" ''

# The default stands, and the good lines count.
write_config '[Throttle]' 'CrashLoopLimit=nine' 'ReportEvery=4'
for ((i = 0; i < 12; i++)); do cf report p 2>/dev/null; done
is 'defaults stand beside what is good' "$(cf list --json 2>/dev/null | jq -c '[.[].weight]')" \
	'[1,1,1,1,1,1,1,1,4]'
new_state '[Throttle]' 'Enabled=no'
for ((i = 0; i < 12; i++)); do cf report p; done
is 'without throttle all are kept and counted' \
	"$(cf status --json | jq -c '[.crashes, .kept_weight, .folded]')" '[12,12,0]'

# Drop-ins come later and win; what is wrong in them names them.
new_state '[Throttle]' 'CrashLoopLimit=1'
mkdir "$conf.d"
printf '[Throttle]\nCrashLoopLimit=2\nReportEvery=3\n' >"$conf.d/10.conf"
printf '[Throttle]\nCrashLoopLimit=oops\n' >"$conf.d/20.conf"
printf 'rubbish\n' >"$conf.d/not-a-conf"
for ((i = 0; i < 5; i++)); do cf report p 2>/dev/null; done
is 'drop-ins count' "$(cf list --json 2>/dev/null | jq -c '[.[].weight]')" '[1,1,3]'
matches 'and are named' "$({ cf status >/dev/null; } 2>&1)" "^corefold: $conf.d/20.conf:2: bad value"
rm -r "$conf.d"

# Files that must not be believed.
chmod 0666 "$conf"
try 1 1 'writable by others' status -C "$conf"
chmod 0600 "$conf"
try 1 1 'not there' status -C "$base/none"
try 1 1 'a directory' status -C "$base"
mkfifo "$base/fifo"
try 1 1 'a FIFO' status -C "$base/fifo"
try 1 1 'a device' status -C /dev/zero
head -c 100000 /dev/zero | tr '\0' '#' >"$base/huge"
try 1 1 'too large' status -C "$base/huge"
finish
