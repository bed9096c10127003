/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/clock.h"

/*
 * The only place that reads a clock for anything that is remembered. The monotonic clock is
 * the initial time namespace's, whichever we are in. -errno when /proc has no boot id.
 */
int clock_read(struct clock_reading *ret_now);

/*
 * How far the monotonic clock of a time namespace is ahead of the initial one, of what
 * /proc/PID/timens_offsets says. 0 where that cannot be read.
 */
int64_t clock_offset_ns(const char *timens_offsets);

/*
 * For what the kernel starts, which is always in the initial namespace: to look takes 20 us
 * in a new process, and every crash would pay.
 */
void clock_assume_initial_namespace(void);

/* Milliseconds of CLOCK_MONOTONIC, for measuring how long something took. */
int64_t clock_monotonic_ms(void);
