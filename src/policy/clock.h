/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * On-time: the one clock that throttle and hours run on.
 *
 * CLOCK_MONOTONIC is the truth within a boot and starts again with each; on-time is its
 * sum over boots. What a boot ran after its last mark is not known to the next one and
 * is lost, which the period of `corefold tick` bounds. Wall time is for people only and
 * may step as it likes.
 */

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_BOOT_ID_BYTES 16

/* What the kernel's clocks say now. */
struct clock_reading {
	uint8_t boot_id[CLOCK_BOOT_ID_BYTES];
	int64_t monotonic_ns;
	int64_t wall_ns;
};

/* What is remembered between readings. All zeros: never read. */
struct clock_state {
	uint8_t boot_id[CLOCK_BOOT_ID_BYTES];
	int64_t monotonic_ns; /* at the last mark, in that boot */
	int64_t on_time_ns; /* at the last mark */
	int64_t uncovered_ns; /* of it, while crashes did not come to us */
	uint64_t boots; /* boots seen */
	uint32_t started; /* bool */
	uint32_t covered; /* bool: crashes came to us at the last mark */
};

/* Readings can be older than the mark: who waits for the lock has read the clock before. */
#define CLOCK_STEP_NS (60LL * 1000000000)

/*
 * Moves the mark to this reading and returns on-time in nanoseconds. The first reading
 * ever starts on-time at 0. A monotonic clock that went backwards inside a boot adds
 * nothing; by more than CLOCK_STEP_NS, a snapshot was restored and on-time goes on from there.
 *
 * `covered`: do crashes come to us at this moment? The stretch since the last mark
 * counts as covered only if they did at both its ends.
 */
int64_t clock_advance(struct clock_state *state, const struct clock_reading *now, bool covered);

/* Are these times that clock_advance() can have left? */
bool clock_possible(const struct clock_state *state);

/* The clock of the hours: on-time less what was uncovered. */
int64_t clock_covered_ns(const struct clock_state *state);

/* The on-time at which a wall time of this boot or earlier fell, on a machine that never slept. */
int64_t clock_on_time_of_wall(const struct clock_state *state,
			      const struct clock_reading *now, int64_t wall_ns);
