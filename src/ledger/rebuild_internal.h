/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of a rebuild share. */

#include <jansson.h>

#include "ledger/salvage.h"

/* Newest lines of the counters that are judged by each other. */
#define REBUILD_NEWEST 64

struct rebuild_newest {
	json_t *line[REBUILD_NEWEST]; /* oldest first */
	size_t n;
};

struct rebuild {
	struct state *state;
	const struct clock_reading *now;
	int store_fd;
	struct rebuild_newest newest; /* lines not yet believed */
	uint32_t lines_left_out; /* because they cannot be true */
	json_t *totals; /* newest line, NULL if none */
	json_t *processes; /* by key: newest object */
	json_t *reserved; /* by id: keeps not known to have ended */
	json_t *stored; /* by key: {uid, process, weight, kept} over the records */
	json_t *unmerged; /* by id: events that are still to be merged, which counts them */
	uint64_t weight; /* in records */
	uint64_t evicted_weight; /* in records of evicted processes */
	uint64_t sequence;
	struct salvage salvage;
	int failed; /* -errno */
};

/* A counters_each: believes a line, or leaves it out. */
bool rebuild_see_line(void *userdata, const json_t *line, unsigned int line_number);
/* The last of them, when all have been seen. */
void rebuild_judge_newest(struct rebuild *rebuild);

/* What a line that is believed tells. -ENOMEM. */
int rebuild_take_line(struct rebuild *rebuild, json_t *line);

/* Reads counters, events and records. -errno. */
int rebuild_gather(struct rebuild *rebuild, int dir_fd);
