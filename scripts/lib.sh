# shellcheck shell=bash
# shellcheck disable=SC2034 # sourced: what is set here is used there
# What demo, test and bench share: installing what is missing, building, and putting the
# kernel's settings back whatever happens.

# Every package the project needs to build and test on Debian 12.
BUILD_PACKAGES=(gcc meson ninja-build pkg-config libc6-dev libelf-dev libjansson-dev libinih-dev
	zlib1g-dev libmd-dev libisal-dev libunwind-dev libseccomp-dev liblzma-dev libiberty-dev)
TEST_PACKAGES=(check g++ gdb jq clang libclang-rt-14-dev mandoc groff-base shellcheck binutils elfutils
	python3 xz-utils e2fsprogs xfsprogs strace curl procps zsh fish tidy)
# Of scripts/test --all: large, and some of them start a service when they are installed.
ALL_PACKAGES=(chromium fonts-dejavu-core prometheus prometheus-node-exporter systemd)
# Languages whose crashes are unwound, too, by scripts/test --all; without one its cases are missing.
LANGUAGE_PACKAGES=(golang-go rustc nodejs)
# What scripts/package needs on top.
PACKAGE_PACKAGES=(dpkg-dev lintian jq)
# What the walk on a virtual machine needs on top of that; only for scripts/test --all.
WALK_PACKAGES=(debootstrap qemu-system-x86 e2fsprogs)

say() { printf '%s\n' "$*"; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}
# The comment that the script of that name begins with, without what it tells shellcheck.
usage() { sed -n '2,/^set/{/^# shellcheck/d; s/^# \{0,1\}//p}' "scripts/${0##*/}"; }

# Installs those of the named packages that are not there.
install_packages() {
	local missing=() package sudo=()

	command -v dpkg-query >/dev/null || {
		say "not a Debian system: the needed packages are assumed to be there"
		return 0
	}
	for package in "$@"; do
		dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null |
			grep -q '^install ok installed$' || missing+=("$package")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "installing: ${missing[*]}"
	[ "$(id -u)" -eq 0 ] || sudo=(sudo)
	"${sudo[@]}" apt-get update -qq
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends "${missing[@]}" >/dev/null ||
		die "cannot install: ${missing[*]} (as root: apt-get install ${missing[*]})"
}

# build DIR [MESON OPTION...]: configures once, then builds.
build() {
	local dir=$1 log=$1/build.log

	shift
	mkdir -p "$dir"
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$@" >"$log" 2>&1 || {
			tail -n 30 "$log" >&2
			die "meson setup failed (whole output in $log)"
		}
	fi
	ninja -C "$dir" >"$log" 2>&1 || {
		tail -n 30 "$log" >&2
		die "the build failed (whole output in $log)"
	}
}

# ---- the kernel's settings ----

KERNEL_SETTINGS=(/proc/sys/kernel/core_pattern /proc/sys/kernel/core_pipe_limit
	/proc/sys/fs/suid_dumpable)
KERNEL_LOCK=/run/corefold-test.lock

can_change_kernel() {
	[ "$(id -u)" -eq 0 ] && [ -w /proc/sys/kernel/core_pattern ]
}

# Takes the machine's core_pattern for this script: one at a time, and put back on every way
# out, by a watcher of its own if this script is killed.
take_kernel() {
	local saved=() setting

	exec {KERNEL_LOCK_FD}>"$KERNEL_LOCK"
	flock -w 600 "$KERNEL_LOCK_FD" || die "another run has been using core_pattern for ten minutes"
	for setting in "${KERNEL_SETTINGS[@]}"; do
		saved+=("$(cat "$setting")")
	done
	KERNEL_SAVED=("${saved[@]}")
	# The read end of this pipe sees its end when the script is gone, however it went.
	exec {KERNEL_WATCH_FD}> >(
		trap '' INT TERM HUP
		cat >/dev/null
		restore_kernel
	)
	trap 'give_kernel' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
}

# The pattern goes last: suid_dumpable=2 with a relative pattern makes the kernel warn.
restore_kernel() {
	local i

	for i in 2 1 0; do
		[ "$(cat "${KERNEL_SETTINGS[i]}")" = "${KERNEL_SAVED[i]}" ] ||
			printf '%s\n' "${KERNEL_SAVED[i]}" >"${KERNEL_SETTINGS[i]}"
	done
}

give_kernel() {
	local status=$?

	trap '' INT TERM HUP
	restore_kernel
	if declare -F on_exit >/dev/null; then
		on_exit
	fi
	exit "$status"
}
