/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Marks only ever move by whole intervals or to a crash, so the part of an hour that
 * has run is never lost, however often settling happens: a machine that restarts every
 * 45 minutes still logs its hours.
 */

#include "policy/hours.h"

void hours_start(struct hours *hours, int64_t start_ns)
{
	*hours = (struct hours){
		.operational_mark_ns = start_ns,
		.crashfree_mark_ns = start_ns,
		.slot_mark_ns = start_ns,
	};
}

uint64_t hours_elapsed(int64_t *mark_ns, int64_t now_ns, int64_t interval_ns)
{
	uint64_t count;

	if (*mark_ns > now_ns) {
		*mark_ns = now_ns;
		return 0;
	}
	count = ((uint64_t)now_ns - (uint64_t)*mark_ns) / (uint64_t)interval_ns;
	/* Unsigned, as above: the way from the first to the last instant fits no int64. */
	*mark_ns = (int64_t)((uint64_t)*mark_ns + count * (uint64_t)interval_ns);
	return count;
}

/*
 * Unlike the other marks a slot's start never moves back to `now`: slots are fixed
 * stretches of the clock, and a slot that was counted must not run a second time.
 */
static void settle_slots(struct hours *hours, int64_t now_ns, int64_t interval_ns)
{
	uint64_t ended;

	if (hours->slot_mark_ns > now_ns)
		return;
	ended = hours_elapsed(&hours->slot_mark_ns, now_ns, interval_ns);
	if (ended == 0)
		return;
	hours->crashfree_slots += ended - (hours->slot_crashed ? 1 : 0);
	hours->slot_crashed = false;
}

void hours_settle(struct hours *hours, int64_t now_ns, int64_t interval_ns)
{
	hours->operational +=
		hours_elapsed(&hours->operational_mark_ns, now_ns, interval_ns);
	hours->crashfree += hours_elapsed(&hours->crashfree_mark_ns, now_ns, interval_ns);
	settle_slots(hours, now_ns, interval_ns);
}

void hours_mark_crash(struct hours *hours, int64_t now_ns)
{
	if (hours->crashfree_mark_ns < now_ns)
		hours->crashfree_mark_ns = now_ns;
	hours->slot_crashed = true;
}

void hours_crash(struct hours *hours, int64_t now_ns, int64_t interval_ns)
{
	hours_settle(hours, now_ns, interval_ns);
	hours_mark_crash(hours, now_ns);
}
