/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Counters are cumulative, so the newest line of each process and the newest totals are
 * all there is to know; lines in between only tell which keeps had begun and not ended.
 * For those the record decides, as it does for any dead handler; without one they are in
 * flight as before. Records that the counters
 * do not cover (the file was lost, too) raise the counts to what they stand for.
 */

#include "ledger/rebuild.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/store.h"
#include "ledger/counted.h"
#include "ledger/rebuild_internal.h"
#include "policy/units.h"

/* A keep that had begun: its record tells whether it came to its end. */
static uint64_t reserved_and_stored(struct rebuild *rebuild, const char *key, uint64_t *ret_kept)
{
	uint64_t weight = 0;
	const char *id;
	json_t *entry;

	*ret_kept = 0;
	json_object_foreach(rebuild->reserved, id, entry) {
		char entry_key[NAME_SIZE + 24];

		make_key(entry, entry_key);
		if (strcmp(entry_key, key) != 0 || !json_is_true(json_object_get(entry, "stored")))
			continue;
		weight += number(entry, "weight");
		(*ret_kept)++;
	}
	return weight;
}

static void fill_account(struct rebuild *rebuild, const char *key, const json_t *counted,
			 struct account *account)
{
	const json_t *stored = json_object_get(rebuild->stored, key);
	uint64_t late_kept, late = reserved_and_stored(rebuild, key, &late_kept);

	/* A keep whose end no line tells (the disk was full) is in kept_weight already. */
	late = smaller(late, number(counted, "in_flight"));
	late_kept = late > 0 ? late_kept : 0;
	account->kept_weight = larger(number(counted, "kept_weight") + late,
				      number(stored, "weight"));
	account->kept = larger(number(counted, "kept") + late_kept, number(stored, "kept"));
	account->crashes = larger(number(counted, "crashes"), account->kept_weight);
	account->folded = number(counted, "folded");
	account->throttle.pending = account->crashes - account->kept_weight;
}

/* Seconds of a file that may be damaged: far away is far enough. */
static int64_t seconds_ns(uint64_t seconds)
{
	return (int64_t)smaller(seconds, INT64_MAX / 4 / NS_PER_SEC) * NS_PER_SEC;
}

/* The last crash as the new file's clock has it, never ahead of it. */
static int64_t on_time_of(const struct rebuild *rebuild, int64_t wall_ns)
{
	const struct clock_state *clock = &rebuild->state->header.clock;
	int64_t ns = clock_on_time_of_wall(clock, rebuild->now, wall_ns);

	return ns < clock->on_time_ns && wall_ns > 0 ? ns : clock->on_time_ns;
}

static int put_process(struct rebuild *rebuild, const char *key, const json_t *object)
{
	struct state *state = rebuild->state;
	struct state_slot slot;
	uint32_t index;
	int r;

	r = state_claim(state, (uint32_t)number(object, "uid"), text(object, "process"), &index,
			&slot);
	if (r != 0)
		return r < 0 ? r : -EIO;
	fill_account(rebuild, key, json_object_get(rebuild->processes, key), &slot.account);
	if (__builtin_mul_overflow(json_integer_value(json_object_get(object, "first_ms")),
				   1000000, &slot.first_ns))
		slot.first_ns = 0;
	slot.last_wall_ns = seconds_ns(number(object, "last_time"));
	slot.last_ns = on_time_of(rebuild, slot.last_wall_ns);
	salvage_slot(&rebuild->salvage, json_object_get(rebuild->processes, key), &slot);
	r = state_write(state, index, &slot, STATE_INFLIGHT, false);
	return r > 0 ? -EIO : r;
}

