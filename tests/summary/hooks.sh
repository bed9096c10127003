#!/usr/bin/env bash
# Commands that run for a kept crash: what they get, when, and what they cannot hold up.
# Usage: hooks.sh COREFOLD SOURCE_DIR
set -u
COREFOLD=$1
SOURCE=$2
WORK=$(mktemp -d "${TMPDIR:-/tmp}/cfhooks.XXXXXX") || exit 1
SERVER=
# shellcheck disable=SC2317 # called by the trap
finish() {
	[ -z "$SERVER" ] || kill "$SERVER" 2>/dev/null
	rm -rf "$WORK"
}
trap finish EXIT
FAILED=0
check() {
	if [ "$2" = "$3" ]; then echo "ok: $1"; else
		echo "FAILED: $1: '$2', not '$3'"
		FAILED=1
	fi
}
AS_ROOT=()
[ "$(id -u)" -ne 0 ] || AS_ROOT=(--as-root)

fresh() { # fresh HOOK-LINE...
	rm -rf "$WORK/state" "$WORK/log"
	mkdir -m 0700 "$WORK/state"
	: >"$WORK/log"
	printf '[Store]\nDirectory=%s/state\n[Hook]\n' "$WORK" >"$WORK/conf"
	printf '%s\n' "$@" >>"$WORK/conf"
}
corefold() { local command=$1; shift; "$COREFOLD" "$command" -C "$WORK/conf" "$@"; }
# As the kernel would, for a process that is gone: its dump is no core, and is kept all the same.
handle() {
	echo "no core" | corefold handle -P4194000 -I4194000 "-u$(id -u)" "-g$(id -g)" -s"$1" \
		"-t$(date +%s)" -c0 -d1 -F "${AS_ROOT[@]}" 2>>"$WORK/err"
}

cat >"$WORK/hook" <<END
#!/bin/sh
echo "\$COREFOLD_EVENT \$# \${1##*/} \${2##*/} \$(sed -n 's/.*"id": "\(.*\)".*/\1/p').json" >>"$WORK/log"
END
cat >"$WORK/slow" <<END
#!/bin/sh
sleep 30 &
echo \$! >"$WORK/child"
sleep 30
END
# By a signal without a dump: whoever has core_pattern counts those.
printf '#!/bin/sh\nkill -ALRM $$\n' >"$WORK/killed"
# Asks for what it must not have.
cat >"$WORK/nosy" <<END
#!/bin/sh
ls /proc/self/fd | grep -v '^[012]\$' >"$WORK/fds" # 3 is what ls lists with
{ paste -sd' ' "$WORK/fds"; echo "core \$(ulimit -c)"
grep NoNewPrivs /proc/self/status; pwd; } >>"$WORK/log"
END
chmod +x "$WORK"/{hook,slow,killed,nosy}

# ---- what it gets ----
fresh "OnKeep=$WORK/hook a" "OnNewSignature=$WORK/hook b"
handle 6
id=$(corefold list --json | sed -n 's/.*"id": "\(.*\)".*/\1/p')
check "event, argument, path and record on standard input" "$(cat "$WORK/log")" \
	"keep 2 a $id.json $id.json
new-signature 2 b $id.json $id.json"
handle 6
check "the same signature is new once" "$(grep -c new-signature "$WORK/log")" 1
handle 11
check "another is new again" "$(grep -c new-signature "$WORK/log")" 2
check "every keep is told" "$(grep -c ^keep "$WORK/log")" 3
check "nothing is left to do" "$(find "$WORK/state/hooks" -type f ! -name .lock | wc -l)" 0

# ---- reported crashes wait for the tick ----
: >"$WORK/log"
corefold report daemon
check "a report does not wait for hooks" "$(cat "$WORK/log")" ""
corefold tick 2>>"$WORK/err"
check "the tick runs them" "$(cut -d' ' -f1 "$WORK/log" | paste -sd' ')" "keep new-signature"
corefold tick 2>>"$WORK/err"
check "once" "$(wc -l <"$WORK/log")" 2

