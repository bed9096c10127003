/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/clock.h"

#include <string.h>

static int64_t elapsed_ns(const struct clock_state *state, const struct clock_reading *now)
{
	if (memcmp(state->boot_id, now->boot_id, CLOCK_BOOT_ID_BYTES) != 0)
		return now->monotonic_ns; /* a new boot brings all it has run so far */
	if (now->monotonic_ns < state->monotonic_ns)
		return 0;
	return now->monotonic_ns - state->monotonic_ns;
}

int64_t clock_advance(struct clock_state *state, const struct clock_reading *now, bool covered)
{
	int64_t elapsed = state->started ? elapsed_ns(state, now) : 0;
	bool same_boot = memcmp(state->boot_id, now->boot_id, CLOCK_BOOT_ID_BYTES) == 0;

	if (!state->started || !same_boot)
		state->boots++;
	state->on_time_ns += elapsed;
	if (state->started && !(state->covered && covered))
		state->uncovered_ns += elapsed;
	/*
	 * A reading from shortly before the mark must not move it back, or the stretch up to
	 * the mark would be counted again by the next one. But a clock that goes on from far
	 * before it would leave on-time standing still for as long, and loops without an end.
	 */
	if (!same_boot || now->monotonic_ns > state->monotonic_ns ||
	    now->monotonic_ns < state->monotonic_ns - CLOCK_STEP_NS)
		state->monotonic_ns = now->monotonic_ns;
	memcpy(state->boot_id, now->boot_id, CLOCK_BOOT_ID_BYTES);
	state->covered = covered;
	state->started = true;
	return state->on_time_ns;
}

bool clock_possible(const struct clock_state *state)
{
	return state->monotonic_ns >= 0 && state->uncovered_ns >= 0 &&
	       state->on_time_ns >= state->uncovered_ns && state->on_time_ns <= INT64_MAX / 2;
}

int64_t clock_covered_ns(const struct clock_state *state)
{
	return state->on_time_ns - state->uncovered_ns;
}

/* The wall time is anybody's (a file's date, an option): the ends of time hold it. */
int64_t clock_on_time_of_wall(const struct clock_state *state,
			      const struct clock_reading *now, int64_t wall_ns)
{
	int64_t ahead_ns, on_time_ns;

	if (__builtin_sub_overflow(wall_ns, now->wall_ns, &ahead_ns) ||
	    __builtin_add_overflow(state->on_time_ns, ahead_ns, &on_time_ns))
		return wall_ns < now->wall_ns ? INT64_MIN : INT64_MAX;
	return on_time_ns;
}
