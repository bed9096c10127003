/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Counters are cumulative, so the newest line of each process and the newest totals are
 * all there is to know; lines in between only tell which keeps had begun and not ended.
 * For those the record decides, as it does for any dead handler; without one they are in
 * flight as before. Records that the counters
 * do not cover (the file was lost, too) raise the counts to what they stand for.
 */

#include "rebuild.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "io/counters.h"
#include "io/store.h"
#include "policy/units.h"

struct rebuild {
	struct state *state;
	int store_fd;
	json_t *totals; /* newest line, NULL if none */
	json_t *processes; /* by key: newest object */
	json_t *reserved; /* by id: keeps not known to have ended */
	json_t *stored; /* by key: {uid, process, weight, kept} over the records */
	uint64_t sequence;
};

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static void make_key(const json_t *object, char out[static NAME_SIZE + 24])
{
	(void)snprintf(out, NAME_SIZE + 24, "%" PRIu64 " %.*s", number(object, "uid"),
		       NAME_SIZE - 1, text(object, "process"));
}

/* ---- gathering ---- */

static bool take_line(void *userdata, const json_t *line, unsigned int line_number)
{
	struct rebuild *rebuild = userdata;
	json_t *entry;
	size_t i;

	(void)line_number;
	json_decref(rebuild->totals);
	rebuild->totals = json_deep_copy(line);
	json_array_foreach(json_object_get(line, "processes"), i, entry) {
		char key[NAME_SIZE + 24];

		make_key(entry, key);
		(void)json_object_set(rebuild->processes, key, entry);
	}
	json_array_foreach(json_object_get(line, "reserved"), i, entry)
		(void)json_object_set(rebuild->reserved, text(entry, "id"), entry);
	(void)json_object_del(rebuild->reserved, text(line, "settled"));
	return true;
}

static void take_sequence(struct rebuild *rebuild, const char *id)
{
	const char *tail = strrchr(id, '-');
	uint64_t sequence = tail ? strtoull(tail + 1, NULL, 16) : 0;

	/* Ids given without the lock have a 'b' and a hash there: larger than any sequence. */
	if (tail && tail[1] != 'b' && sequence > rebuild->sequence)
		rebuild->sequence = sequence;
}

static void take_record(struct rebuild *rebuild, const char *id)
{
	char key[NAME_SIZE + 24];
	json_t *record, *sum;

	take_sequence(rebuild, id);
	if (store_read_record(rebuild->store_fd, id, &record) < 0)
		return;
	make_key(record, key);
	sum = json_object_get(rebuild->stored, key);
	if (!sum) {
		sum = json_pack("{s:I, s:s, s:I, s:I}", "uid", (json_int_t)number(record, "uid"),
				"process", text(record, "process"), "weight", (json_int_t)0,
				"kept", (json_int_t)0);
		(void)json_object_set_new(rebuild->stored, key, sum);
	}
	(void)json_object_set_new(
		sum, "weight",
		json_integer((json_int_t)(number(sum, "weight") + number(record, "weight"))));
	(void)json_object_set_new(sum, "kept", json_integer((json_int_t)number(sum, "kept") + 1));
	json_decref(record);
}

static int gather(struct rebuild *rebuild, int dir_fd)
{
	char **ids;
	size_t n;
	int r, listed;

	r = counters_read(dir_fd, take_line, NULL, rebuild);
	listed = store_list(rebuild->store_fd, &ids, &n);
	if (listed < 0)
		return r < 0 && r != -ENOENT ? r : 0;
	for (size_t i = 0; i < n; i++)
		take_record(rebuild, ids[i]);
	store_free_ids(ids, n);
	return 0;
}

/* ---- putting it back ---- */

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
		if (strcmp(entry_key, key) != 0 || !store_is_id(id) ||
		    !store_has(rebuild->store_fd, id, STORE_RECORD_SUFFIX))
			continue;
		weight += number(entry, "weight");
		(*ret_kept)++;
	}
	return weight;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void fill_account(struct rebuild *rebuild, const char *key, const json_t *counted,
			 struct account *account)
{
	const json_t *stored = json_object_get(rebuild->stored, key);
	uint64_t late_kept, late = reserved_and_stored(rebuild, key, &late_kept);

	account->kept_weight = larger(number(counted, "kept_weight") + late,
				      number(stored, "weight"));
	account->kept = larger(number(counted, "kept") + late_kept, number(stored, "kept"));
	account->crashes = larger(number(counted, "crashes"), account->kept_weight);
	account->folded = number(counted, "folded");
	account->throttle.pending = account->crashes - account->kept_weight;
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
	slot.last_ns = state->header.clock.on_time_ns;
	slot.last_wall_ns = (int64_t)number(object, "last_time") * NS_PER_SEC;
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

		if (!store_is_id(id) || store_has(rebuild->store_fd, id, STORE_RECORD_SUFFIX))
			continue;
		r = put_in_flight(rebuild, id, object);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Processes that had been evicted are in the old totals only. */
static void raise_totals(struct totals *totals, const json_t *line)
{
	uint64_t accounted;

	totals->crashes = larger(totals->crashes, number(line, "crashes"));
	totals->folded = larger(totals->folded, number(line, "folded"));
	totals->kept = larger(totals->kept, number(line, "kept"));
	totals->kept_weight = larger(totals->kept_weight, number(line, "kept_weight"));
	totals->unseen = number(line, "unseen");
	accounted = totals->kept_weight + totals->pending + totals->in_flight;
	totals->crashes = larger(totals->crashes, accounted);
	totals->evicted = totals->crashes - accounted;
}

static void put_clock(struct state_header *header, const json_t *line,
		      const struct clock_reading *now)
{
	struct clock_state *clock = &header->clock;
	int64_t covered_ns;

	clock->on_time_ns = (int64_t)number(line, "on_time_seconds") * NS_PER_SEC;
	clock->uncovered_ns = (int64_t)number(line, "uncovered_seconds") * NS_PER_SEC;
	clock->boots = number(line, "boots");
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

	if (rebuild->totals)
		put_clock(header, rebuild->totals, now);
	header->sequence = larger(rebuild->sequence, number(rebuild->totals, "sequence"));
	r = put_processes(rebuild);
	if (r == 0)
		r = put_reserved(rebuild);
	if (r < 0)
		return r;
	raise_totals(&header->totals, rebuild->totals);
	header->complete = true;
	r = state_write(rebuild->state, 0, NULL, STATE_INFLIGHT, true);
	return r > 0 ? -EIO : r;
}

int rebuild_state(struct state *state, int dir_fd, int store_fd,
		  const struct clock_reading *now, bool *ret_found)
{
	struct rebuild rebuild = { .state = state,
				   .store_fd = store_fd,
				   .processes = json_object(),
				   .reserved = json_object(),
				   .stored = json_object() };
	int r;

	r = gather(&rebuild, dir_fd);
	if (r == 0)
		r = put_back(&rebuild, now);
	if (r == 0)
		*ret_found = rebuild.totals || json_object_size(rebuild.stored) > 0;
	json_decref(rebuild.totals);
	json_decref(rebuild.processes);
	json_decref(rebuild.reserved);
	json_decref(rebuild.stored);
	return r;
}
