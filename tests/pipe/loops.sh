#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A crash loop seen from outside: its file, its hooks, and what the log is told, once at
# the start and once at the end. The log is a socket of our own in a mount namespace.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"

uid=$(id -u)
cat >"$base/hook" <<-END
	#!/bin/sh
	[ -f "\$2" ] && there=there
	echo "\$COREFOLD_EVENT \$1 \$there \$(cat)" >>"$base/hooks"
END
chmod +x "$base/hook"
"$VICTIMS/victim-mkcore" -n looper -u 4711 >"$base/core" || die 'cannot make a core'
"$VICTIMS/victim-mkcore" -n other -u 4711 >"$base/other" || die 'cannot make a core'
: >"$base/hooks"

# handle CORE: as the kernel would, for a process that is gone
handle() {
	"$COREFOLD" handle -C "$conf" -P4194000 -I4194000 "-u$uid" "-g$uid" -s6 \
		"-t$(date +%s)" -c0 -d1 -F <"$1" 2>>"$base/err"
}
loop_config() { write_config "$@" '[Hook]' "OnLoopStart=$base/hook a" "OnLoopEnd=$base/hook b"; }
loop_config '[Throttle]' 'AgeOut=1h'

for ((i = 0; i < 8; i++)); do handle "$base/core"; done
is 'no loop yet' "$(find "$state" -path '*/loops/*' | wc -l)" 0
handle "$base/core"
is 'the ninth starts one' "$(ls "$state/loops")" "$uid-looper"
is '... and says of what' "$(jq -c '[.uid, .process, .slow, .crashes]' "$state/loops/$uid-looper")" \
	"[$uid,\"looper\",false,9]"
for ((i = 0; i < 5; i++)); do handle "$base/core"; done
is 'the log is told once' "$(grep -c 'is in a crash loop' "$base/err")" 1
is 'each fold has its line' "$(grep -c '^corefold: folded: looper .* pending (in a crash loop)' "$base/err")" 6
is 'each keep, too' "$(grep -c '^corefold: kept .*: looper (pid 4194000.*weight 1 (within' "$base/err")" 8
is 'the hook ran, once' "$(cut -d' ' -f1-3 "$base/hooks")" 'loop-start a there'
is '... and was told' "$(cut -d' ' -f4- "$base/hooks" | jq -c '[.process, .crashes]')" '["looper",9]'
handle "$base/other"
cf tick 2>>"$base/err"
is 'a tick leaves it while it lasts' "$(ls "$state/loops")" "$uid-looper"
is '... and tells nothing' "$(grep -c 'has ended' "$base/err")" 0

loop_config '[Throttle]' 'AgeOut=1ns' # the window is over, without waiting for it
cf tick 2>>"$base/err"
is 'the end takes the file away' "$(ls "$state/loops")" ''
is 'the end runs its hook' "$(sed -n 2p "$base/hooks" | cut -d' ' -f1-3)" 'loop-end b there'
is '... and says how many there were' "$(sed -n 2p "$base/hooks" | cut -d' ' -f4- | jq -c '[.process, .loop_crashes]')" '["looper",6]'
cf tick 2>>"$base/err"
is 'once' "$(wc -l <"$base/hooks")" 2
is 'no entry is left' "$(find "$state/hooks" -type f ! -name .lock | wc -l)" 0

loop_config '[Throttle]' 'SlowLoopLimit=3'
new=$base/slowstate
mkdir -m 0700 "$new"
state=$new loop_config '[Throttle]' 'SlowLoopLimit=3'
for ((i = 0; i < 4; i++)); do handle "$base/other"; done
is 'a slow loop is one' "$(jq .slow "$new/loops/$uid-other")" true
"$COREFOLD" replay -C "$conf" --import "$base"/{core,core,core,core,core} >/dev/null 2>&1
is 'an import starts none' "$(ls "$new/loops")" "$uid-other"

# ---- what a watchdog reports ----

new_state
loop_config '[Throttle]' 'AgeOut=1h'
: >"$base/hooks"
for ((i = 0; i < 11; i++)); do cf report dog -s 9 -p 4711 2>/dev/null; done
is 'a loop of reports has its file' "$(ls "$state/loops")" "$uid-dog"
is '... which says of what' "$(jq -c '[.uid, .process, .pid, .crashes]' "$state/loops/$uid-dog")" \
	"[$uid,\"dog\",4711,9]"
