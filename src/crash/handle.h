/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One crash from its arrival to its record: the pipeline that the kernel's pipe and
 * `replay` share.
 */

#include <stdbool.h>

#include "core/buildfiles.h"
#include "core/elfcore.h"
#include "core/head.h"
#include "core/record.h"
#include "core/source.h"
#include "core/survey.h"
#include "crash/request.h"
#include "io/config.h"
#include "io/victim.h"
#include "ledger/ledger.h"

struct crash {
	/* Given by the caller. */
	const struct config *config; /* borrowed */
	struct ledger *ledger; /* borrowed */
	struct request request;
	struct victim victim;
	struct source source;
	bool replayed; /* from a saved core, dated by request.time_ns */
	const struct buildfiles *files; /* borrowed: its modules may be among them; or NULL */
	bool count_only; /* we are still root: decide and count, parse and store nothing */
	bool reported; /* nobody crashed: a child of `report`, see reported.h */
	bool decide_only; /* a trial: decide, count as kept what would be kept, store nothing */
	int oom_score_fd; /* -1: not open */

	/* Made on the way. */
	struct head head;
	bool head_tried;
	int head_error; /* of reading it: ELFCORE_E_*, -errno */
	struct elfcore core;
	bool core_parsed;
	struct survey survey; /* of the victim's memory */
	int survey_error; /* -errno; -ETIME: not to be had in time */
	bool surveyed;
	bool memory_hangs; /* the victim's: no more of it is looked at */
	struct record record;
	struct ledger_ticket ticket;
	int store_error; /* errno: counted, but it has no record */
	int64_t started_ms; /* CLOCK_MONOTONIC */
};

#define CRASH_NULL                                                                       \
	{ .request = REQUEST_NULL, .victim = VICTIM_NULL, .oom_score_fd = -1,            \
	  .record = RECORD_NULL }

/*
 * Decides, and keeps or folds. 0 when the crash is counted and what was decided is done,
 * also when that was less than wanted: the record says so. -errno when it could not be
 * counted; everything is logged here.
 */
int handle_crash(struct crash *crash);

/* The second half, for a crash whose ticket says keep: capture, store, settle. */
int handle_keep(struct crash *crash);

void crash_done(struct crash *crash);
