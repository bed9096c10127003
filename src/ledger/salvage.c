/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Counts are cumulative, and a good slot is a true one of some moment, so the larger of two
 * is nearer to the truth. That wants both to be of one life of the process in the state: one
 * that was evicted and came again began at 0.
 */

#include "ledger/salvage.h"

#include <stdlib.h>
#include <string.h>

#include "ledger/counted.h"
#include "policy/units.h"

int salvage_open(struct salvage *salvage, int dir_fd, const json_t *line)
{
	const char *machine = json_string_value(json_object_get(line, "machine"));
	int r;

	*salvage = (struct salvage){ 0 };
	if (!machine)
		return 0;
	r = state_salvage(dir_fd, &salvage->old);
	if (r == 0 && strtoull(machine, NULL, 16) != salvage->old.header.machine)
		state_salvage_done(&salvage->old);
	return r;
}

void salvage_done(struct salvage *salvage)
{
	state_salvage_done(&salvage->old);
}

/* The page of the header may have been written back before those of slots. */
static int64_t newest_ns(const struct salvage *salvage)
{
	int64_t newest = salvage->old.header.clock.on_time_ns;

	for (size_t i = 0; i < salvage->old.slots; i++)
		if (salvage->old.slot[i].last_ns > newest)
			newest = salvage->old.slot[i].last_ns;
	return newest;
}

void salvage_clock(const struct salvage *salvage, const json_t *line,
		   struct state_header *header)
{
	const struct state_header *old = &salvage->old.header;

	if (salvage->old.slots == 0)
		return;
	if (old->clock.on_time_ns / NS_PER_SEC >= (int64_t)number(line, "on_time_seconds") &&
	    old->hours.operational >= header->hours.operational) {
		header->clock = old->clock;
		header->hours = old->hours;
		header->stops = old->stops;
		memcpy(header->kmsg_boot_id, old->kmsg_boot_id, sizeof(header->kmsg_boot_id));
		header->kmsg_sequence = old->kmsg_sequence;
	}
	if (header->clock.on_time_ns < newest_ns(salvage))
		header->clock.on_time_ns = newest_ns(salvage);
}

static const struct state_slot *find(const struct salvage *salvage, const struct state_slot *slot)
{
	for (size_t i = 0; i < salvage->old.slots; i++)
		if (salvage->old.slot[i].uid == slot->uid &&
		    strcmp(salvage->old.slot[i].process, slot->process) == 0)
			return &salvage->old.slot[i];
	return NULL;
}

static void take_counts(const struct account *old, struct account *account)
{
	account->crashes = larger(account->crashes, old->crashes);
	account->folded = larger(account->folded, old->folded);
	account->kept = larger(account->kept, old->kept);
	account->kept_weight = larger(account->kept_weight, old->kept_weight);
	account->crashes = larger(account->crashes, account->kept_weight);
	account->throttle.pending = account->crashes - account->kept_weight;
}

void salvage_slot(struct salvage *salvage, const json_t *counted, struct state_slot *slot)
{
	const struct state_slot *old = find(salvage, slot);
	const uint64_t pending = slot->account.throttle.pending;

	if (!old) {
		salvage->windows_lost++;
		return;
	}
	salvage->windows++;
	slot->account.throttle = old->account.throttle;
	slot->account.throttle.pending = pending;
	memcpy(slot->hash, old->hash, sizeof(slot->hash));
	slot->hash_next = old->hash_next;
	slot->probe_second = old->probe_second;
	slot->probes = old->probes;
	slot->last_ns = old->last_ns;
	if (old->account.crashes < number(counted, "crashes") ||
	    old->first_ns / 1000000 != json_integer_value(json_object_get(counted, "first_ms")))
		return;
	slot->first_ns = old->first_ns;
	if (slot->last_wall_ns < old->last_wall_ns)
		slot->last_wall_ns = old->last_wall_ns;
	take_counts(&old->account, &slot->account);
}
