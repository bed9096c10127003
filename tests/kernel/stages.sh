#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Every system call from the start to the end of a handler, as the kernel starts it: what
# root does before it is given up, that nothing of the dump or the memory is read by it,
# and what each program may still do afterwards.
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
kernel_setup
need strace
enable
chmod 0755 "$base"/victim-*

# Delays are in front of the first write() of each program: time to look at it.
cat >"$base/traced" <<EOS
#!/bin/sh
exec 1>/dev/null 2>&1
exec /usr/bin/strace -f -y -s 0 -o $base/trace.\$\$ -e inject=write:delay_enter=1500000:when=1 \
	$base/corefold "\$@"
EOS
chmod 0755 "$base/traced"
[ -x /usr/bin/strace ] || skip 'needs /usr/bin/strace'
set_pattern "|$base/traced handle -C$conf -P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d -F%F"

find_program() { # EXE
	local exe
	for exe in /proc/[0-9]*/exe; do
		[ "$(readlink "$exe" 2>/dev/null)" = "$1" ] || continue
		grep -q '^Seccomp:.*2' "${exe%/exe}/status" 2>/dev/null || continue
		echo "${exe%/exe}"
		return
	done
}
# Copies of what /proc says: the process goes on meanwhile.
look_at() { # /proc/PID
	local fd
	cp "$1/status" "$base/status" 2>/dev/null || return 1
	stat -c %u "$1/fd" >"$base/fd-owner" 2>/dev/null
	: >"$base/fds"
	for fd in "$1"/fd/*; do
		printf '%s %s %s\n' "${fd##*/}" "$(awk '/^flags:/ { print $2 }' "$1/fdinfo/${fd##*/}" 2>/dev/null)" \
			"$(readlink "$fd" 2>/dev/null)" >>"$base/fds"
	done
	[ -s "$base/fds" ] && ! grep -q '  $' "$base/fds"
}

# ---- the unwinder, while it is about to answer ----

