#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The walk itself, on the virtual machine: as root, with what walk.sh put onto its second
# disk in /walk. It goes on behind the reboot where it was before.
set -u

NOTES=/var/lib/walk
PATTERN=/proc/sys/kernel/core_pattern
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root
mkdir -p "$NOTES"
cd "$NOTES" || exit 1

# shellcheck disable=SC2034 # read by checks.sh
base=$NOTES
# shellcheck source=tests/checks.sh
. /walk/checks.sh || exit 1

# until_true COMMAND...: an emulated machine is slow, not wrong
until_true() {
	local i
	for ((i = 0; i < 300; i++)); do
		"$@" && return 0
		sleep 1
	done
	return 1
}

end() {
	[ $# -eq 0 ] || failed "$*"
	journalctl -b -p warning -q --no-pager | tail -n 15
	[ "$(cat phase 2>/dev/null)" != 4 ] || echo 'walked to the end'
	sync
	systemctl --no-block poweroff
	exit
}

settings() { cat "$PATTERN" /proc/sys/kernel/core_pipe_limit /proc/sys/fs/suid_dumpable; }
ours() { grep -q '^|/usr/sbin/corefold handle ' "$PATTERN"; }
status() { corefold status --json | jq -r "$1"; }
active() { systemctl is-active "$@" 2>/dev/null | sort -u; }

# What doctor is not content with: check and message.
not_ok() {
	corefold doctor --json | jq -r '.checks[] | select(.verdict != "ok")
		| "\(.check) \(.verdict): \(.message)"'
}

# Crashes of a looping service of somebody.
crash() { /walk/victim-crasher -u 1000 -n looper -t "$1" /walk/victim-abort >/dev/null 2>&1; }
stored() { [ "$(status .in_flight)" = 0 ]; }

# ---- the first boot ----

install() {
	settings >before
	matches 'another handler is there before' "$(cat before)" '^\|/lib/systemd/systemd-coredump '
	dpkg -i /walk/first.deb >said 2>&1 || end "cannot install: $(cat said)"
	matches 'the package says whose the dumps are' "$(cat said)" 'not enabled: .*another program'
	matches 'and how to take them over' "$(cat said)" 'dpkg-reconfigure corefold'
	is 'it has changed nothing' "$(settings)" "$(cat before)"
	is 'its user is there' "$(id -un corefold)" corefold
	is 'its directory is private' "$(stat -c '%U %a' /var/lib/corefold)" 'corefold 700'
	matches 'doctor names the other handler' "$(corefold doctor)" '^FAIL +pattern .*systemd-coredump'

	echo 'corefold corefold/replace boolean true' | debconf-set-selections
	dpkg-reconfigure -f noninteractive corefold >said 2>&1 || end "cannot reconfigure: $(cat said)"
	holds 'asked again, it takes over' ours
	is 'its units are active' "$(active corefold.service corefold-late.service corefold-tick.timer \
		corefold-summary.timer)" active
	is 'and enabled' "$(systemctl is-enabled corefold.service corefold-tick.timer \
		corefold-summary.timer | sort -u)" enabled
	/lib/systemd/systemd-sysctl
	holds 'settings that are applied again are still ours' ours
}

look() {
	is 'a tick works in its sandbox' "$(systemctl start corefold-tick.service && echo yes)" yes
	is 'doctor is green' "$(not_ok)" ''
	corefold doctor | sed 's/^/# /'
	mkdir -p /etc/corefold.conf.d
	printf '[Hours]\nInterval=10s\n' >/etc/corefold.conf.d/walk.conf
	crash 40
	until_true stored || failed 'crashes are still being stored'
	is 'every crash is counted' "$(status '.processes[] | select(.process == "looper")
		| [.crashes, .kept_weight + .pending] | join(" ")')" '40 40'
	matches 'status: it is throttled' "$(corefold status)" '1000 +40 .* 20[0-9-]+ .* looper'
	is 'list: the loop is folded' "$(corefold list --json | jq -c '[.[] | select(.process == "looper").weight]')" \
		'[1,1,1,1,1,1,1,1,10,10,10]'
	matches 'list is readable' "$(corefold list)" ' looper '
	matches 'info names the function' "$(corefold info)" 'abort|main'
	matches 'info: the signature' "$(corefold info)" 'Signature: '
	matches 'debug starts a debugger' "$(corefold debug -A '-batch -ex bt' looper 2>&1)" '#[0-9]+ .*(abort|main)'
	systemctl start corefold-summary.service ||
		failed 'the summary does not work in its sandbox'
	matches 'the summary is in the journal' "$(journalctl -q -o cat -u corefold-summary.service)" looper
}

# cron does it, at its own time.
has_mail() { grep -q looper /var/mail/walker 2>/dev/null; }
mail() {
	local day
	systemctl stop corefold-tick.timer
	# The next such time, not one before the crashes; and a minute for cron to start in.
	[ "$(date +%H%M)" -lt 616 ] || day=tomorrow
	date -s "${day:-today} 06:16:00" >/dev/null
	hwclock --utc --systohc # or the next boot is before this one
	systemctl restart cron
	until_true has_mail || failed "no mail: $(journalctl -q -u cron -n 5 -o cat)"
	matches 'cron mails the summary to root' "$(cat /var/mail/walker)" '^New signatures'
	since=$(awk '{ print int($1 * 1000000) }' /proc/uptime)
	systemctl start corefold-tick.timer
}

ticked() { [ "$(systemctl show -P ExecMainExitTimestampMonotonic corefold-tick.service)" -gt "$1" ]; }
first_boot() {
	install
	look
	mail
	holds 'the timer ticks by itself' until_true ticked "$since"
	until_true stored
	corefold status --json >status
	echo 2 >phase
	sync
	systemctl --no-block reboot
	exit
}

# ---- the second ----

reboot() {
	holds 'the pattern is ours after the boot' ours
	is 'what was there is remembered' "$(cat /run/corefold.saved)" "$(cat before)"
	is 'no crash is lost or doubled' "$(status '[.crashes, .folded, .kept_weight] | join(" ")')" \
		"$(jq -r '[.crashes, .folded, .kept_weight] | join(" ")' status)"
	is 'the hours are carried' "$(jq -n --argjson now "$(corefold status --json)" --slurpfile earlier status '
		$earlier[0].hours as $t | $now.hours as $n | $t.operational_hours > 0 and $t.crashfree_hours > 0
		and $n.operational_hours > $t.operational_hours and $n.crashfree_hours >= $t.crashfree_hours
		and $now.on_time_ms > $earlier[0].on_time_ms')" true
	systemctl start corefold-tick.service
	is 'the shutdown was a clean one' \
		"$(corefold summary --json | jq -c '[.. | .unclean_shutdowns? // empty]')" '[0]'
	is 'doctor is green again' "$(not_ok)" ''
}

upgrade() {
	local counted
	counted=$(status '[.crashes, .kept_weight] | join(" ")')
	dpkg -i /walk/second.deb >said 2>&1 || end "cannot upgrade: $(cat said)"
	holds 'upgraded, the pattern is ours' ours
	is 'the state is kept' "$(status '[.crashes, .kept_weight] | join(" ")')" "$counted"
	holds 'and so is the configuration' test -e /etc/corefold.conf.d/walk.conf
	is 'the units are active' "$(active corefold.service corefold-tick.timer)" active
	is 'what was there is still remembered' "$(cat /run/corefold.saved)" "$(cat before)"
	is 'doctor is green after the upgrade' "$(not_ok)" ''
}

has_dump() { coredumpctl -q --no-pager list victim-abort >/dev/null 2>&1; }
remove() {
	dpkg -r corefold >said 2>&1 || end "cannot remove: $(cat said)"
	is 'the old handler is back' "$(settings)" "$(cat before)"
	matches 'the package says that the state stays' "$(cat said)" '/var/lib/corefold is kept'
	holds 'it does' test -e /var/lib/corefold/throttle
	is 'no unit runs' "$(active corefold.service corefold-late.service corefold-tick.timer)" inactive
	crash 1
	holds 'the old handler gets the next crash' until_true has_dump
	dpkg -P corefold >said 2>&1 || end "cannot purge: $(cat said)"
	matches 'purge says what goes' "$(cat said)" 'removing /var/lib/corefold: [0-9]+ records'
	is 'nothing is left' "$(ls -d /var/lib/corefold /etc/corefold.conf /etc/cron.d/corefold \
		/run/corefold.saved /run/sysctl.d/90-corefold.conf 2>/dev/null)" ''
	is 'no link of a unit either' "$(find /etc/systemd/system -name 'corefold*')" ''
}

# Where nobody takes the dumps there is nothing to ask.
alone() {
	dpkg -P systemd-coredump >/dev/null 2>&1
	echo core >"$PATTERN"
	dpkg -i /walk/first.deb >said 2>&1 || end "cannot install: $(cat said)"
	holds 'without another handler it is enabled at once' ours
	systemctl start corefold-tick.service
	is 'doctor is green at once' "$(not_ok)" ''
	dpkg -P corefold >said 2>&1
	is 'purged, plain files are back' "$(cat "$PATTERN")" core
}

# Like apport: a service that puts itself behind the pattern late in every boot.
late_rival() {
	cat >/etc/systemd/system/apport.service <<-UNIT
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh -c 'echo "|/usr/share/apport/apport %%p" >$PATTERN'
		[Install]
		WantedBy=multi-user.target
	UNIT
	systemctl daemon-reload
	systemctl enable --now apport.service 2>/dev/null
	matches 'another late handler is there' "$(cat "$PATTERN")" apport
	echo 'corefold corefold/replace boolean true' | debconf-set-selections
	dpkg -i /walk/first.deb >said 2>&1 || end "cannot install: $(cat said)"
	holds 'installed with the answer given before, it takes over' ours
	echo 3 >phase
	sync
	systemctl --no-block reboot
	exit
}

# ---- the third ----

late_boot() {
	holds 'the pattern is ours after a boot with a late handler' ours
	is 'the late one was started' "$(active apport.service)" active
	matches 'and remembered' "$(cat /run/corefold.saved)" apport
	is 'with the limit from before us' "$(sed -n 2p /run/corefold.saved)" 0
	matches 'doctor knows of it' "$(corefold doctor)" '^ok +rivals +apport.service: corefold takes over'
	dpkg -P corefold >said 2>&1
	matches 'removed, it is back' "$(cat "$PATTERN")" apport
}

case $(cat phase 2>/dev/null) in
'') first_boot ;;
2)
	echo 2b >phase
	reboot
	upgrade
	remove
	alone
	late_rival
	;;
3)
	echo 4 >phase
	late_boot
	end
	;;
*) end 'the machine was started once more than it should' ;;
esac