# ---- what it does not get ----
fresh "OnKeep=$WORK/nosy"
handle 6
check "no descriptor, no core, no privileges, no directory" "$(cat "$WORK/log")" \
	"3
core 0
NoNewPrivs:	1
/"

# ---- what it cannot do ----
fresh "OnKeep=$WORK/slow" "Timeout=1s"
start=$(date +%s%N)
handle 6
took=$((($(date +%s%N) - start) / 1000000))
check "ends at its deadline" "$((took >= 900 && took < 5000))" 1
[ -e "/proc/$(cat "$WORK/child")" ] && gone=0 # killed, but nobody has reaped it
check "with its children" "$(grep -c '^State:.*[RSD] ' "/proc/$(cat "$WORK/child")/status" 2>/dev/null)" "${gone:-}"
check "and is told of" "$(grep -c 'hook keep for .*: killed after 1 s' "$WORK/err")" 1
check "the crash is counted" "$(corefold status --json | grep -c '"kept_weight": 1')" 2
fresh "OnKeep=$WORK/killed"
: >"$WORK/err"
handle 6
check "a killed hook is told of" "$(grep -c 'hook keep for .*: signal 14' "$WORK/err")" 1
fresh "OnKeep=/nonexistent/hook"
handle 6
check "a missing one, too" "$(grep -c 'cannot be started' "$WORK/err")" 1
check "and the crash kept" "$(corefold list --json | grep -c '"id"')" 1

# ---- many at once: one hook at a time, none lost ----
fresh "OnKeep=$WORK/hook x"
for _ in 1 2 3 4 5 6; do handle 6 & done
wait
corefold tick 2>>"$WORK/err"
check "as many hooks as keeps" "$(sort -u "$WORK/log" | wc -l)" "$(corefold list --json | grep -c '"id"')"

# ---- the example ----
if command -v curl >/dev/null && command -v python3 >/dev/null; then
	cat >"$WORK/server.py" <<'END'
import http.server, sys
codes = [503, 500, 200]
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        code = codes.pop(0) if codes else 404
        print(code, len(body), self.headers["Corefold-Id"], self.headers["Corefold-Event"], flush=True)
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
END
	python3 "$WORK/server.py" >"$WORK/server.log" &
	SERVER=$!
	for _ in $(seq 50); do [ -s "$WORK/server.log" ] && break; sleep 0.1; done
	url=http://127.0.0.1:$(head -n 1 "$WORK/server.log")/
	# No waiting here: what is waited is the example's business.
	mkdir "$WORK/bin"
	# shellcheck disable=SC2016 # for the script
	printf '#!/bin/sh\necho "$1" >>"%s/slept"\n' "$WORK" >"$WORK/bin/sleep"
	chmod +x "$WORK/bin/sleep"
	printf '{"id": "x"}' >"$WORK/20260101T000000-000001.json"
	PATH=$WORK/bin:$PATH COREFOLD_EVENT=new-signature "$SOURCE/data/hooks/upload" "$url" \
		"$WORK/20260101T000000-000001.json"
	check "uploads, retrying what may get better" "$?" 0
	check "three tries" "$(tail -n +2 "$WORK/server.log" | cut -d' ' -f1 | paste -sd' ')" "503 500 200"
	check "with the whole record and its id" "$(tail -n 1 "$WORK/server.log")" \
		"200 11 20260101T000000-000001 new-signature"
	check "and waits longer each time" "$(awk '{ if ($1 <= last && NR > 1) bad = 1; last = $1 / 2 } END { print bad + 0, NR }' "$WORK/slept")" "0 2"
	PATH=$WORK/bin:$PATH "$SOURCE/data/hooks/upload" "$url" "$WORK/20260101T000000-000001.json"
	check "does not repeat what will not get better" "$?" 3
	kill "$SERVER" && wait "$SERVER" 2>/dev/null
	SERVER=
	PATH=$WORK/bin:$PATH COREFOLD_UPLOAD_TRIES=3 "$SOURCE/data/hooks/upload" "$url" \
		"$WORK/20260101T000000-000001.json"
	check "gives up when nobody answers" "$?" 4
else
	echo "curl or python3 is missing: the example was not tried"
fi
exit "$FAILED"