seen=
if [ -x "$base/corefold-unwind" ]; then
	for ((try = 0; try < 5 && ${#seen} == 0; try++)); do
		crash -u 30001 -n stages "$base/victim-abort" &
		for ((i = 0; i < 200 && ${#seen} == 0; i++)); do
			process=$(find_program "$base/corefold-unwind")
			[ -z "$process" ] || ! look_at "$process" || seen=$process
			[ -n "$seen" ] || sleep 0.02
		done
		wait $! || true
		settle
	done
	holds 'the unwinder was seen' test -n "$seen"
else
	crash -u 30001 -n stages "$base/victim-abort"
	settle
fi
field() { awk -v k="$1:" '$1 == k { $1 = ""; print substr($0, 2) }' "$base/status"; }
if [ -n "$seen" ]; then
	is 'it is the owner of the state' "$(field Uid)" "$owner $owner $owner $owner"
	is 'in no group of root' "$(field Gid | tr ' ' '\n' | grep -cx 0)" 0
	is 'and in no further one' "$(field Groups)" ''
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		[ "$set" = CapBnd ] || is "it has no capability in $set" "$(field "$set")" 0000000000000000
	done
	is 'no new privileges' "$(field NoNewPrivs)" 1
	is 'a seccomp filter' "$(field Seccomp)" 2
	is 'it cannot dump core: /proc shows it as root'"'"'s' "$(cat "$base/fd-owner")" 0
	is 'it holds nothing but what it was given' \
		"$(awk '$3 !~ /^(\/dev\/null|pipe:|\/memfd:corefold-head|\/proc\/[0-9]+\/mem)/ &&
			$3 !~ /\.core\.gz|#[0-9]+|\/victim-abort$|\.so|\(deleted\)|ld-/' "$base/fds")" ''
	is 'all for reading only, but its answer (and a head that is sealed)' \
		"$(awk '$1 > 2 && $2 !~ /0$/ && $3 !~ /memfd:corefold-head/' "$base/fds")" ''
	is 'and nothing of the state but the core' \
		"$(grep -c 'throttle\|counters\|events\|/cores$\|/state$' "$base/fds")" 0
fi

# ---- the system calls ----

trace=$(find "$base" -name 'trace.*' -size +0 | sort | head -n 1)
first=$(awk '{ print $1; exit }' "$trace") # the pid of the first program
grep "^$first " "$trace" | sed 's/^[0-9]* *//' >"$base/calls"
line() { grep -nE -m 1 "$1" "$base/calls" | cut -d: -f1; }
dropped=$(line '^setresuid\(.*= 0')
execed=$(line 'execve\(.*corefold-keep')
holds 'root is given up' test -n "$dropped"
holds 'in a few dozen system calls' test "${dropped:-999}" -lt 400
head -n "${dropped:-1}" "$base/calls" >"$base/as-root"
tail -n +"${dropped:-1}" "$base/calls" >"$base/afterwards"
is 'before that nothing of the dump is read' "$(grep -cE '^(read|readv|splice)\(.*pipe:' "$base/as-root")" 0
is 'nothing of the memory' "$(grep -cE '^(p?read|preadv|read)[0-9]*\([0-9]+</proc/[0-9]+/mem>' "$base/as-root")" 0
is 'nor command line, status, cgroup, auxv' \
	"$(grep -cE '^p?read[0-9]*\([0-9]+</proc/[0-9]+/(cmdline|status|cgroup|auxv|environ)>' "$base/as-root")" 0
matches 'it is read afterwards' "$(cat "$base/afterwards")" '^read\([0-9]+<pipe:'
is 'root opens nothing else than it has to' \
	"$(grep -E '^open(at)?\(' "$base/as-root" | grep -v ENOENT | grep -vE \
		'"/dev/(null|kmsg)"|"/etc/ld.so|/lib.*\.so|"/proc/(self/(oom_score_adj|fdinfo/[0-9]+)|[0-9]+)"|(<|FDCWD</>, )'"|c\.conf" |
		head -n 5)" ''
is 'and below /proc/PID only these' \
	"$(grep -oE '^openat\([0-9]+</proc/[0-9]+>, "[^"]*"' "$base/as-root" | cut -d'"' -f2 |
		grep -vE '^(mem|pagemap|status|auxv|cmdline|cgroup|maps|stat|map_files/.*)$')" ''
is 'it writes to nothing' "$(grep -cE '^p?write[0-9v]*\(' "$base/as-root")" 0
is 'and makes, renames and removes nothing' \
	"$(grep -cE '^(unlink|rename|link|symlink|mkdir|mknod|chmod|chown|fchmod|fchown|truncate|ftruncate|mount|chroot|setns|unshare|kill|ptrace)(at2?)?\(' "$base/as-root")" 0
is 'groups go first, then the group, then the user' \
	"$(grep -oE '^set(groups|resgid|resuid)' "$base/as-root" | xargs)" 'setgroups setresgid setresuid'
is 'it asks for root again and is refused' \
	"$(grep -E '^setuid\(0\)' "$base/afterwards" | grep -c EPERM)" 1
matches 'it cannot dump core' "$(cat "$base/as-root")" 'prctl\(PR_SET_DUMPABLE, (0|SUID_DUMP_DISABLE)'
matches 'also not after the change of ids' "$(head -n 8 "$base/afterwards")" \
	'prctl\(PR_SET_DUMPABLE, (0|SUID_DUMP_DISABLE)'
if [ -n "$execed" ]; then
	matches 'nor after the next program has begun' \
		"$(tail -n +"$execed" "$base/calls" | grep -m 1 -E '^prctl')" 'PR_SET_DUMPABLE, (0|SUID_DUMP_DISABLE)'
fi
is 'nothing is executed but our own' \
	"$(grep -hoE 'execve\("[^"]*"' "$base"/trace.* | sort -u | grep -vE "\"$base/corefold(-keep|-unwind)?\"")" ''
is 'nothing below root or cwd of the victim is touched' \
	"$(grep -hE '/proc/[0-9]+/(root|cwd)' "$base"/trace.* | head -n 3)" ''
finish
