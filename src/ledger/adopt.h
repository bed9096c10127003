/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "io/state.h"

/*
 * After a power cut: records that are newer than the state knows are counted as kept, so
 * that the crashes they stand for are not lost with the changes that had not been synced.
 * The state is locked and verified, and nothing of it is in flight any more but what came
 * through the events file. Killed on the way, it goes on with the next record.
 */
int adopt_records(struct state *state, int dir_fd, int store_fd, const struct clock_reading *now);

/* The sequence number in an id; 0 for one that was given without the lock. */
uint64_t adopt_sequence(const char *id);
