/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/diagnosis.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/units.h"

#define PIPE_LIMIT_MIN 16 /* fewer handlers at once lose crashes in any storm */
#define TICK_LATE_NS (16LL * 60 * NS_PER_SEC) /* three ticks have not come */
#define DRILL_SLOW_MS 5000

__attribute__((format(printf, 3, 4)))
static void say(struct diagnosis *d, enum diagnosis_verdict verdict, const char *format, ...)
{
	va_list args;

	d->verdict = verdict;
	va_start(args, format);
	(void)vsnprintf(d->message, sizeof(d->message), format, args);
	va_end(args);
}

__attribute__((format(printf, 2, 3)))
static void mend(struct diagnosis *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(d->mend, sizeof(d->mend), format, args);
	va_end(args);
}

/* ---- the kernel's settings ---- */

static void judge_pattern(const struct diagnosis_facts *f, struct diagnosis *d)
{
	mend(d, "%s", f->enable);
	if (!pattern_is_ours(f->pattern)) {
		say(d, DIAGNOSIS_FAIL, "core dumps go to %s: '%s'", pattern_owner(f->pattern),
		    f->pattern);
		return;
	}
	if (strlen(f->pattern) >= PATTERN_MAX && strcmp(f->pattern, f->wanted_pattern) != 0) {
		say(d, DIAGNOSIS_FAIL,
		    "core_pattern was cut at %d characters, the handler misses arguments: '%s'",
		    PATTERN_MAX, f->pattern);
		mend(d, "move program or configuration to a shorter path, then %s", f->enable);
		return;
	}
	if (!f->program_runs) {
		say(d, DIAGNOSIS_FAIL, "the program in core_pattern cannot be run: '%s'",
		    f->program);
		return;
	}
	if (!f->program_safe) {
		say(d, DIAGNOSIS_FAIL,
		    "others than root may change %s, which the kernel runs as root", f->program);
		mend(d, "chown root: %s && chmod go-w %s", f->program, f->program);
		return;
	}
	if (strcmp(f->pattern, f->wanted_pattern) != 0) {
		say(d, DIAGNOSIS_WARN, "core_pattern is not what this corefold would write: '%s'",
		    f->pattern);
		return;
	}
	say(d, DIAGNOSIS_OK, "core dumps go to %s", f->program);
}

static void judge_pipe_limit(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->pipe_limit < 0) {
		say(d, DIAGNOSIS_SKIPPED, "kernel.core_pipe_limit cannot be read");
		return;
	}
	mend(d, "%s", f->enable);
	if (f->pipe_limit == 0)
		say(d, DIAGNOSIS_FAIL,
		    "kernel.core_pipe_limit is 0: processes are gone before they can be looked "
		    "at, and a storm may start any number of handlers");
	else if (f->pipe_limit < PIPE_LIMIT_MIN)
		say(d, DIAGNOSIS_WARN,
		    "kernel.core_pipe_limit is %" PRId64
		    ": of more crashes at once the kernel drops the others",
		    f->pipe_limit);
	else
		say(d, DIAGNOSIS_OK, "kernel.core_pipe_limit is %" PRId64, f->pipe_limit);
}

static void judge_suid(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->suid_dumpable < 0) {
		say(d, DIAGNOSIS_SKIPPED, "fs.suid_dumpable cannot be read");
		return;
	}
	mend(d, "%s", f->enable);
	if (f->suid_dumpable == 0)
		say(d, DIAGNOSIS_WARN,
		    "fs.suid_dumpable is 0: daemons that changed their user crash unseen");
	else if (f->suid_dumpable == 1)
		say(d, DIAGNOSIS_WARN,
		    "fs.suid_dumpable is 1: users may trace set-uid programs (2 is meant)");
	else
		say(d, DIAGNOSIS_OK, "fs.suid_dumpable is %" PRId64, f->suid_dumpable);
}

