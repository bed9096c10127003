#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# What doctor sees without root, on states that are made wrong through the configuration. The
# kernel's settings are whatever they are here: checks of them are made in the kernel suite.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"

# verdict CHECK
verdict() {
	cf doctor --json --no-crash 2>/dev/null | jq -r --arg c "$1" '.checks[] | select(.check == $c).verdict'
}
mend() {
	cf doctor --json --no-crash 2>/dev/null | jq -r --arg c "$1" '.checks[] | select(.check == $c).mend'
}

# ---- the shape of the answer ----
answer=$(cf doctor --json --no-crash)
is 'each check has a name, a verdict, a message' "$(jq -c '[.checks[] |
	(.check | test("^[a-z-]+$")) and (.verdict | IN("ok", "warn", "fail", "skipped"))
	and (.message | length > 0) and has("mend")] | [all, length > 12]' <<<"$answer")" '[true,true]'
is 'ok is: nothing fails' "$(jq '.ok == ([.checks[].verdict] | all(. != "fail"))' <<<"$answer")" true
is 'no check comes twice' "$(jq -r '.checks[].check' <<<"$answer" | sort | uniq -d)" ''
cf doctor --no-crash >"$base/text"
status=$?
is 'the exit status is that of the answer' "$status" "$(jq 'if .ok then 0 else 1 end' <<<"$answer")"
is 'the text has a line for each' "$(wc -l <"$base/text")" "$(jq '.checks | length' <<<"$answer")"
is 'and nothing else' "$(grep -cvE '^(ok   |warn |FAIL |-    ) [a-z-]+ +[^ ].*' "$base/text")" 0
is 'what is wrong and can be mended says how' \
	"$(jq -c '[.checks[] | select(.verdict == "fail" and .mend == null).check]' <<<"$answer")" '[]'
is 'what is mended names the configuration' \
	"$(jq -r '[.checks[].mend // empty | select(test("corefold enable$"))] | length' <<<"$answer")" 0

# ---- the state ----
is 'the state is read by its owner' "$(verdict state)" ok
is 'no tick has come, and it is early' "$(verdict ticks)" ok
cf tick 2>/dev/null
matches 'a tick came' "$(cf doctor --no-crash)" '^ok +ticks +the last one was'
chmod 0755 "$state"
is 'a directory that others read' "$(verdict directory)" warn
matches 'it says how to mend it' "$(mend directory)" "^chmod 0700 $state"
chmod 0777 "$state"
is 'a directory that others write' "$(verdict directory)" fail
is 'is not read either' "$(verdict state)" fail
chmod 0700 "$state"
mkdir "$state/throttle.bad"
is 'damaged files are told of' "$(verdict state)" warn
rmdir "$state/throttle.bad"
truncate -s 100 "$state/throttle"
cf doctor --no-crash >/dev/null 2>&1
is 'a damaged state is set aside, and told of' "$(verdict state)" warn
rm -f "$state"/*.bad

# ---- the directory ----
mv "$state" "$state.real"
is 'no directory' "$(verdict directory)" fail
is 'a state that is not there is not read' "$(verdict state)" skipped
ln -s "$state.real" "$state"
is 'a link' "$(verdict directory)" fail
rm "$state"
touch "$state"
is 'a file' "$(verdict directory)" fail
rm "$state"
mv "$state.real" "$state"
is 'all is well again' "$(verdict directory) $(verdict state)" 'ok ok'
write_config 'KeepFree=100%'
is 'less free than KeepFree' "$(verdict space)" warn
write_config

# ---- commands for crashes ----
# hook LINE...: verdict and message
hook() {
	write_config '[Hook]' "$@"
	cf doctor --json --no-crash 2>/dev/null |
		jq -r '.checks[] | select(.check == "hooks") | "\(.verdict): \(.message)"'
}
mkdir "$base/bin"
printf '#!/bin/sh\n' >"$base/bin/hook"
chmod 0755 "$base" "$base/bin" "$base/bin/hook"
is 'no command' "$(hook)" 'ok: no command is to be run for crashes'
for key in OnKeep OnNewSignature OnLoopStart OnLoopEnd; do
	is "$key" "$(hook "$key=/bin/true a b")" 'ok: the commands of [Hook] can be run'
	matches "$key without a path" "$(hook "$key=true a")" "^warn: $key=true .*not absolute"
done
matches 'not there' "$(hook "OnKeep=$base/bin/none x")" "^warn: OnKeep=$base/bin/none .*No such file"
matches 'a directory' "$(hook "OnKeep=$base/bin")" '^warn: .*Permission denied'
matches 'the second of two' "$(hook 'OnKeep=/bin/true' 'OnLoopEnd=/none')" '^warn: OnLoopEnd=/none'
chmod 0644 "$base/bin/hook"
matches 'not executable' "$(hook "OnKeep=$base/bin/hook")" '^warn: .*Permission denied'
chmod 0775 "$base/bin/hook"
matches 'others may write to it' "$(hook "OnKeep=$base/bin/hook")" \
	"^fail: others may change $base/bin/hook \\(OnKeep=\\)"
chmod 0755 "$base/bin/hook"
chmod 0777 "$base/bin"
matches 'or put another in its place' "$(hook "OnKeep=$base/bin/hook")" '^fail: others may change'
chmod 0755 "$base/bin"
is 'its owner alone may' "$(hook "OnKeep=$base/bin/hook")" 'ok: the commands of [Hook] can be run'
write_config

# ---- usage ----
cf doctor --no-crash too much >/dev/null 2>"$base/errors"
is 'it takes no arguments' "$? $(wc -l <"$base/errors")" '2 1'
finish
