/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/reported.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "policy/units.h"

#define SIGNAL_MAX 64

void reported_die(void)
{
	struct rlimit limit;
	sigset_t none;

	/* A soft limit of 1 byte means to the kernel: no pipe. */
	if (getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_CORE, &limit);
	}
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGABRT, SIG_DFL);
	(void)raise(SIGABRT);
}

/* The words of the command line; false when there are not just so many. */
static bool split(const struct victim *victim, const char *words[static REPORTED_WORDS])
{
	size_t at = 0, n = 0;

	while (at < victim->cmdline_bytes && n < REPORTED_WORDS) {
		size_t bytes = strnlen(victim->cmdline + at, victim->cmdline_bytes - at);

		if (at + bytes == victim->cmdline_bytes)
			return false; /* cut off: longer than report lets it get */
		words[n++] = victim->cmdline + at;
		at += bytes + 1;
	}
	return n == REPORTED_WORDS && at == victim->cmdline_bytes;
}

static bool is_our_program(const char *path)
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	own[n > 0 ? n : 0] = '\0';
	return n > 0 && strcmp(own, path) == 0;
}

bool reported_is(const struct victim *victim)
{
	const char *words[REPORTED_WORDS];

	return victim->verified && split(victim, words) &&
	       strcmp(words[REPORTED_MARK], REPORTED_WORD) == 0 &&
	       is_our_program(victim->executable);
}

static uint64_t number(const char *text, uint64_t max)
{
	uint64_t value;

	return units_parse_number(text, max, &value) == 0 ? value : 0;
}

void reported_take(struct crash *crash)
{
	struct record *record = &crash->record;
	const char *words[REPORTED_WORDS];
	char reason[1024];

	if (!split(&crash->victim, words))
		return;
	crash->request.signal = (int)number(words[REPORTED_SIGNAL], SIGNAL_MAX);
	crash->request.pid = crash->request.tid = (int64_t)number(words[REPORTED_PID], INT32_MAX);
	record->capture = CAPTURE_NONE;
	(void)snprintf(record->capture_reason, sizeof(record->capture_reason), "reported");
	(void)name_escape(words[REPORTED_REASON], strlen(words[REPORTED_REASON]), reason,
			  sizeof(reason));
	record_set(record, "reported", json_string(reason));
}
