/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "stateutil.h"

#include "unit.h"

int try_crash_times(struct state *state, uint32_t uid, const char *process, unsigned int n)
{
	static const struct throttle_limits limits = THROTTLE_LIMITS_DEFAULT;
	struct state_slot slot;
	uint32_t index;
	int r;

	r = state_claim(state, uid, process, &index, &slot);
	if (r != 0)
		return r;
	for (; n > 0; n--) {
		struct throttle_verdict verdict = account_crash(&slot.account, &limits, 0, 0);

		if (verdict.weight > 0)
			account_commit(&slot.account, verdict.weight);
	}
	slot.last_ns = (int64_t)++state->header.sequence;
	state->header.complete = true; /* as once a rebuild has ended */
	return state_write(state, index, &slot, STATE_INFLIGHT, false);
}

void crash_times(struct state *state, uint32_t uid, const char *process, unsigned int n)
{
	ck_assert_int_eq(try_crash_times(state, uid, process, n), 0);
}

int lock_and_find(struct state *state, int dir_fd, uint32_t uid, const char *process,
		  struct state_slot *ret_slot)
{
	uint32_t index;

	ck_assert_int_eq(state_lock(state, dir_fd, 0), 0);
	ck_assert_int_eq(state_verify(state), 0);
	return state_find(state, uid, process, &index, ret_slot);
}
