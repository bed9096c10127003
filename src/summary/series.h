/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which processes have a time series of their own.
 *
 * Names are the crashing programs' to choose, and every name is a series that the
 * monitoring keeps for ever: so SERIES_MAX processes have one, and the rest is `other`.
 * A counter must never go backwards, not even `other` when a process leaves it. So a
 * series, once given, stays until its process is forgotten by the state; a process that
 * is given one later starts it at 0, and what it had counted stays with `other`. The sum
 * over all series is the total of what was counted since there is the file, less what
 * ended series had shown.
 *
 * The totals are held, too: a fold that turns out novel is one fold less, and a throttle
 * file that was lost comes back without the folds since the last line of the counters. To
 * a monitoring system a counter that drops by one has started anew, and all it shows counts
 * again. So a total that went back waits until it is made up for; `other`, too.
 *
 * That is remembered in the file `series`, for the state it was written for. When it is lost,
 * every process starts with all it has counted, which a monitoring system takes for one
 * restart; so it is when the state itself is a new one.
 */

#include <stdint.h>

#include "summary/summary.h"

#define SERIES_FILE "series"
#define SERIES_MAX 20

struct series_entry {
	uint32_t uid;
	char process[NAME_SIZE];
	int64_t first_ms;
	struct summary_counts base; /* counted before the series began */
	struct summary_counts last; /* at the last time */
	bool gone; /* its process is no longer in the state */
};

struct series {
	struct series_entry entry[SERIES_MAX];
	size_t n;
	struct summary_counts retired; /* counted by series that have ended */
	struct summary_counts other; /* of all processes without a series */
	struct summary_tally ever; /* the most that was ever shown, as the rest of it */
	uint64_t machine; /* whose numbers they are */
	bool fresh; /* there was no file */
};
#define SERIES_NULL { 0 }

int series_read(struct series *series, int dir_fd);
int series_write(const struct series *series, int dir_fd);

/* Brings it up to what the summary says now. */
void series_update(struct series *series, const struct summary *summary);

/* What the series shows. */
struct summary_counts series_value(const struct series_entry *entry);
