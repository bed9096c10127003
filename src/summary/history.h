/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The counters file read as a history: what the counts were at two moments, and what
 * happened between them in equal steps.
 *
 * Lines are taken in the order of the file. A line's moment is its wall time, or that of
 * the newest line before it if the clock had been set back: so moments never decrease,
 * "before T" is a prefix of the file for every T, and windows add up.
 *
 * Left out, and told: lines that are no counters, of another state (two machines' files
 * mixed), dated in the future, or counting what does not fit the others (summary/lines.h).
 */

#include "summary/lines.h"
#include "summary/summary.h"

/* One life of a process: from its first crash to its eviction from the state. */
struct history_life {
	uint32_t uid;
	char process[NAME_SIZE];
	int64_t first_ms;
	bool used;
	uint64_t most; /* crashes it can have had; 0: not known */
	struct summary_counts since; /* at the window's start */
	struct summary_counts last; /* as far as read, not beyond the window's end */
	struct summary_series *series; /* owned */
};

#define HISTORY_LIVES 8192 /* a power of two; those beyond count as "other" */

struct history {
	struct summary *summary; /* borrowed */
	int64_t since_s;
	int64_t until_s;
	int64_t latest_s; /* of the lines taken */
	struct summary_tally since;
	struct summary_tally last;
	struct lines lines;
	struct history_life *life; /* owned, hashed */
	size_t lives;
};

int history_init(struct history *history, struct summary *summary);
void history_done(struct history *history);

/* 0, -errno; a missing file is an empty history. */
int history_read(struct history *history, int dir_fd);

/* What the state says now about a process: the end of its history. */
void history_put(struct history *history, uint32_t uid, const char *process,
		 int64_t first_ms, const struct summary_counts *now, int64_t now_s);

/* What the state says now of the machine. */
void history_put_tally(struct history *history, const struct summary_tally *now, int64_t now_s);
