#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Looking at crashes and removing them, in the words of coredumpctl(1): what is chosen,
# how it looks on a terminal and elsewhere, dump --all, prune.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"

long=$(printf 'n%.0s' {1..60})
day=1700000000 # 2023-11-14 22:13:20 UTC
export TZ=Etc/GMT-3
number=0
# crash NAME [MEGABYTES]: one record, 1000 s behind the last
crash() {
	"$VICTIMS/victim-mkcore" -n "$1" -u "$(id -u)" -m "${2:-0}" >"$base/core" || die 'mkcore'
	cf replay --import --at "@$((day + 1000 * number++))" "$base/core" >/dev/null || die 'replay'
}
new_state '[Store]' 'MaxAge=5000w'
crash alpha
crash beta 2
crash alpha
crash "$long"
crash gamma 1

ids() { cf list --json "$@" | jq -r '[.[].process[0:5]] | join(" ")'; }

is 'all of them' "$(ids)" 'alpha beta alpha nnnnn gamma'
is 'by process' "$(ids alpha)" 'alpha alpha'
is 'by several' "$(ids alpha gamma)" 'alpha alpha gamma'
is 'by -p' "$(ids -p beta)" beta
is 'since' "$(ids -S "@$((day + 2000))")" 'alpha nnnnn gamma'
is 'until, in local time' "$(ids -U '2023-11-15 01:30:00')" 'alpha beta'
is 'until, in UTC' "$(ids --until 2023-11-14T22:30:00Z)" 'alpha beta'
is 'the newest two, backwards' "$(ids -r -n 2)" 'gamma nnnnn'
is 'the newest' "$(ids -1)" gamma
is 'the newest of those that match' "$(ids -1 alpha beta)" alpha
is 'last is the newest' "$(ids last)" gamma
is '... of all, not of what else is chosen' "$(ids last beta)" 'beta gamma'
is 'prune knows it, too' "$(cf prune --dry-run --json last | jq -c '[.removed[].process]')" '["gamma"]'
try 1 1 'a match that fits nothing' list -C "$conf" nosuch
matches '... says so' "$err" 'no crash matches'
try 1 1 '... also of -p' list --json -C "$conf" -p nosuch
is '... in JSON an empty array, too' "$out" '[]'
try 1 0 '... without a word with -q' list -q -C "$conf" nosuch
try 1 1 'a field that no record has' list -C "$conf" -F nosuchkey
matches '... says so' "$err" "has a field 'nosuchkey'"
try 2 1 'an empty match' list -C "$conf" ''
try 2 1 '... among others' info -C "$conf" alpha ''
first=$(cf list --json | jq -r '.[0].id')
is 'by the beginning of an id' "$(ids "${first%?}")" 'alpha'
pid=$(cf list --json | jq -r '.[0].pid')
is 'by pid' "$(cf list --json "$pid" | jq 'length > 0')" true
is 'info of the newest that matches' "$(cf info --json alpha | jq .time)" $((day + 2000))
is 'info within a time' "$(cf info --json -U "@$((day + 1500))" | jq -r .process)" beta
is 'a field' "$(cf list -F process alpha)" $'alpha\nalpha'
is 'a field by its name in coredumpctl' "$(cf list -F COREDUMP_SIGNAL -1)" "$(cf list -1 --json | jq '.[0].signal')"
is 'json, short' "$(cf list --json=short | wc -l)" 1
holds 'json, pretty' test "$(cf list --json=pretty | wc -l)" -gt 20
is 'json, off' "$(cf list --json=off | head -1 | cut -c1-4)" TIME
is 'no legend' "$(cf list --no-legend --no-pager | wc -l)" 5
try 1 0 'quiet' list -C "$conf" -q nosuch
try 1 1 'not quiet' list -C "$conf" nosuch
matches 'local time' "$(cf list -1)" '2023-11-15 02:20:00 '
matches '--utc' "$(cf list -1 --utc)" '2023-11-14 23:20:00Z '
matches '--utc of info' "$(cf info --utc gamma)" 'Time: 2023-11-14 23:20:00Z'
is 'what --utc shows can be given back' "$(ids -S '2023-11-14 23:20:00Z')" gamma
matches 'in full where no terminal is' "$(cf list)" "$long"
is 'no colours there' "$(cf list | grep -c $'\033')" 0

