#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A new user's walk on a machine of its own: a virtual one with its own kernel and systemd.
# Installing beside systemd-coredump, doctor, a crash loop, list, info, debug, the summary's
# mail, a reboot, an upgrade, removing. The machine does guest.sh; this makes it and reads
# what it says. Only `scripts/test --all` comes here: it takes minutes, without KVM.
#
# Usage: walk.sh SOURCE-ROOT VICTIMS
#
# The Debian root is made once, in COREFOLD_WALK_CACHE; packages come from where apt on this
# machine gets them. COREFOLD_WALK_ACCEL=kvm is for machines that really have it.
set -u

source_root=$1
victims=$2
here=$(cd "$(dirname "$0")" && pwd)
cache=${COREFOLD_WALK_CACHE:-/var/cache/corefold-walk}
accel=${COREFOLD_WALK_ACCEL:-tcg}
TIME_S=2700 # a busy machine emulates slowly

# systemd-coredump is the handler that was there before; dma delivers root's mail.
PACKAGES=systemd,systemd-sysv,systemd-coredump,cron,dma,bsd-mailx,gdb-minimal,initramfs-tools
PACKAGES=$PACKAGES,linux-image-cloud-amd64,procps,jq,dbus,adduser,libelf1,libjansson4,liblzma5
PACKAGES=$PACKAGES,libmd0,libseccomp2,libunwind8,libisal2,zlib1g,init-system-helpers,debconf

skip() { echo "skipped: $*"; exit 77; }
die() { printf 'not ok - %s\n' "$*"; exit 1; }

[ "${COREFOLD_TEST_ALL-}" = yes ] || skip 'takes minutes: scripts/test --all'
[ "$(id -u)" -eq 0 ] || skip 'needs root, to make a Debian root'
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || skip 'the virtual machine is amd64'
for tool in debootstrap qemu-system-x86_64 mke2fs lintian dpkg-shlibdeps; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done

work=$(mktemp -d /var/tmp/corefold-walk.XXXXXX) || exit 1
machine=
# shellcheck disable=SC2317 # by the trap
clean_up() {
	[ -z "$machine" ] || kill "$machine" 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- the machine's root ----

# What it is made of; another list makes another root.
root_name() {
	cat "$here/walk.sh" | grep '^PACKAGES=' | cat - "$here/prepare.sh" | sha256sum | cut -c1-16
}

mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CREATED_BY)' |
		awk '$2 == "bookworm" && $3 == "Packages" { print $1; exit }'
}

make_root() {
	local root=$cache/$1

	[ -d "$root" ] && return 0
	[ -n "$(mirror)" ] || skip 'apt on this machine knows no Debian 12'
	mkdir -p "$cache"
	rm -rf "$root.new"
	# systemd-coredump sets core_pattern when it is installed, be it in a folder.
	(
		# shellcheck source=scripts/lib.sh
		. "$here/../../scripts/lib.sh"
		take_kernel
		debootstrap --variant=minbase --include="$PACKAGES" bookworm "$root.new" "$(mirror)"
	) >"$work/debootstrap" 2>&1 ||
		{ tail -n 20 "$work/debootstrap"; die 'cannot make a Debian root'; }
	"$here/prepare.sh" "$root.new" || die 'cannot prepare the Debian root'
	mv "$root.new" "$root"
}

# ---- what it is given ----

fill_disk() {
	local disk=$work/walk

	mkdir "$disk"
	"$source_root/scripts/package" --output "$disk" >"$work/package" 2>&1 ||
		{ tail -n 20 "$work/package"; die 'scripts/package failed'; }
	first=$(tail -n 1 "$work/package")
	version=$(dpkg-deb -f "$first" Version)
	"$source_root/scripts/package" --output "$disk" --version "$version+walk" --no-lintian \
		>"$work/package" 2>&1 || { tail -n 20 "$work/package"; die 'no second package'; }
	mv "$first" "$disk/first.deb"
	mv "$disk"/corefold_*+walk_*.deb "$disk/second.deb"
	cp "$here/guest.sh" "$here/../checks.sh" "$victims"/victim-{crasher,abort} "$disk"
	mke2fs -q -t ext4 -d "$disk" "$work/walk.img" 64M
}

run_machine() {
	local root=$cache/$1

	truncate -s 1800M "$work/root.img"
	mke2fs -q -t ext4 -d "$root" "$work/root.img" || die 'cannot make the disk'
	mv "$work/said" "$work/said.chroot"
	timeout "$TIME_S" qemu-system-x86_64 -accel "$accel" -cpu max -smp 2 -m 768 -display none \
		-nic none -serial "file:$work/console" -serial "file:$work/said" \
		-kernel "$root"/boot/vmlinuz-* -initrd "$root"/boot/initrd.img-* \
		-append 'root=/dev/vda rw console=ttyS0 quiet' \
		-drive "file=$work/root.img,format=raw,if=virtio" \
		-drive "file=$work/walk.img,format=raw,if=virtio,readonly=on" \
		</dev/null >"$work/qemu" 2>&1 &
	machine=$!
	wait "$machine"
	status=$?
	machine=
	tr -d '\r' <"$work/said"
	[ "$status" -eq 0 ] || {
		tail -n 5 "$work/qemu"
		tail -c 2000 "$work/console"
		die "the machine did not end by itself ($status)"
	}
}

# The package alone, in a copy of the root.
run_chroot() {
	cp -a "$cache/$1" "$work/chroot" || die 'cannot copy the Debian root'
	unshare --mount --propagation private "$here/chroot.sh" "$work/chroot" "$work/walk/first.deb" |
		tee -a "$work/said"
	rm -rf "$work/chroot"
}

name=$(root_name)
make_root "$name"
fill_disk
run_chroot "$name"
run_machine "$name"
grep -q '^walked to the end' "$work/said" || die 'the walk did not come to its end'
! grep -q '^not ok' "$work/said" "$work/said.chroot"
