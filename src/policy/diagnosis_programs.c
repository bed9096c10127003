/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is wrong with the programs: ours and those of [Hook], looked at, and a crash on
 * purpose that was handled by them.
 */

#include "policy/diagnosis_internal.h"

#include <inttypes.h>
#include <string.h>

#define DRILL_SLOW_MS 5000

/* ---- our other programs ---- */

void diagnosis_programs(const struct diagnosis_facts *f, struct diagnosis *d)
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

void diagnosis_sandbox(const struct diagnosis_facts *f, struct diagnosis *d)
{
	if (f->seccomp) {
		say(d, DIAGNOSIS_OK, "the kernel has seccomp filters");
		return;
	}
	say(d, DIAGNOSIS_WARN, "the kernel has no seccomp filters: corefold-unwind will not "
			       "read a crash, so there are no backtraces");
	mend(d, "a kernel with CONFIG_SECCOMP_FILTER=y");
}

void diagnosis_hooks(const struct diagnosis_facts *f, struct diagnosis *d)
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

/* ---- the crash on purpose ---- */

void diagnosis_crash(const struct diagnosis_facts *f, struct diagnosis *d)
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

void diagnosis_backtrace(const struct diagnosis_facts *f, struct diagnosis *d)
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
