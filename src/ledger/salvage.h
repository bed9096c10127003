/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What counters and records do not tell, from the damaged throttle file: the crash times
 * that the throttle decides by, what a process has shown, the clock's mark, and the folds
 * since the last line of the counters.
 */

#include <jansson.h>

#include "io/state.h"

struct salvage {
	struct state_salvage old;
	uint32_t windows; /* put back */
	uint32_t windows_lost;
};

/* Only a file of the machine that the counters' newest line (or NULL) names. -ENOMEM. */
int salvage_open(struct salvage *salvage, int dir_fd, const json_t *line);
void salvage_done(struct salvage *salvage);

/* Clock, hours and stops, unless the line is newer. */
void salvage_clock(const struct salvage *salvage, const json_t *line,
		   struct state_header *header);

/* counted: the newest object of the process in the counters, or NULL. */
void salvage_slot(struct salvage *salvage, const json_t *counted, struct state_slot *slot);
