#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Crashes in other worlds: namespaces, chroots without /proc, files that are gone or were
# never there. The record is right in our world's terms, and nothing of theirs is opened.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
need strace unshare python3
enable
chmod 0755 "$base"/victim-*
mkfifo -m 0666 "$base/wait"
cp -L /bin/sh "$base/shell"
chmod 0755 "$base/shell"

# For `sh -c`: waits to be told, then crashes as itself.
crashing="read x <$base/wait; kill -SEGV \$\$"
as_user() { setpriv --reuid=30001 --regid=30001 --clear-groups "$@"; }
tell() { # until it reads
	timeout 60 sh -c "echo go >$base/wait" || die 'nobody waits to be told'
}
pid_of() { # the shell that waits, among those who started it
	local i pid
	for ((i = 0; i < 600; i++)); do
		for pid in $(pgrep -f "read x <$base/wait"); do
			case $(cat "/proc/$pid/comm" 2>/dev/null) in
			"$1") echo "$pid"; return ;;
			esac
		done
		sleep 0.1
	done
}
last() { cf info --json last | jq -r "$1"; }
record_is_right() { # CLAIM PID
	is "$1: verified" "$(last .identity)" verified
	is "$1: pid and tid are ours" "$(last '"\(.pid) \(.tid)"')" "$2 $2"
	is "$1: kept in full from memory" "$(last '"\(.capture) \(.source) \(.complete)"')" 'full mem true'
}

# ---- every namespace there is ----

flags=(--user --map-root-user --pid --fork --mount --net --ipc --uts --cgroup)
! unshare --time true 2>/dev/null || flags+=(--time --boottime 1000000)
if as_user unshare "${flags[@]}" true 2>/dev/null; then
	for proc in --mount-proc ''; do
		# Not as the first process there: that one is not killed by itself.
		# shellcheck disable=SC2086,SC2016 # nothing or one word; expanded by the inner shell
		as_user unshare "${flags[@]}" $proc /bin/sh -c '"$1" -c "$2"; exit 0' \
			sh "$base/shell" "$crashing" &
		job=$!
		pid=$(pid_of shell)
		inner=$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status")
		tell
		wait "$job" 2>/dev/null
		settle
		record_is_right "namespaces${proc:+, own /proc}" "$pid"
		fails "namespaces${proc:+, own /proc}: not the inner pid" test "$inner" = "$pid"
		is "namespaces${proc:+, own /proc}: the user is ours" "$(last .uid)" 30001
		now=$(date +%s)
		holds "namespaces${proc:+, own /proc}: the time is ours" \
			test "$((now - $(last .time)))" -ge 0 -a "$((now - $(last .time)))" -lt 3600
	done
else
	echo '# no namespaces for users here'
fi

# ---- a chroot without /proc, full of traps ----

jail=$base/jail
mkdir -p "$jail/bin" "$jail/etc/corefold.conf.d" "$jail/usr/sbin" "$jail/usr/libexec/corefold" \
	"$jail/var/lib" "$jail/run" "$jail/dev" "$jail$state/cores"
find "$jail" -type d -exec chmod 0755 {} +
cp -L /bin/sh "$jail/bin/jailed"
ldd /bin/sh | grep -oE '/[^ ]+' | while read -r library; do
	mkdir -p "$jail$(dirname "$library")"
	cp -L "$library" "$jail$library"
done
mkfifo "$jail/wait" "$jail/etc/corefold.conf" "$jail/etc/corefold.conf.d/x.conf" \
	"$jail/usr/sbin/corefold" "$jail/usr/libexec/corefold/corefold-unwind" \
	"$jail/usr/libexec/corefold/corefold-keep" "$jail/var/lib/corefold" \
	"$jail$state/throttle" "$jail$state/events" "$jail$state/counters" "$jail$base/corefold" \
	"$jail$base/corefold-keep" "$jail$base/corefold-unwind" "$jail$conf" "$jail/dev/kmsg" \
	"$jail/etc/localtime" "$jail/etc/passwd" "$jail/etc/nsswitch.conf" "$jail/dev/log"