# ---- on a terminal ----

if command -v script >/dev/null && TERM=xterm script -qec true /dev/null >/dev/null 2>&1; then
	# on COLUMNS VARIABLE=VALUE... COMMAND
	screen() {
		local columns=$1
		shift
		script -qec "stty cols $columns 2>/dev/null; env -u COLUMNS -u NO_COLOR -u LC_ALL -u LC_CTYPE \
			TERM=xterm LANG=C.UTF-8 $* " /dev/null </dev/null | tr -d '\r'
	}
	widest() { sed "s/\x1b\[[0-9;]*m//g" | LC_ALL=C.UTF-8 wc -L; }
	for columns in 80 100 120; do
		screen $columns "'$COREFOLD' list -C '$conf'" >"$base/screen"
		holds "list fits $columns columns" test "$(widest <"$base/screen")" -le $columns
		is '... a line is a line' "$(wc -l <"$base/screen")" 6
		matches '... when, weight and who stay' "$(head -1 "$base/screen")" 'TIME.*ID.*WEIGHT.*PROCESS'
		matches '... the long name is cut' "$(cat "$base/screen")" 'nnnn…'
	done
	screen 40 "'$COREFOLD' list -C '$conf'" >"$base/screen"
	holds 'list fits 40 columns' test "$(widest <"$base/screen")" -le 40
	matches '... weight and who stay' "$(head -1 "$base/screen")" 'ID.*WEIGHT.*PROCESS'
	is '... the id has the time' "$(grep -c TIME "$base/screen")" 0
	screen 300 "'$COREFOLD' list -C '$conf'" >"$base/screen"
	matches 'on a wide one nothing is cut' "$(cat "$base/screen")" "$long"
	holds 'status fits, too' test "$(screen 80 "'$COREFOLD' status -C '$conf'" | head -6 | widest)" -le 80
	holds 'also 40 columns' test "$(screen 40 "'$COREFOLD' status -C '$conf'" | widest)" -le 40
	id=$(cf list -1 --json | jq -r '.[0].id')
	full=$(cat "$state/cores/$id.json")
	words=$(printf 'word-%d ' {1..40})$(printf '%0300d' 7)
	jq --arg words "$words" '.argv = ($words | split(" "))' <<<"$full" >"$state/cores/$id.json"
	screen 60 "'$COREFOLD' info -C '$conf' $id" | grep -A20 'Command line' >"$base/screen"
	holds 'a command line is wrapped' test "$(widest <"$base/screen")" -le 60
	is '... and all of it is there' "$(sed 's/^ *Command line://; /^ *[A-Z][a-z ]*: /d' "$base/screen" | tr -d ' \n')" "${words// /}"
	matches '... in one line where no terminal is' "$(cf info "$id")" "Command line: $words"
	printf '%s\n' "$full" >"$state/cores/$id.json"
	screen 50 "'$COREFOLD' replay --why -C '$conf' '$base/core'" | grep -A1 novelty >"$base/screen"
	holds 'why is wrapped' test "$(widest <"$base/screen")" -le 50
	matches 'colours on a terminal' "$(screen 80 "'$COREFOLD' list -C '$conf'")" $'\033\\[4m'
	is 'NO_COLOR' "$(screen 80 "NO_COLOR=1 '$COREFOLD' list -C '$conf'" | grep -c $'\033')" 0
	is 'a dumb terminal' "$(screen 80 "TERM=dumb '$COREFOLD' list -C '$conf'" | grep -c $'\033')" 0
	matches 'no Unicode without UTF-8' "$(screen 80 "LANG=C '$COREFOLD' list -C '$conf'")" 'nnn\.\.\.'
	screen 80 "'$COREFOLD' dump -C '$conf'; echo status \$?" >"$base/screen"
	matches 'no core on a terminal' "$(cat "$base/screen")" 'terminal: use -o FILE'
	matches '... which is wrong usage' "$(cat "$base/screen")" 'status 2'
