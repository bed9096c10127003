/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is wrong with the machine's settings: where core dumps go, now and after a boot. */

#include "policy/diagnosis_internal.h"

#include <inttypes.h>
#include <string.h>

#define PIPE_LIMIT_MIN 16 /* fewer handlers at once lose crashes in any storm */

void diagnosis_pattern(const struct diagnosis_facts *f, struct diagnosis *d)
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

void diagnosis_pipe_limit(const struct diagnosis_facts *f, struct diagnosis *d)
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

void diagnosis_suid(const struct diagnosis_facts *f, struct diagnosis *d)
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

void diagnosis_rivals(const struct diagnosis_facts *f, struct diagnosis *d)
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

void diagnosis_boot(const struct diagnosis_facts *f, struct diagnosis *d)
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
