#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong usage of each command: exit status, one line, and that it says what was typed and
# what to do. A row is STATUS | WHAT THE LINE MUST HOLD | ARGUMENTS.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
scripts=$(realpath "$(dirname "$0")/../../scripts")
pipe_setup "$0" "$@"

"$VICTIMS/victim-mkcore" -n app -u "$(id -u)" >"$base/core" || die 'mkcore'
cf replay --import "$base/core" >/dev/null || die 'replay'
: >"$base/notcore"
printf '5 crash a\n4 crash a\n' >"$base/backwards"
printf '0 crash a uid=1 uid=2\n' >"$base/uids"
printf '0 crash a signature=x signature=y\n' >"$base/signatures"
printf '0 crash a colour=red\n' >"$base/colour"
printf '0 bang\n' >"$base/bang"
printf -- '-1 tick\n' >"$base/negative"
printf '0 tick now\n' >"$base/behind"
mkdir -m 0777 "$base/open" && chmod 0777 "$base/open"
printf '[Store]\nDirectory=%s\n' "$base/open" >"$base/open.conf"
printf '[Store]\nDirectory=%s\n' "$base/none" >"$base/none.conf"

rows() {
	cat <<-'ROWS'
		2|no command 'lst': 'corefold --help'|lst
		2|no option '--sinc-e'.*'corefold list --help'|list --sinc-e
		2|no option '-x'|list -x
		2|--since wants TIME|list --since
		2|-S wants TIME|list -S
		2|-S: 'soon' is not a time: .*-2h|list -S soon
		2|--since: 'soon' is not a time|list --since=soon
		2|--until: '2026-13-01' is not a time|list --until 2026-13-01
		2|-n: '0' is out of range.*1 or more|list -n 0
		2|-n: 'x' is not a whole number|list -n x
		2|--json: 'long' is not 'pretty', 'short' or 'off'|list --json=long
		2|--reverse takes no value|list --reverse=yes
		2|-p: '' cannot be used|list -p ''
		1|no record 'nosuch': 'corefold list'|info nosuch
		2|empty id|info -t ''
		1|no crash matches: 'corefold list'|info -p nosuch
		2|-S: 'x' is not a time|info -S x
		1|no record 'nosuch'|dump nosuch -o /dev/null
		2|empty name|dump -o ''
		1|nowhere/core: No such file|dump -o /nonexistent/nowhere/core
		2|--all wants a directory|dump --all
		1|nowhere/there: No such file|dump --all -o /nonexistent/nowhere/there
		1|no core matches|dump --all -o DIR/cores -p nosuch
		1|no record 'nosuch'|export nosuch -o /dev/null
		2|-o wants FILE|export -o
		2|--debugger: 'vi' is neither gdb nor lldb|debug --debugger vi
		2|-n: 'all' is not a whole number|watch -n all
		2|--format: 'xml' is not one of text, json|summary --format=xml
		2|--since is later than --until|summary --since now --until yesterday
		2|--since is later than --until|list --since now --until yesterday
		2|--since is later than --until|prune --since now --until yesterday
		2|--since is later than --until|dump --since now --until yesterday
		2|--since is in the future|summary --since 2099-01-01
		2|--since is in the future|list --since 2099-01-01
		2|--since is in the future|info -S 2099-01-01
		2|-n: '-1' is out of range.*1 or more|list -n -1
		2|-p: '-1' is out of range.*0 to 2147483647|report -p -1 app
		2|--older-than: '1000y' is out of range .0 to 292y|prune --older-than 1000y
		2|takes no arguments: 'x'|summary x
		2|takes no arguments: 'x'|status x
		2|takes no arguments: 'x'|tick x
		1|only root may change core_pattern|enable
		1|only root may change core_pattern|disable
		2|takes no arguments: 'x'|enable x
		2|takes no arguments: 'x'|disable x
		2|takes no arguments: 'x'|doctor x
		2|--older-than: 'old' is not a span of time|prune --older-than=old
		2|--larger-than: 'big' is not a size|prune --larger-than big
		2|--larger-than: '0' is out of range.*1 or more|prune --larger-than 0
		2|--down-to: '-1' is out of range .0 to|prune --down-to=-1
		2|--cores-only wants a choice|prune --cores-only
		2|--process: '' cannot be used|prune --process=
		2|--signature: '' cannot be used|prune --signature=
		2|takes one or more cores|replay
		2|--at: 'then' is not a time|replay --at then DIR/notcore
		2|--at dates the cores behind it|replay DIR/notcore --at @5
		1|bang: not an ELF core|replay DIR/bang
		1|nosuch: No such file|replay DIR/nosuch
		2|takes one trace|simulate
		1|nosuch: No such file|simulate DIR/nosuch
		2|--limit: '64' is out of range.*1 to 63|simulate --limit=64 DIR/bang
		2|--every: '0' is out of range.*1 or more|simulate --every 0 DIR/bang
		2|--limit: '0' is out of range.*1 to 63|simulate --limit=0 DIR/bang
		2|--slow-limit: '64' is out of range.*1 to 63, or 0|simulate --slow-limit=64 DIR/bang
		2|--slow-window: '0' is out of range.*1ns to 100y|simulate --slow-window 0 DIR/bang
		2|--age-out: '0' is out of range.*1ns to 100y|simulate --age-out 0 DIR/bang
		1|bang:1: expected 'crash|simulate --age-out=100y --interval=100y --slow-window=100y DIR/bang
		2|--age-out: '101y' is out of range.*1ns to 100y|simulate --age-out 101y DIR/bang
		2|--interval: '0s' is out of range.*1ns to 100y|simulate --interval 0s DIR/bang
		2|--novel: '17' is out of range.*0 to 16|simulate --novel 17 DIR/bang
		1|backwards:2: time runs backwards|simulate DIR/backwards
		1|uids:1: uid= may stand there once|simulate DIR/uids
		1|signatures:1: signature= may stand there once|simulate DIR/signatures
		1|colour:1: unknown word|simulate DIR/colour
		1|bang:1: expected 'crash PROCESS' or 'tick'|simulate DIR/bang
		1|negative:1: the time must be seconds|simulate DIR/negative
		1|behind:1: nothing may stand behind 'tick'|simulate DIR/behind
		2|takes the name of one process|report
		2|takes the name of one process|report ''
		2|-s: '65' is out of range.*0 to 64|report -s 65 app
		2|--uid: 'root' is not a user's number|report --uid root app
		1|does not exist: 'corefold enable' makes it|list -C DIR/none.conf
		1|open: .*safe|list -C DIR/open.conf
		1|nosuch.conf: No such file|list -C DIR/nosuch.conf
	ROWS
}