static int put_processes(struct rebuild *rebuild)
{
	const char *key;
	json_t *object;
	int r;

	json_object_foreach(rebuild->processes, key, object) {
		r = put_process(rebuild, key, object);
		if (r < 0)
			return r;
	}
	json_object_foreach(rebuild->stored, key, object) {
		if (json_object_get(rebuild->processes, key))
			continue;
		r = put_process(rebuild, key, object);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A tick was about to write a record for evicted processes. */
static int put_evicted_in_flight(struct rebuild *rebuild, const char *id, uint64_t weight)
{
	struct state *state = rebuild->state;
	struct totals *totals = &state->header.totals;
	uint32_t index;
	int r;

	if (totals->evicted < weight || state_inflight_take(state, &index) != 0)
		return 0; /* stays evicted */
	state->inflight[index] = (struct state_inflight){
		.weight = weight,
		.since_ns = state->header.clock.on_time_ns,
		.slot = STATE_NO_SLOT,
		.orphan = true,
	};
	(void)snprintf(state->inflight[index].id, STATE_ID_SIZE, "%s", id);
	state->header.inflight_used++;
	totals->evicted -= weight;
	totals->in_flight += weight;
	r = state_write(state, 0, NULL, index, false);
	state_inflight_release(state, index);
	return r;
}

/*
 * Its handler may live and settle it, or settle it was all that was missing. No lock tells
 * here, so it is as one that came through the events file.
 */
static int put_in_flight(struct rebuild *rebuild, const char *id, const json_t *object)
{
	struct state *state = rebuild->state;
	struct state_inflight entry = { .weight = number(object, "weight"),
					.since_ns = state->header.clock.on_time_ns,
					.orphan = true };
	struct state_slot slot;
	uint32_t index;
	int r;

	r = state_find(state, (uint32_t)number(object, "uid"), text(object, "process"),
		       &entry.slot, &slot);
	if (r != 0 || !account_reserve(&slot.account, entry.weight) ||
	    state_inflight_take(state, &index) != 0)
		return r < 0 ? r : 0; /* stays pending */
	(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	state->inflight[index] = entry;
	state->header.inflight_used++;
	r = state_write(state, entry.slot, &slot, index, false);
	state_inflight_release(state, index);
	return r;
}

static int put_reserved(struct rebuild *rebuild)
{
	const char *id;
	json_t *object;

	json_object_foreach(rebuild->reserved, id, object) {
		int r;

		if (!store_is_id(id) || json_is_true(json_object_get(object, "stored")))
			continue;
		r = text(object, "process")[0] ?
			    put_in_flight(rebuild, id, object) :
			    put_evicted_in_flight(rebuild, id, number(object, "weight"));
		if (r < 0)
			return r;
	}
	return 0;
}

/* The process with pending weight that crashed longest ago. STATE_E_NONE when there is none. */
static int find_oldest_pending(struct state *state, uint32_t *ret_index,
			       struct state_slot *ret_slot)
{
	struct state_slot slot;
	int r;

	*ret_index = STATE_NO_SLOT;
	for (uint32_t i = 0; (r = state_next_slot(state, &i, &slot)) == 0; i++) {
		if (slot.account.throttle.pending == 0 ||
		    (*ret_index != STATE_NO_SLOT && slot.last_ns >= ret_slot->last_ns))
			continue;
		*ret_index = i;
		*ret_slot = slot;
	}
	return r == STATE_E_NONE && *ret_index != STATE_NO_SLOT ? 0 : r;
}

/*
 * Weight of evicted processes that records carry is still pending in the last object of
 * each, which is older than its eviction. It is kept, and theirs are the oldest.
 */
static int keep_oldest_pending(struct rebuild *rebuild, uint64_t weight)
{
	while (weight > 0) {
		struct state_slot slot;
		uint64_t part;
		uint32_t index;
		int r;

		r = find_oldest_pending(rebuild->state, &index, &slot);
		if (r == STATE_E_NONE)
			return 0;
		if (r != 0)
			return r;
		part = smaller(weight, slot.account.throttle.pending);
		slot.account.throttle.pending -= part;
		slot.account.kept_weight += part;
		weight -= part;
		r = state_write(rebuild->state, index, &slot, STATE_INFLIGHT, false);
		if (r != 0)
			return r;
	}
	return 0;
}

/*
 * The last line's totals know of processes that no line and no record names any more; what
 * of their crashes no record stands for is evicted.
 */
static int raise_totals(struct rebuild *rebuild)
{
	struct totals *totals = &rebuild->state->header.totals;
	const json_t *line = rebuild->totals;
	uint64_t crashes = larger(totals->crashes, number(line, "crashes"));
	uint64_t kept_weight = larger(totals->kept_weight + rebuild->evicted_weight,
				      number(line, "kept_weight"));
	/* What may be behind it besides: processes not named, and those evicted just now again. */
	uint64_t others = crashes - totals->crashes + totals->evicted;
	uint64_t hidden = kept_weight - totals->kept_weight, accounted;
	int r = 0;

	if (hidden > others)
		r = keep_oldest_pending(rebuild, hidden - others);
	if (r != 0)
		return r;
	totals->folded = larger(totals->folded, number(line, "folded"));
	totals->kept = larger(totals->kept, number(line, "kept"));
	totals->kept_weight = larger(totals->kept_weight, kept_weight);
	totals->unseen = number(line, "unseen");
	accounted = totals->kept_weight + totals->pending + totals->in_flight;
	totals->crashes = larger(crashes, accounted);
	totals->evicted = totals->crashes - accounted;
	return 0;
}

static void put_clock(struct state_header *header, const json_t *line,
		      const struct clock_reading *now)
{
	struct clock_state *clock = &header->clock;
	int64_t covered_ns;

	clock->on_time_ns = seconds_ns(number(line, "on_time_seconds"));
	clock->uncovered_ns = seconds_ns(number(line, "uncovered_seconds"));
	clock->boots = number(line, "boots");
	header->machine = strtoull(text(line, "machine"), NULL, 16);
	header->stops.known = json_is_integer(json_object_get(line, "unclean_shutdowns"));
	header->stops.unclean = number(line, "unclean_shutdowns");
	header->stops.marked = true; /* whether it was, the old file knew */
	clock->started = true;
	clock->covered = true;
	clock->monotonic_ns = now->monotonic_ns;
	memcpy(clock->boot_id, now->boot_id, sizeof(clock->boot_id));
	covered_ns = clock_covered_ns(clock);
	hours_start(&header->hours, covered_ns);
	header->hours.operational = number(line, "operational_hours");
	header->hours.crashfree = number(line, "crashfree_hours");
	header->hours.crashfree_slots = number(line, "crashfree_slots");
}

static int put_back(struct rebuild *rebuild, const struct clock_reading *now)
{
	struct state_header *header = &rebuild->state->header;
	int r;

	if (rebuild->totals) {
		put_clock(header, rebuild->totals, now);
		salvage_clock(&rebuild->salvage, rebuild->totals, header);
	}
	header->sequence = larger(rebuild->sequence, number(rebuild->totals, "sequence"));
	if (header->sequence > 0) /* keeps that are under way have ids nothing tells of */
		header->sequence += STATE_INFLIGHT;
	r = put_processes(rebuild);
	if (r == 0)
		r = raise_totals(rebuild);
	if (r == 0)
		r = put_reserved(rebuild);
	if (r == 0) /* durable before it counts as complete */
		r = state_write(rebuild->state, 0, NULL, STATE_INFLIGHT, true);
	if (r != 0)
		return r > 0 ? -EIO : r;
	header->complete = true;
	memcpy(header->checked_boot_id, now->boot_id, sizeof(header->checked_boot_id));
	r = state_write(rebuild->state, 0, NULL, STATE_INFLIGHT, true);
	return r > 0 ? -EIO : r;
}

int rebuild_state(struct state *state, int dir_fd, int store_fd,
		  const struct clock_reading *now, struct rebuild_result *ret_result)
{
	struct rebuild rebuild = { .state = state,
				   .now = now,
				   .store_fd = store_fd,
				   .processes = json_object(),
				   .reserved = json_object(),
				   .stored = json_object(),
				   .unmerged = json_object() };
	int r;

	r = rebuild_gather(&rebuild, dir_fd);
	if (r == 0)
		r = salvage_open(&rebuild.salvage, dir_fd, rebuild.totals);
	if (r == 0)
		r = put_back(&rebuild, now);
	if (r == 0)
		*ret_result = (struct rebuild_result){
			.found = rebuild.totals || json_object_size(rebuild.stored) > 0,
			.windows = rebuild.salvage.windows,
			.windows_lost = rebuild.salvage.windows_lost,
			.lines_left_out = rebuild.lines_left_out,
		};
	salvage_done(&rebuild.salvage);
	json_decref(rebuild.totals);
	json_decref(rebuild.processes);
	json_decref(rebuild.reserved);
	json_decref(rebuild.stored);
	json_decref(rebuild.unmerged);
	return r;
}