static void judge_rivals(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (*f->rival_units && !f->our_unit) {
		say(d, DIAGNOSIS_WARN, "at boot core_pattern is also set by %s", f->rival_units);
		mend(d, "systemctl enable --now corefold.service (takes over after them), or "
			"systemctl disable --now %s",
		     f->rival_units);
	} else if (*f->next_value && strcmp(f->next_value, f->pattern) != 0) {
		say(d, DIAGNOSIS_WARN,
		    "core dumps will go to %s when sysctl settings are applied again: %s",
		    pattern_owner(f->next_value), f->next_path);
		mend(d, "%s; if it stays so, take kernel.core_pattern out of %s", f->enable,
		     f->next_path);
	} else if (*f->rival_units) {
		say(d, DIAGNOSIS_OK, "%s: corefold takes over after it", f->rival_units);
	} else {
		say(d, DIAGNOSIS_OK, "nobody else will set core_pattern");
	}
}

static void judge_boot(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->trial) {
		say(d, DIAGNOSIS_SKIPPED, "with a configuration of its own it is not meant to stay");
	} else if (f->systemd && !f->our_unit) {
		say(d, DIAGNOSIS_WARN, "corefold will not be enabled at the next boot");
		mend(d, "systemctl enable --now corefold.service");
	} else if (f->systemd) {
		say(d, DIAGNOSIS_OK, "corefold.service enables corefold at every boot");
	} else if (f->cron) {
		say(d, DIAGNOSIS_OK, "/etc/cron.d/corefold enables corefold at every boot");
	} else {
		say(d, DIAGNOSIS_WARN, "nothing enables corefold at the next boot");
		mend(d, "'corefold enable' in a script that runs at boot");
	}
}

/* ---- the state directory ---- */

static void judge_user(const struct diagnosis_facts *f, struct diagnosis *d)
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

static void judge_directory(const struct diagnosis_facts *f, struct diagnosis *d)
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

static void judge_owner(const struct diagnosis_facts *f, struct diagnosis *d)
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

static void judge_space(const struct diagnosis_facts *f, struct diagnosis *d)
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

/* ---- our other programs ---- */

static void judge_programs(const struct diagnosis_facts *f, struct diagnosis *d)
{
	mend(d, "install corefold again (apt-get install --reinstall corefold, or meson install)");
	if (!f->keep_runs)
		say(d, DIAGNOSIS_WARN,
		    "%s cannot be run: cores are kept, but compressed by zlib alone",
		    f->keep_program);
	else if (!f->unwind_runs)
		say(d, DIAGNOSIS_WARN,
		    "%s cannot be run: no backtraces, no signatures, and a new bug in a crash "
		    "loop is folded",
		    f->unwind_program);
	else
		say(d, DIAGNOSIS_OK, "%s and corefold-unwind can be run", f->keep_program);
}

static void judge_sandbox(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->seccomp) {
		say(d, DIAGNOSIS_OK, "the kernel has seccomp filters");
		return;
	}
	say(d, DIAGNOSIS_WARN, "the kernel has no seccomp filters: corefold-unwind will not "
			       "read a crash, so there are no backtraces");
	mend(d, "a kernel with CONFIG_SECCOMP_FILTER=y");
}

