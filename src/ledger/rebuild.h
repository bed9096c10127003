/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "io/state.h"

/*
 * Fills a new, empty state (locked) with what the counters file and the records tell:
 * totals, hours, and each process's account. What no record stands for becomes pending;
 * throttle windows are lost. -errno when neither could be read; *ret_found: was there
 * anything?
 */
int rebuild_state(struct state *state, int dir_fd, int store_fd,
		  const struct clock_reading *now, bool *ret_found);