cf tick 2>/dev/null
is 'a tick runs its hook, once' "$(cut -d' ' -f1-3 "$base/hooks")" 'loop-start a there'
loop_config '[Throttle]' 'AgeOut=1ns'
cf tick 2>/dev/null
is 'its end is told, too' "$(sed -n 2p "$base/hooks" | cut -d' ' -f4- | jq -c '[.process, .loop_crashes]')" '["dog",3]'
is '... and takes the file away' "$(ls "$state/loops")" ''

# ---- what journald gets ----

if command -v python3 >/dev/null && unshare -rm true 2>/dev/null && [ -d /run ]; then
	cat >"$base/journald" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1]); open(sys.argv[2] + ".ready", "w")
		out = open(sys.argv[2], "wb", 0)
		while True:
		    data = s.recv(65536)
		    out.write(data + b"\n")
		    if b"MESSAGE=last" in data: break
	END
	cat >"$base/inside" <<-'END'
		set -eu
		mount -t tmpfs none /run
		mkdir -p /run/systemd/journal
		python3 "$base/journald" /run/systemd/journal/socket "$base/journal" &
		while [ ! -e "$base/journal.ready" ]; do sleep 0.05; done
		# No stderr: as the kernel starts it.
		n=0; while [ $n -lt 40 ]; do n=$((n + 1))
			"$COREFOLD" handle -C "$conf" -P4194000 -I4194000 -u"$uid" -g"$uid" -s6 -t1 -c0 -d1 -F --as-root <"$base/core" 2>&-
		done
		n=0; while [ $n -lt 12 ]; do n=$((n + 1))
			"$COREFOLD" report -C "$conf" dog -p 4711
		done
		python3 -c 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b"MESSAGE=last\n", "/run/systemd/journal/socket")'
		wait
		# A reader that takes nothing must hold nobody up.
		python3 -c 'import socket, time, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("/run/systemd/journal/full"); open(sys.argv[1] + ".full", "w")
		time.sleep(600)' "$base/journal" & full=$!
		while [ ! -e "$base/journal.full" ]; do sleep 0.05; done
		mv /run/systemd/journal/full /run/systemd/journal/socket
		n=0; while [ $n -lt 30 ]; do n=$((n + 1))
			timeout 60 "$COREFOLD" handle -C "$conf" -P4194000 -I4194000 -u"$uid" -g"$uid" -s11 -t1 -c0 -d1 -F --as-root <"$base/other" 2>&- || echo blocked
		done >"$base/blocked"
		kill $full
	END
	sed -i 's/^\t\t//' "$base/inside"
	new_state
	loop_config '[Throttle]' 'AgeOut=1h'
	export base conf uid COREFOLD
	if timeout 250 unshare -rm bash "$base/inside" 2>"$base/inside.err"; then
		is 'each kept crash is an entry' "$(grep -c '^MESSAGE_ID=b397ff670be34511aa41b0f8f0e76bfe$' "$base/journal")" 19
		is 'each has an id' "$(grep -c '^COREFOLD_ID=1970' "$base/journal")" 11
		is 'weights as decided' "$(grep '^COREFOLD_WEIGHT=' "$base/journal" | sort | uniq -c | xargs)" '16 COREFOLD_WEIGHT=1 3 COREFOLD_WEIGHT=10'
		is 'the start of each loop, once' "$(grep -c '^MESSAGE_ID=472945882f6b4138b71f6601e8a1d9c5$' "$base/journal")" 2
		told=$(grep -c '^MESSAGE_ID=824f375941ab41de926872b6eed05e79$' "$base/journal")
		left=$(sed -n 's/^MESSAGE=folded.*; \([0-9]*\) folds before it.*/\1/p' "$base/journal" | awk '{ n += $1 } END { print n + 0 }')
		holds 'folds are told, or counted by the next line' test "$((told + left))" -le 33 -a "$told" -ge 10
		is 'who it was' "$(grep '^COREFOLD_PROCESS=' "$base/journal" | sort -u | xargs)" 'COREFOLD_PROCESS=dog COREFOLD_PROCESS=looper'
		is 'a report has its line, too' "$(grep -c '^MESSAGE=kept .*: dog (pid 4711, uid .*none' "$base/journal")" 8
		is 'a full socket blocks nobody' "$(cat "$base/blocked")" ''
	else
		echo '# no journal to be had here:'
		sed 's/^/#   /' "$base/inside.err"
	fi
else
	echo '# needs python3 and user namespaces for a journal of its own'
fi
finish
