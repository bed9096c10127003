#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The package where systemd does not run, and in a chroot, whose kernel is somebody else's.
# It sees files in the place of the kernel's settings: nothing is changed on this machine.
#
# Usage: unshare --mount chroot.sh ROOT PACKAGE    (ROOT is changed)
set -u
root=$1
package=$2
KERNEL=$root/kernel

passed() { printf 'ok - %s\n' "$1"; }
failed() { printf 'not ok - %s\n' "$1"; wrong=yes; }
is() {
	if [ "$2" = "$3" ]; then
		passed "$1"
	else
		failed "$1"
		printf '  got:    %s\n  wanted: %s\n' "$2" "$3"
	fi
}
matches() { if grep -Eq -- "$3" <<<"$2"; then passed "$1"; else is "$1" "$2" "$3"; fi; }

set_kernel() { # PATTERN
	printf '%s\n' "$1" >"$KERNEL/core_pattern"
	echo 0 >"$KERNEL/core_pipe_limit"
	echo 0 >"$KERNEL/suid_dumpable"
}
# A line each, as the kernel has it, whether the file ends with a newline or not.
settings() { printf '%s\n' "$(<"$KERNEL/core_pattern")" "$(<"$KERNEL/core_pipe_limit")" "$(<"$KERNEL/suid_dumpable")"; }

in_root() { DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@" 2>&1; }

wrong=no
mkdir -p "$KERNEL"
set_kernel core
mount -t proc proc "$root/proc" || exit 1
for setting in kernel/core_pattern kernel/core_pipe_limit fs/suid_dumpable; do
	mount --bind "$KERNEL/${setting#*/}" "$root/proc/sys/$setting" || exit 1
done
mount -t tmpfs tmpfs "$root/run" || exit 1
cp "$package" "$root/first.deb"

# ---- a chroot ----
said=$(in_root dpkg -i /first.deb)
is 'a chroot: it is installed' "$?" 0
is "a chroot: its host's kernel is left alone" "$(settings)" $'core\n0\n0'
is 'a chroot: and removed' "$(in_root dpkg -P corefold >/dev/null; echo $?)" 0
is 'a chroot: the kernel is left alone still' "$(settings)" $'core\n0\n0'

# ---- a machine without systemd ----
for program in ischroot systemd-detect-virt; do
	cp "$root/bin/false" "$root/usr/bin/$program"
done
said=$(in_root dpkg -i /first.deb)
is 'no systemd: it is installed' "$?" 0
matches 'no systemd: it is enabled' "$(settings | tr '\n' ' ')" '^\|/usr/sbin/corefold handle .* 256 2 $'
is 'no systemd: settings that are applied again are ours' \
	"$(sed -n 's/^kernel.core_pattern = //p' "$root/run/sysctl.d/90-corefold.conf")" \
	"$(cat "$KERNEL/core_pattern")"
is 'no systemd: cron would enable it at boot' "$(in_root corefold doctor --json --no-crash |
	jq -r '.checks[] | select(.check == "boot").verdict')" ok
pattern=$(settings)
in_root dpkg -i /first.deb >/dev/null
is 'no systemd: installed again, nothing changes' "$(settings)" "$pattern"
in_root dpkg -r corefold >/dev/null
is 'no systemd: removed, what was there is back' "$(settings)" $'core\n0\n0'
is "no systemd: removed, cron's lines are silent" \
	"$(sed -n 's/^[@*0-9].* root //p' "$root/etc/cron.d/corefold" | in_root sh -e; echo $?)" 0
matches 'no systemd: purge says what goes' "$(in_root dpkg -P corefold)" 'removing /var/lib/corefold'

# ---- and another handler ----
set_kernel '|/opt/other %P'
said=$(in_root dpkg -i /first.deb)
matches 'another handler: it is said' "$said" 'not enabled: .*another program'
is 'another handler: it keeps the dumps' "$(head -n 1 "$KERNEL/core_pattern")" '|/opt/other %P'
is 'another handler: cron will not take them at boot' "$(in_root corefold doctor --json --no-crash |
	jq -r '.checks[] | select(.check == "boot").verdict')" warn
echo 'corefold corefold/replace boolean true' | in_root debconf-set-selections
in_root dpkg-reconfigure -f noninteractive corefold >/dev/null
matches 'another handler: replaced when that is wanted' "$(cat "$KERNEL/core_pattern")" '^\|/usr/sbin/corefold '
in_root dpkg -P corefold >/dev/null
is 'another handler: it is back' "$(settings)" $'|/opt/other %P\n0\n0'

[ "$wrong" = no ]
