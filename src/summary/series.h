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
 * over all series is the total, always.
 *
 * That is remembered in the file `series`. When it is lost, every process starts with all
 * it has counted, which a monitoring system takes for one restart.
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
	bool fresh; /* there was no file */
};
#define SERIES_NULL { 0 }

int series_read(struct series *series, int dir_fd);
int series_write(const struct series *series, int dir_fd);

/* Brings it up to what the summary says now. */
void series_update(struct series *series, const struct summary *summary);

/* What the series shows. */
struct summary_counts series_value(const struct series_entry *entry);

/* What all processes without a series show together. */
struct summary_counts series_other(const struct series *series, const struct summary *summary);