else
	echo '# no terminal to be had: script(1) is missing'
fi

for command in '' $("$COREFOLD" --help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p'); do
	# shellcheck disable=SC2086 # none is none
	holds "the help of '$command' fits 80 columns" test "$("$COREFOLD" $command --help | wc -L)" -le 80
done

# ---- dump --all ----

is 'dump --all tells what it wrote' "$(cf dump --all -o cores | wc -l)" 5
"$VICTIMS/victim-mkcore" -n gamma -u "$(id -u)" -m 1 >"$base/core"
holds '... and each is the core' cmp "$base/core" "cores/$(cf list -1 --json | jq -r '.[0].id').core"
is '... to a directory of the caller' "$(stat -c %a cores)" 700
is 'dump --all of a process, since' "$(cf dump --all -o some -S "@$((day + 1))" alpha | wc -l)" 1
is '... nothing else' "$(find some -mindepth 1 | wc -l)" 1
sparse=$(stat -c '%b %s' "cores/$(cf list -p beta --json | jq -r '.[0].id').core")
holds 'holes are holes' test "${sparse% *}" -le $((${sparse#* } / 512 + 16))

# ---- a record that cannot be read ----

echo '{' >"$state/cores/$first.json"
try 0 1 'list goes on without it' list -C "$conf" --json
matches '... and names it' "$err" "$first cannot be read.*prune --unreadable"
is '... the others are there' "$(jq length <"$base/out")" 4
try 0 0 'summary, too' summary -C "$conf"
matches '... and counts it' "$out" '1 record could not be read'
try 1 1 'info of it fails' info -C "$conf" "$first"
try 0 0 'prune --unreadable' prune -C "$conf" --unreadable
matches '... removes it' "$out" "removed $first"
try 0 0 'and all is well' list -C "$conf"
mkdir "$state/cores/$first.json"
try 1 1 'prune --unreadable of a directory' prune -C "$conf" --unreadable
matches '... says that it is still there' "$err" "record $first cannot be removed"
is '... and not that it has gone' "$out" 'removed 0 records, 0B'
rmdir "$state/cores/$first.json"

# ---- a record with numbers that cannot be ----

second=$(cf list --json | jq -r '.[0].id')
good=$(cat "$state/cores/$second.json")
change() { jq -c "$1" <<<"$good" >"$state/cores/$second.json"; }
for change in .weight=9223372036854775807 .weight=0 .signal=-7 .signal=999 .uid=-1; do
	change "$change"
	try 0 1 "a record with $change" list -C "$conf" --json
	matches '... is named' "$err" "$second cannot be read"
	is '... and its weight counts nowhere' "$(cf summary --json | jq -c \
		'[.records_unreadable, (.records_weight == ([.kinds[].weight] | add))]')" '[1,true]'
done
later=21000101T000000-000001
jq -c '.time = 4102444800 | .signature = "cf1-x-y" | .id = "'$later'"' <<<"$good" >"$state/cores/$later.json"
chmod 0600 "$state/cores/$later.json"
is 'a date to come is no news' "$(cf summary --json --since "@$day" | jq -r \
	--arg id "$later" '.kinds[] | select(.last_id == $id).news')" known
rm "$state/cores/$later.json"

# ---- names ----

change '.comm = "alpha" | .process = "other"'
is 'the name of the kernel is no name to choose by' "$(ids alpha)" alpha
is '... in prune neither' "$(cf prune --dry-run --json alpha | jq '[.removed[].process] | unique | join(" ")')" '"alpha"'
printf '%s\n' "$good" >"$state/cores/$second.json"

# ---- prune ----

gone() { cf prune --json --dry-run "$@" | jq -r '[.removed[].process[0:5]] | join(" ")'; }
is 'older than' "$(gone --older-than "$(($(date +%s) - day - 1500))s")" 'beta'
is 'larger than' "$(gone --larger-than 1)" 'beta alpha nnnnn gamma'
is 'larger than most' "$(gone --larger-than 1G)" ''
sizes=$(cf list --json | jq '[.[].stored_bytes]')
is 'down to what the newest two take' "$(gone --down-to "$(jq '.[-1] + .[-2]' <<<"$sizes")")" 'beta alpha'
is 'down to, of one process' "$(gone --down-to 0 alpha)" alpha
is 'until' "$(gone -U "@$((day + 2500))")" 'beta alpha'
is 'nothing beyond the limits' "$(gone)" ''
is 'a dry run removes nothing' "$(cf list --json | jq length)" 4
is 'what it says is freed' "$(cf prune -n --json gamma | jq .freed_bytes)" "$(jq '.[-1]' <<<"$sizes")"
is 'the cores only' "$(cf prune --cores-only gamma | tail -1 | cut -d, -f1)" 'removed 1 core'
is '... leaves the record' "$(cf list --json gamma | jq -r '.[0].capture')" none
is '... and there is nothing more to remove' "$(cf prune --cores-only gamma | tail -1 | cut -d, -f1)" 'removed 0 cores'
is 'a line for each, and one for all' "$(cf prune alpha beta | wc -l)" 3
is 'gone' "$(ids)" 'nnnnn gamma'
is 'counts stay' "$(cf status --json | jq .crashes)" 5
write_config '[Store]' 'MaxAge=1h'
is 'beyond the limits, dry' "$(gone | wc -w)" 0
touch -d '3 days ago' "$state"/cores/*.json
is 'beyond the limits, dry' "$(gone | wc -w)" 2
cf prune >/dev/null
is 'beyond the limits' "$(ids)" ''
touch -d '3 days ago' "$base/core"
cf replay --import "$base/core" >/dev/null 2>&1
first=$(cf list --json | jq -r '.[0].id')
touch -d '3 days ago' "$state/cores/$first.json"
rm -f "$state/cores/$first.core.gz"
chmod 0500 "$state/cores"
try 1 1 'beyond the limits, in a directory that is not to be changed' prune -C "$conf"
matches '... says what is still there' "$err" "record $first cannot be removed: .*Permission denied"
is '... and not that it has gone' "$out" 'removed 0 records, 0B'
chmod 0700 "$state/cores"
mkdir "$state/cores/$first.core.gz"
try 1 1 'beyond the limits, with a directory for its core' prune -C "$conf"
matches '... says what is still there' "$err" "core $first cannot be removed: .*$first.core.gz: Is a dir"
rmdir "$state/cores/$first.core.gz"

# ---- records that go while they are read ----

# meanwhile COMMAND...: corefold is stopped when it has listed the records, then one of them
# is removed. What it says is in $base/out and $base/err.
meanwhile() {
	local i
	rm -f "$base/trace"
	new_state
	cf report one
	cf report two
	# A leak checker traces the process itself, and only one can.
	ASAN_OPTIONS=detect_leaks=0 strace -o "$base/trace" -e trace=getdents64 -e inject=getdents64:signal=STOP:when=1 \
		"$COREFOLD" "$1" -C "$conf" "${@:2}" >"$base/out" 2>"$base/err" &
	for ((i = 0; i < 600; i++)); do
		! grep -q 'stopped by SIGSTOP' "$base/trace" 2>/dev/null || break
		sleep 0.1
	done
	rm -f "$(find "$state/cores" -name '*.json' | sort | head -1)"
	pkill -CONT -P $!
	wait $!
}
if strace -o /dev/null true 2>/dev/null; then
	meanwhile list --json
	is 'list: a record that goes meanwhile is no damage' \
		"$(jq -r '.[].process' "$base/out") $(cat "$base/err")" 'two '
	holds 'prune --unreadable does not count it' meanwhile prune --unreadable --json
	is '... nor names it' "$(jq .count "$base/out") $(cat "$base/err")" '0 '
	holds 'replay --resign does not fail for it' meanwhile replay --resign --json
	is '... and says so' "$(jq .failed "$base/out") $(cat "$base/err")" '0 '
	meanwhile summary --json
	is 'summary: it is not unreadable' "$(jq .records_unreadable "$base/out")" 0
fi
finish
