/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/diagnosis_internal.h"

static const struct {
	const char *name;
	diagnosis_check *judge;
} checks[] = {
	{ "pattern", diagnosis_pattern },
	{ "pipe-limit", diagnosis_pipe_limit },
	{ "suid-dumpable", diagnosis_suid },
	{ "rivals", diagnosis_rivals },
	{ "boot", diagnosis_boot },
	{ "user", diagnosis_user },
	{ "directory", diagnosis_directory },
	{ "owner", diagnosis_owner },
	{ "space", diagnosis_space },
	{ "programs", diagnosis_programs },
	{ "sandbox", diagnosis_sandbox },
	{ "hooks", diagnosis_hooks },
	{ "state", diagnosis_state },
	{ "clock", diagnosis_clock },
	{ "ticks", diagnosis_ticks },
	{ "unseen", diagnosis_unseen },
	{ "crash", diagnosis_crash },
	{ "backtrace", diagnosis_backtrace },
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
