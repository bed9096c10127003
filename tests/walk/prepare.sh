#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes a machine of a Debian root: it mounts its second disk and does the guest.sh there.
#
# Usage: prepare.sh ROOT
set -eu
root=$1

echo walk >"$root/etc/hostname"
echo '127.0.0.1 localhost walk' >"$root/etc/hosts"
echo '/dev/vda / ext4 rw 0 1' >"$root/etc/fstab"
echo 'root: walker' >"$root/etc/aliases"
chroot "$root" useradd --create-home --uid 1000 walker
# Nobody is to wait for on an emulated machine.
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
	fstrim.timer dpkg-db-backup.timer getty@tty1.service serial-getty@ttyS0.service \
	systemd-networkd-wait-online.service systemd-timesyncd.service; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/walk" "$root/etc/systemd/system/multi-user.target.wants"
cat >"$root/etc/systemd/system/walk.service" <<UNIT
[Unit]
Description=The walk
After=cron.service corefold.service corefold-late.service apport.service
After=systemd-user-sessions.service

[Service]
Type=exec
ExecStartPre=/bin/mount -o ro /dev/vdb /walk
ExecStart=/bin/bash /walk/guest.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
UNIT
ln -sf ../walk.service "$root/etc/systemd/system/multi-user.target.wants/walk.service"
apt_lists=$root/var/lib/apt/lists
rm -rf "$apt_lists" "$root"/var/cache/apt/archives/*.deb
mkdir -p "$apt_lists"