static void judge_hooks(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->hooks > 0 && !f->state_tried) {
		say(d, DIAGNOSIS_SKIPPED, "only root and the state's owner can try its commands");
	} else if (!*f->hook) {
		say(d, DIAGNOSIS_OK, f->hooks > 0 ? "the commands of [Hook] can be run" :
						    "no command is to be run for crashes");
	} else if (f->hook_program[0] != '/') {
		say(d, DIAGNOSIS_WARN, "%s=%s is never run: its path is not absolute", f->hook,
		    f->hook_program);
		mend(d, "command -v %s (and %s= with what that says)", f->hook_program, f->hook);
	} else if (f->hook_error != 0) {
		say(d, DIAGNOSIS_WARN, "%s=%s cannot be run by uid %u: %s", f->hook,
		    f->hook_program, f->directory_uid, strerror(f->hook_error));
		mend(d, "ls -l %s (and chmod, or another %s=)", f->hook_program, f->hook);
	} else {
		say(d, DIAGNOSIS_FAIL, "others may change %s (%s=), which runs as uid %u",
		    f->hook_program, f->hook, f->directory_uid);
		mend(d, "chown root: %s && chmod go-w %s", f->hook_program, f->hook_program);
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

static void judge_state(const struct diagnosis_facts *f, struct diagnosis *d)
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

static void judge_clock(const struct diagnosis_facts *f, struct diagnosis *d)
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

static void judge_ticks(const struct diagnosis_facts *f, struct diagnosis *d)
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

static void judge_unseen(const struct diagnosis_facts *f, struct diagnosis *d)
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

/* ---- the crash on purpose ---- */

static void judge_crash(const struct diagnosis_facts *f, struct diagnosis *d)
{
	switch (f->drill) {
	case DIAGNOSIS_DRILL_UNWANTED:
		say(d, DIAGNOSIS_SKIPPED, "not tried: --no-crash");
		break;
	case DIAGNOSIS_DRILL_IMPOSSIBLE:
		say(d, DIAGNOSIS_SKIPPED, "not tried: %s", f->drill_error);
		if (!f->privileged)
			mend(d, "sudo corefold doctor%s", f->config);
		break;
	case DIAGNOSIS_DRILL_KEPT:
		if (!f->drill_verified || f->drill_ms > DRILL_SLOW_MS)
			say(d, DIAGNOSIS_WARN, "a crash was kept, but %s",
			    f->drill_verified ? "that took more than 5 seconds" :
						"nothing of /proc could be believed");
		else
			say(d, DIAGNOSIS_OK, "a real crash was kept after %" PRId64
			    " ms (capture %s); its record is removed again",
			    f->drill_ms, f->drill_capture);
		break;
	case DIAGNOSIS_DRILL_FOLDED:
		say(d, DIAGNOSIS_FAIL, "a real crash was counted, but no record of it was stored");
		mend(d, "journalctl -t corefold -n 20, or dmesg | grep corefold (says why)");
		break;
	case DIAGNOSIS_DRILL_NO_DUMP:
		say(d, DIAGNOSIS_FAIL, "the kernel made no dump of a real crash");
		mend(d, "ulimit -Hc unlimited (if it is 1), then corefold doctor%s again",
		     f->config);
		break;
	case DIAGNOSIS_DRILL_LOST:
		say(d, DIAGNOSIS_FAIL, "a real crash never arrived%s%s",
		    *f->drill_error ? ": " : "", f->drill_error);
		mend(d, "journalctl -t corefold -n 20, or dmesg | grep corefold (says why)");
		break;
	}
}

static void judge_backtrace(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->drill != DIAGNOSIS_DRILL_KEPT) {
		say(d, DIAGNOSIS_SKIPPED, "no crash was kept that could have one");
	} else if (f->drill_frames > 0) {
		say(d, DIAGNOSIS_OK, "the sandboxed unwinder named %" PRId64 " frames of it",
		    f->drill_frames);
	} else {
		say(d, DIAGNOSIS_WARN, "the record of that crash has no frames");
		mend(d, "journalctl -t corefold -n 20, or dmesg | grep corefold (says why)");
	}
}

static const struct {
	const char *name;
	void (*judge)(const struct diagnosis_facts *facts, struct diagnosis *diagnosis);
} checks[] = {
	{ "pattern", judge_pattern },	{ "pipe-limit", judge_pipe_limit },
	{ "suid-dumpable", judge_suid }, { "rivals", judge_rivals },
	{ "boot", judge_boot },
	{ "user", judge_user },		{ "directory", judge_directory },
	{ "owner", judge_owner },	{ "space", judge_space },
	{ "programs", judge_programs }, { "sandbox", judge_sandbox },
	{ "hooks", judge_hooks },
	{ "state", judge_state },	{ "clock", judge_clock },
	{ "ticks", judge_ticks },	{ "unseen", judge_unseen },
	{ "crash", judge_crash },	{ "backtrace", judge_backtrace },
};

size_t diagnosis_make(const struct diagnosis_facts *facts,
		      struct diagnosis ret_checks[static DIAGNOSIS_CHECKS_MAX])
{
	size_t n = sizeof(checks) / sizeof(*checks);

	for (size_t i = 0; i < n; i++) {
		ret_checks[i] = (struct diagnosis){ .check = checks[i].name };
		checks[i].judge(facts, &ret_checks[i]);
		if (ret_checks[i].verdict == DIAGNOSIS_OK) /* nothing to mend after all */
			ret_checks[i].mend[0] = '\0';
	}
	return n;
}

const char *diagnosis_verdict_name(enum diagnosis_verdict verdict)
{
	static const char *const names[] = { "ok", "warn", "fail", "skipped" };

	return names[verdict];
}
