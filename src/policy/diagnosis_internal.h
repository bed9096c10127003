/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of a diagnosis share. */

#include <stdarg.h>
#include <stdio.h>

#include "policy/diagnosis.h"

/* One check: says what is the case and, where that is not DIAGNOSIS_OK, what mends it. */
typedef void diagnosis_check(const struct diagnosis_facts *facts,
			     struct diagnosis *diagnosis);

__attribute__((format(printf, 3, 4)))
static inline void say(struct diagnosis *d, enum diagnosis_verdict verdict,
		       const char *format, ...)
{
	va_list args;

	d->verdict = verdict;
	va_start(args, format);
	(void)vsnprintf(d->message, sizeof(d->message), format, args);
	va_end(args);
}

__attribute__((format(printf, 2, 3)))
static inline void mend(struct diagnosis *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(d->mend, sizeof(d->mend), format, args);
	va_end(args);
}

/* ---- diagnosis_settings.c ---- */

diagnosis_check diagnosis_pattern;
diagnosis_check diagnosis_pipe_limit;
diagnosis_check diagnosis_suid;
diagnosis_check diagnosis_rivals;
diagnosis_check diagnosis_boot;

/* ---- diagnosis_state.c ---- */

diagnosis_check diagnosis_user;
diagnosis_check diagnosis_directory;
diagnosis_check diagnosis_owner;
diagnosis_check diagnosis_space;
diagnosis_check diagnosis_state;
diagnosis_check diagnosis_clock;
diagnosis_check diagnosis_ticks;
diagnosis_check diagnosis_unseen;

/* ---- diagnosis_programs.c ---- */

diagnosis_check diagnosis_programs;
diagnosis_check diagnosis_sandbox;
diagnosis_check diagnosis_hooks;
diagnosis_check diagnosis_crash;
diagnosis_check diagnosis_backtrace;