find "$jail" -type p -exec chmod 0666 {} +
cat >"$base/traced" <<EOS
#!/bin/sh
exec 1>/dev/null 2>&1
exec strace -f -y -s 0 -e trace=%file,%desc -o $base/trace $base/corefold "\$@"
EOS
chmod 0755 "$base/traced"
sed -i "s|^exec strace|exec $(command -v strace)|" "$base/traced"
set_pattern "|$base/traced handle -C$conf -P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d -F%F"
# Not chroot(1), which reads the jail's /etc/passwd.
# shellcheck disable=SC2016 # expanded by the jailed shell
python3 -c '
import os, sys
os.chroot(sys.argv[1])
os.chdir("/")
os.setgroups([])
os.setresgid(30001, 30001, 30001)
os.setresuid(30001, 30001, 30001)
os.execv("/bin/jailed", ["jailed", "-c", "read x </wait; kill -SEGV $$"])' "$jail" &
job=$!
timeout 60 sh -c "echo go >$jail/wait" || die 'the jailed shell does not come'
pid=$job
wait "$job" 2>/dev/null
settle
enable
record_is_right 'chroot' "$pid"
is 'chroot: its name is the one it had there, or here' "$(last '.executable | test("/bin/jailed$")')" true
opened() { grep -E '^[0-9]+ +(open|openat|openat2|execve|readlink|stat|access)[a-z0-9]*\(.*= ' "$base/trace"; }
is 'chroot: no path of it is opened' \
	"$(opened | grep -F "$jail" | grep -vE 'map_files/|"/proc/self/fd/[0-9]+"|"exe"' | head -n 5)" ''
is 'chroot: nor anything by its root, cwd or fds' \
	"$(opened | grep -E '/proc/[0-9]+/(root|cwd|fd)[/>"]' | head -n 3)" ''

# ---- files ----

cp "$base/shell" "$base/vanishing"
as_user "$base/vanishing" -c "$crashing" &
job=$!
pid=$(pid_of vanishing)
rm "$base/vanishing"
tell
wait "$job" 2>/dev/null
settle
record_is_right 'deleted file' "$pid"
matches 'deleted file: it has its name' "$(last .process)" vanishing

mkdir -m 0755 "$base"/{lower,upper,work,over}
cp "$base/shell" "$base/lower/overlaid"
# shellcheck disable=SC2016 # expanded by the inner shells
unshare --mount sh -c 'mount -t overlay overlay \
	-o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/over" &&
	exec setpriv --reuid=30001 --regid=30001 --clear-groups "$1/over/overlaid" -c "$2"' \
	sh "$base" "$crashing" &
job=$!
if pid=$(timeout 20 bash -c "while ! pgrep -x overlaid; do sleep 0.1; done"); then
	tell
	wait "$job" 2>/dev/null
	settle
	record_is_right overlay "$pid"
	is 'overlay: its threads have frames' "$(last '.threads[0].frames | length > 0')" true
else
	echo '# no overlay here'
fi

python3 -c '
import os, sys
fd = os.memfd_create("in memory")
os.write(fd, open(sys.argv[1], "rb").read())
os.setgroups([])
os.setresgid(30001, 30001, 30001)
os.setresuid(30001, 30001, 30001)
os.execv("/proc/self/fd/%d" % fd, ["from-memory", "-c", sys.argv[2]])' "$base/shell" "$crashing" &
job=$!
tell
wait "$job" 2>/dev/null
settle
is 'memfd: verified, and in full' "$(last '"\(.identity) \(.process) \(.capture)"')" \
	'verified from-memory full'
matches 'memfd: the file is named as what it is' "$(last .executable)" 'memfd:in memory'

# ---- a container's cgroup ----

cgroups=/sys/fs/cgroup
[ -e "$cgroups/cgroup.procs" ] || cgroups=$cgroups/unified
id=$(printf '0123456789abcdef%.0s' 1 2 3 4)
group=$cgroups/cf-test-$$.slice/docker-$id.scope
if mkdir -p "$group" 2>/dev/null; then
	# shellcheck disable=SC2016 # expanded by the inner shell
	sh -c 'echo $$ >"$1/cgroup.procs" && exec setpriv --reuid=30001 --regid=30001 \
		--clear-groups "$2" -c "$3"' sh "$group" "$base/shell" "$crashing" &
	job=$!
	tell
	wait "$job" 2>/dev/null
	settle
	is 'container: its id' "$(last .container_id)" "$id"
	is 'container: its cgroup' "$(last .cgroup)" "/cf-test-$$.slice/docker-$id.scope"
	is 'container: both are shown' "$(cf info last | awk '$1 ~ /^(Cgroup|Container):/ { print $2 }' |
		xargs)" "/cf-test-$$.slice/docker-$id.scope $id"
	rmdir "$group" "${group%/*}"
else
	echo '# no cgroups here'
fi
holds 'the ledger adds up' ledger_holds
is 'nothing is left behind' "$(litter)" ''
finish
