/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * How often something happens, and how sure that is.
 *
 * The interval is Garwood's (1936), the exact 95 % interval for the mean of a Poisson
 * count. Up to 30 events the values are tabulated; beyond, Byar's approximation is used,
 * which is within 0.02 % of it there (Breslow and Day 1987, volume 2, section 2.3):
 *
 *   low  = n (1 - 1/(9n) - z/(3 sqrt n))^3
 *   high = m (1 - 1/(9m) + z/(3 sqrt m))^3    m = n + 1, z = 1.959964
 *
 * It takes crashes as independent of each other. Those of a loop are not, so for a
 * machine in a loop the true uncertainty is larger.
 */

#include <stdint.h>

struct rate {
	double value;
	double low;
	double high;
};

/* Events expected where n were seen. */
struct rate rate_interval(uint64_t n);

/* Events in 1000 hours of `covered_ns`; all zeros when no time has passed. */
struct rate rate_per_1000_hours(uint64_t n, int64_t covered_ns);
