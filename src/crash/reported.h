/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * `report` of a user who has no access to the state: the kernel is the only one who can
 * say to the handler who is asking. So a child of `report` takes the name of the process,
 * and dies of SIGABRT; the handler knows it by its executable, which is its own, and by its
 * words, and counts and records what was reported instead of the child.
 *
 * Whoever fakes the words gains nothing: a user's crashes are its own to make up.
 */

#include <stdbool.h>

#include "crash/handle.h"

/* PROCESS REPORTED_WORD SIGNAL PID REASON */
#define REPORTED_WORD "--corefold-report"
enum {
	REPORTED_PROCESS,
	REPORTED_MARK,
	REPORTED_SIGNAL,
	REPORTED_PID,
	REPORTED_REASON,
	REPORTED_WORDS,
};

/* In the child: dies, and dumps if the kernel lets it. Returns if it cannot. */
void reported_die(void);

/* In the handler: is this such a child? */
bool reported_is(const struct victim *victim);

/* What was reported goes into request and record, in the place of what the child was. */
void reported_take(struct crash *crash);
