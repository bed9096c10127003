/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Steps on a state file that several tests take. */

#include "io/state.h"

#define STATE_NULL { .dir_fd = -1, .fd = -1 } /* as state_init() */

/* As crash_times(), but with an answer: a forked child must not speak to check. 0 or as state_*(). */
int try_crash_times(struct state *state, uint32_t uid, const char *process, unsigned int n);

/* Crashes of (uid, process), all at on-time 0: eight are kept, the rest is pending. */
void crash_times(struct state *state, uint32_t uid, const char *process, unsigned int n);

/* Locks, checks everything, gives the slot of the process (or STATE_E_NONE). */
int lock_and_find(struct state *state, int dir_fd, uint32_t uid, const char *process,
		  struct state_slot *ret_slot);