while IFS='|' read -r status wanted arguments; do
	words=()
	eval "words=(${arguments//DIR/$base})" # the quotes of the table
	[[ $arguments == *' -C '* ]] || words=("${words[0]}" -C "$conf" "${words[@]:1}")
	[ "${words[0]}" != lst ] || words=(lst)
	try "$status" 1 "$arguments" "${words[@]}"
	matches "... says what" "$err" "$wanted"
	[ "${words[0]}" = lst ] || matches "... and where" "$err" "^corefold( ${words[0]})?: "
done < <(rows)

# Who asks what a script does has not told it to do so.
for script in demo test bench; do
	"$scripts/$script" --help >"$base/out" 2>"$base/err" </dev/null
	is "scripts/$script --help" "$? $(cat "$base/err")" '0 '
	matches '... says what it does' "$(head -1 "$base/out")" '^[A-Z].*\.$|^[A-Z].*,$'
	fails '... and nothing that is not for people' grep -E 'shellcheck|crashes 40 times' "$base/out"
done

# ---- the benchmark, which takes minutes before it could find out by itself ----

bench=$scripts/bench
while IFS='|' read -r wanted arguments; do
	read -ra words <<<"$arguments"
	text=$("$bench" "${words[@]}" 2>&1)
	is "bench $arguments" $? 2
	is '... says it in one line' "$(wc -l <<<"$text")" 1
	matches '... says what' "$text" "^bench: $wanted"
done <<'EOB'
unknown argument '--nope'|--nope
the last option needs a value|--runs
--runs: '0' is|--runs 0
--only: no part is called 'nix'|--only fold,nix
--only: 'heap' is measured with --rivals|--only heap
--json: '/nonexistent/x' cannot|--json /nonexistent/x
EOB

finish
