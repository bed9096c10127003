/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A thread that was left behind may wake up later, or was only slow. It works on a copy of
 * the crash and must have the right to release the victim (source_take_away) before it
 * gives its core a name, so it can do no harm then.
 */

#include "crash/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crash/handle.h"
#include "crash/take.h"
#include "io/clock.h"
#include "io/compat.h"
#include "io/process.h"
#include "policy/units.h"

/* Beyond what a taker allows itself: one large read from a slow swap. */
#define GRACE_MS 1000
/* The threads' second; see take.c. */
#define LESS_MS 1000
#define LOOK_AGAIN_MS 50
/* From here on whoever hangs is left behind; a slow disk has time. */
#define DEADLINE_S 600

struct attempt {
	struct crash crash;
	struct config config;
	int hold; /* enum source_hold */
	pthread_t thread;
};

static void *attempt_run(void *userdata)
{
	struct attempt *attempt = userdata;

	take_core(&attempt->crash);
	return NULL;
}

static struct attempt *attempt_new(const struct crash *crash, enum config_kind kind)
{
	struct attempt *attempt = malloc(sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->crash = *crash;
	attempt->config = *crash->config;
	attempt->config.kind = kind;
	attempt->hold = SOURCE_HELD;
	attempt->crash.config = &attempt->config;
	attempt->crash.source.hold = &attempt->hold;
	attempt->crash.record.details = json_deep_copy(crash->record.details);
	if (attempt->crash.record.details || !crash->record.details)
		return attempt;
	free(attempt);
	return NULL;
}

/* What it found out is the crash's now. */
static void attempt_adopt(struct attempt *attempt, struct crash *crash)
{
	const struct config *config = crash->config;

	record_done(&crash->record);
	*crash = attempt->crash;
	crash->config = config;
	crash->source.hold = NULL;
	free(attempt);
}

static bool ended_by(pthread_t thread, int64_t until_ms)
{
	const struct timespec until = { .tv_sec = until_ms / 1000,
					.tv_nsec = until_ms % 1000 * 1000000 };

	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

/* True when it has ended; false when it was left behind. */
static bool attempt_wait(struct attempt *attempt, int64_t until_ms)
{
	while (!ended_by(attempt->thread, until_ms)) {
		if (source_take_away(&attempt->crash.source))
			return false;
		/* It has let the victim go: what it still does takes long, but ends. */
		until_ms = clock_monotonic_ms() + LOOK_AGAIN_MS;
	}
	return true;
}

static bool attempt_make(struct crash *crash, enum config_kind kind, int64_t until_ms)
{
	struct attempt *attempt = attempt_new(crash, kind);

	if (!attempt || pthread_create(&attempt->thread, NULL, attempt_run, attempt) != 0) {
		if (attempt)
			json_decref(attempt->crash.record.details);
		free(attempt);
		take_core(crash);
		return true;
	}
	if (!attempt_wait(attempt, until_ms))
		return false; /* never freed: it is in use */
	attempt_adopt(attempt, crash);
	return true;
}

/* Nothing of it needs the victim's memory. */
static void take_without_memory(struct crash *crash)
{
	const struct config *config = crash->config;
	struct config notes = *config;

	notes.kind = CONFIG_KIND_NOTES;
	crash->config = &notes;
	crash->memory_hangs = true;
	take_core(crash);
	crash->config = config;
}

bool guard_take(struct crash *crash)
{
	enum config_kind kind = crash->config->kind;
	int64_t until_ms =
		crash->started_ms + crash->config->max_hold_ns / (NS_PER_SEC / 1000) + LESS_MS + GRACE_MS;
	struct record *record = &crash->record;
	bool wants_stacks = kind != CONFIG_KIND_NOTES && kind != CONFIG_KIND_NONE;

	process_deadline(DEADLINE_S);
	if (attempt_make(crash, kind, until_ms))
		return false;
	until_ms = clock_monotonic_ms() + LESS_MS + GRACE_MS;
	if (!wants_stacks || !attempt_make(crash, CONFIG_KIND_THREADS, until_ms))
		take_without_memory(crash);
	(void)snprintf(record->capture_reason, sizeof(record->capture_reason),
		       "the process's memory could not be read in time");
	return true;
}

void guard_leave(void)
{
	_exit(EXIT_SUCCESS);
}
