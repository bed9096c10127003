/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is wrong with the directory of the state, its file system, and the state in it. */

#include "policy/diagnosis_internal.h"

#include <inttypes.h>
#include <string.h>

#include "policy/units.h"

#define TICK_LATE_NS (16LL * 60 * NS_PER_SEC) /* three ticks have not come */

/* ---- its directory ---- */

void diagnosis_user(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->user_known) {
		say(d, DIAGNOSIS_OK, "user '%s' is uid %u", f->user, f->user_uid);
		return;
	}
	mend(d, "useradd --system --no-create-home --shell /usr/sbin/nologin %s", f->user);
	if (f->directory_error == 0 && f->directory_uid != 0)
		say(d, DIAGNOSIS_WARN, "there is no user '%s'; uid %u owns the state", f->user,
		    f->directory_uid);
	else
		say(d, DIAGNOSIS_FAIL, "there is no user '%s' to give up root to", f->user);
}

void diagnosis_directory(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->directory_error != 0) {
		say(d, DIAGNOSIS_FAIL, "%s: %s", f->directory, strerror(f->directory_error));
		mend(d, "%s", f->enable);
	} else if (!f->directory_is_one) {
		say(d, DIAGNOSIS_FAIL, "%s is a link or no directory", f->directory);
		mend(d, "mv %s %s.old && %s", f->directory, f->directory, f->enable);
	} else if (!f->parent_safe) {
		say(d, DIAGNOSIS_FAIL,
		    "the directory above %s can be written by others than root and its owner",
		    f->directory);
		mend(d, "chown root: $(dirname %s) && chmod go-w $(dirname %s)", f->directory,
		     f->directory);
	} else if (f->directory_mode & 022) {
		say(d, DIAGNOSIS_FAIL, "%s has mode %04o: others may write to it", f->directory,
		    f->directory_mode);
		mend(d, "chmod 0700 %s", f->directory);
	} else if (f->directory_mode & 077) {
		say(d, DIAGNOSIS_WARN, "%s has mode %04o: others may look into it", f->directory,
		    f->directory_mode);
		mend(d, "chmod 0700 %s", f->directory);
	} else {
		say(d, DIAGNOSIS_OK, "%s, mode %04o", f->directory, f->directory_mode);
	}
}

void diagnosis_owner(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->directory_error != 0) {
		say(d, DIAGNOSIS_SKIPPED, "there is no directory to have an owner");
		return;
	}
	if (*f->stranger) {
		say(d, DIAGNOSIS_FAIL, "%s belongs to uid %u, %s/%s to uid %u", f->directory,
		    f->directory_uid, f->directory, f->stranger, f->stranger_uid);
		mend(d, "chown -R %s %s", f->owner, f->directory);
		return;
	}
	mend(d, "chown -R %s: %s", f->user, f->directory);
	if (f->directory_uid == 0)
		say(d, DIAGNOSIS_FAIL, "%s belongs to root: crashes are counted, none is kept",
		    f->directory);
	else if (f->user_known && f->user_uid != f->directory_uid)
		say(d, DIAGNOSIS_WARN, "%s belongs to uid %u, not to '%s' (%u)", f->directory,
		    f->directory_uid, f->user, f->user_uid);
	else
		say(d, DIAGNOSIS_OK, "%s belongs to uid %u", f->directory, f->directory_uid);
}

void diagnosis_space(const struct diagnosis_facts *f, struct diagnosis *d)
{
	char free_text[UNITS_SIZE], keep_text[UNITS_SIZE];

	if (!f->space_known) {
		say(d, DIAGNOSIS_SKIPPED, "there is no directory to have space");
		return;
	}
	(void)units_format_bytes(f->free_bytes, free_text);
	(void)units_format_bytes(f->keep_free_bytes, keep_text);
	mend(d, "corefold prune%s --older-than=7d --dry-run (shows what could go), or a larger disk",
	     f->config);
	if (f->read_only) {
		say(d, DIAGNOSIS_FAIL, "the file system of %s is read-only", f->directory);
		mend(d, "mount -o remount,rw, or another Directory= in the configuration");
	} else if (f->free_inodes == 0 || f->free_bytes == 0) {
		say(d, DIAGNOSIS_FAIL, "the file system of %s is full (%s)", f->directory,
		    f->free_bytes == 0 ? "no blocks" : "no inodes");
	} else if (f->free_bytes <= f->keep_free_bytes) {
		say(d, DIAGNOSIS_WARN,
		    "%s free, KeepFree wants %s: records are kept, cores are not", free_text,
		    keep_text);
	} else {
		say(d, DIAGNOSIS_OK, "%s free, %s of it are left alone (KeepFree)", free_text,
		    keep_text);
	}
}

/* ---- the state ---- */

