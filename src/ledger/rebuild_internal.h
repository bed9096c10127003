/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of a rebuild share. */

#include <jansson.h>

#include "ledger/salvage.h"

struct rebuild {
	struct state *state;
	const struct clock_reading *now;
	int store_fd;
	json_t *totals; /* newest line, NULL if none */
	json_t *processes; /* by key: newest object */
	json_t *reserved; /* by id: keeps not known to have ended */
	json_t *stored; /* by key: {uid, process, weight, kept} over the records */
	json_t *unmerged; /* by id: events that are still to be merged, which counts them */
	uint64_t evicted_weight; /* in records of evicted processes */
	uint64_t sequence;
	struct salvage salvage;
	int failed; /* -errno */
};

/* Reads counters, events and records. -errno. */
int rebuild_gather(struct rebuild *rebuild, int dir_fd);
