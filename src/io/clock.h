/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/clock.h"

/* The only place that reads a clock for anything that is remembered. -errno when /proc has no boot id. */
int clock_read(struct clock_reading *ret_now);

/* Milliseconds of CLOCK_MONOTONIC, for measuring how long something took. */
int64_t clock_monotonic_ms(void);
