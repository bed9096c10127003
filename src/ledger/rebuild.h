/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "io/state.h"

struct rebuild_result {
	bool found; /* was there anything? */
	uint32_t windows; /* of processes put back, those with ... */
	uint32_t windows_lost; /* ... and those without their crash times */
	uint32_t lines_left_out; /* of the counters: they cannot be true */
};

/*
 * Fills a new, empty state (locked) with what the counters file and the records tell:
 * totals, hours, and each process's account. What no record stands for becomes pending.
 * Throttle windows come from what is still good of the file that was set aside. -errno
 * when neither could be read.
 */
int rebuild_state(struct state *state, int dir_fd, int store_fd,
		  const struct clock_reading *now, struct rebuild_result *ret_result);