/* Why it cannot be read shows in other facts; a tick mends only what is damaged. */
static void judge_unreadable(const struct diagnosis_facts *f, struct diagnosis *d)
{
	enum diagnosis_verdict verdict = f->state_tried ? DIAGNOSIS_FAIL : DIAGNOSIS_SKIPPED;

	say(d, verdict, "%s", f->state_error);
	if (!f->state_tried) {
		if (f->directory_error == 0)
			mend(d, "sudo corefold doctor%s", f->config);
	} else if (*f->stranger) {
		say(d, verdict, "it belongs to more than one user, see owner");
		mend(d, "chown -R %s %s", f->owner, f->directory);
	} else if (f->space_known && f->read_only) {
		say(d, verdict, "it cannot be brought up to date: the file system is read-only");
		mend(d, "mount -o remount,rw, or another Directory= in the configuration");
	} else if (f->space_known && (f->free_bytes == 0 || f->free_inodes == 0)) {
		say(d, verdict, "it cannot be brought up to date: the file system is full");
		mend(d, "make room on the file system of %s, then corefold tick%s", f->directory,
		     f->config);
	} else {
		mend(d, "corefold tick%s", f->config);
	}
}

/* Nobody is told to remove records. */
static void judge_set_aside(const struct diagnosis_facts *f, struct diagnosis *d)
{
	const char *dir = f->directory, *name = f->records_aside;

	if (!*name) {
		say(d, DIAGNOSIS_WARN,
		    "%u damaged file%s set aside as *.bad; the totals were rebuilt",
		    f->set_aside, f->set_aside == 1 ? " was" : "s were");
		mend(d, "rm -r %s/*.bad* (when they have been looked at)", dir);
		return;
	}
	say(d, DIAGNOSIS_WARN, "%s/%s was set aside and may hold records and cores", dir, name);
	if (f->records_foreign)
		mend(d, "look at it; if it is corefold's: chown -R %u %s/%s, then corefold doctor%s "
			"again",
		     f->directory_uid, dir, name, f->config);
	else
		mend(d, "mv -n %s/%s/* %s/cores/; rmdir %s/%s", dir, name, dir, dir, name);
}

void diagnosis_state(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (!f->state_known) {
		judge_unreadable(f, d);
	} else if (!f->balanced) {
		say(d, DIAGNOSIS_FAIL, "the ledger does not add up");
		mend(d, "corefold tick%s", f->config);
	} else if (f->set_aside > 0) {
		judge_set_aside(f, d);
	} else {
		say(d, DIAGNOSIS_OK, "the ledger can be read and adds up");
	}
}

void diagnosis_clock(const struct diagnosis_facts *f, struct diagnosis *d)
{
	char text[UNITS_SIZE];

	if (f->wall_s < f->built_s) {
		say(d, DIAGNOSIS_WARN,
		    "the clock is before this corefold was built: records get wrong times (the "
		    "throttle and the hours do not use it)");
		mend(d, "timedatectl set-ntp true, or date -s");
	} else if (!f->state_known) {
		say(d, DIAGNOSIS_SKIPPED, "on-time is in the state, which cannot be read");
	} else {
		say(d, DIAGNOSIS_OK, "%s of on-time are counted",
		    units_format_span(f->on_time_ns / NS_PER_SEC * NS_PER_SEC, text));
	}
}

void diagnosis_ticks(const struct diagnosis_facts *f, struct diagnosis *d)
{
	bool never = f->tick_age_ns < 0;
	int64_t age_ns = never ? f->on_time_ns : f->tick_age_ns;
	char text[UNITS_SIZE];

	if (!f->state_known) {
		say(d, DIAGNOSIS_SKIPPED, "ticks show in the state, which cannot be read");
		return;
	}
	(void)units_format_span(age_ns / NS_PER_SEC * NS_PER_SEC, text);
	if (age_ns > TICK_LATE_NS) {
		say(d, DIAGNOSIS_WARN, "%s %s%s: the hours and overdue weights do not settle",
		    never ? "no tick has come in" : "the last tick was", text,
		    never ? "" : " ago");
		mend(d, "systemctl enable --now corefold-tick.timer, or start cron (see "
			"'systemctl status corefold-tick.service')");
	} else if (never) {
		say(d, DIAGNOSIS_OK, "none yet, %s after the first start", text);
	} else {
		say(d, DIAGNOSIS_OK, "the last one was %s ago", text);
	}
}

void diagnosis_unseen(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (!f->state_known) {
		say(d, DIAGNOSIS_SKIPPED, "their number is in the state, which cannot be read");
	} else if (f->unseen > 0) {
		say(d, DIAGNOSIS_WARN,
		    "at least %" PRIu64 " crashes never reached corefold since it was installed "
		    "(kernel log)",
		    f->unseen);
		mend(d, "dmesg | grep -i 'core dump\\|core_pipe_limit' (tells of which programs)");
	} else {
		say(d, DIAGNOSIS_OK, "the kernel log tells of no crash that corefold did not get");
	}
}
