/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What counters, events and records tell, read into one place. */

#include "ledger/rebuild_internal.h"

#include <errno.h>
#include <string.h>

#include "core/record.h"
#include "io/cleanup.h"
#include "io/counters.h"
#include "io/events.h"
#include "io/store.h"
#include "ledger/adopt.h"
#include "ledger/counted.h"
#include "ledger/ledger.h"

/* Of all records together. */
#define WEIGHTS_MAX (1ULL << 62)

/* The newest of a process; of one life the one that counts most, for a line may be repeated. */
static int take_process(struct rebuild *rebuild, json_t *process)
{
	char key[NAME_SIZE + 24];
	const json_t *known;

	make_key(process, key);
	known = json_object_get(rebuild->processes, key);
	if (known && number(known, "first_ms") == number(process, "first_ms") &&
	    number(known, "crashes") > number(process, "crashes"))
		return 0;
	return json_object_set(rebuild->processes, key, process);
}

int rebuild_take_line(struct rebuild *rebuild, json_t *line)
{
	json_t *entry;
	int failed = 0;
	size_t i;

	json_decref(rebuild->totals);
	rebuild->totals = json_incref(line);
	json_array_foreach(json_object_get(line, "processes"), i, entry)
		failed |= take_process(rebuild, entry);
	json_array_foreach(json_object_get(line, "reserved"), i, entry)
		(void)json_object_set(rebuild->reserved, text(entry, "id"), entry);
	(void)json_object_del(rebuild->reserved, text(line, "settled"));
	return failed ? -ENOMEM : 0;
}

static void take_sequence(struct rebuild *rebuild, const char *id)
{
	uint64_t sequence = adopt_sequence(id);

	if (sequence > rebuild->sequence)
		rebuild->sequence = sequence;
}

/* What the tick writes for processes that had to leave. */
static bool is_of_evicted(const json_t *record)
{
	return number(record, "uid") == 0 &&
	       strcmp(text(record, "process"), LEDGER_EVICTED) == 0 &&
	       strcmp(text(record, "decision"), record_decision_name(RECORD_FOLDED)) == 0;
}

/* Records may claim any weight: what is counted after them has to have room above it. */
static uint64_t take_weight(struct rebuild *rebuild, const json_t *record)
{
	uint64_t weight = smaller(number(record, "weight"), WEIGHTS_MAX - rebuild->weight);

	rebuild->weight += weight;
	return weight;
}

static void add_record(struct rebuild *rebuild, const json_t *record)
{
	const uint64_t weight = take_weight(rebuild, record);
	char key[NAME_SIZE + 24];
	json_t *sum;

	if (is_of_evicted(record)) {
		rebuild->evicted_weight += weight;
		return;
	}
	make_key(record, key);
	sum = json_object_get(rebuild->stored, key);
	if (!sum) {
		sum = json_pack("{s:I, s:s, s:I, s:I}", "uid", (json_int_t)number(record, "uid"),
				"process", text(record, "process"), "weight", (json_int_t)0,
				"kept", (json_int_t)0);
		(void)json_object_set_new(rebuild->stored, key, sum);
	}
	(void)json_object_set_new(sum, "weight",
				  json_integer((json_int_t)(number(sum, "weight") + weight)));
	(void)json_object_set_new(sum, "kept", json_integer((json_int_t)number(sum, "kept") + 1));
}

/* One with a number that cannot be is no record to anybody; of a later corefold they may be. */
static bool counts(const json_t *json)
{
	struct record record;

	return record_is_later(json) || record_from_json(json, &record) == 0;
}

/*
 * Trouble of this process or this moment, and not of the file: what it hides may be there
 * the next time, so the rebuild is left to whoever comes then.
 */
static bool passing(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EINTR || r == -EAGAIN ||
	       r == -ENOSPC;
}

static int take_record(struct rebuild *rebuild, const char *id)
{
	json_t *record;
	int r;

	take_sequence(rebuild, id);
	if (json_object_get(rebuild->unmerged, id))
		return 0;
	r = store_read_record(rebuild->store_fd, id, &record);
	if (r < 0)
		return passing(r) ? r : 0;
	if (counts(record))
		add_record(rebuild, record);
	json_decref(record);
	return 0;
}

static int take_records(struct rebuild *rebuild)
{
	char **ids;
	size_t n;
	int r;

	r = store_list(rebuild->store_fd, &ids, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_record(rebuild, ids[i]);
	store_free_ids(ids, n);
	return r;
}

/* Keeps that had begun: which of them have a record by now? */
static int look_for_reserved(struct rebuild *rebuild)
{
	const char *id;
	json_t *object;

	json_object_foreach(rebuild->reserved, id, object) {
		int stored = store_is_id(id) ?
				     store_has(rebuild->store_fd, id, STORE_RECORD_SUFFIX) :
				     0;

		if (stored < 0)
			return stored;
		if (json_object_set_new(object, "stored", json_boolean(stored)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Events are merged after the rebuild: those that had been must not be merged again. */
static int take_events(struct rebuild *rebuild, int dir_fd)
{
	struct state_header *header = &rebuild->state->header;
	_cleanup_free_ struct event *events = NULL;
	struct events_batch batch;
	int r;

	header->events_bytes = number(rebuild->totals, "events_bytes");
	header->events_crc = (uint32_t)number(rebuild->totals, "events_crc");
	r = events_read(dir_fd, header->events_bytes, header->events_crc, &batch);
	if (r < 0)
		return passing(r) ? r : 0;
	events = batch.event;
	for (size_t i = 0; i < batch.n; i++)
		(void)json_object_set_new(rebuild->unmerged, events[i].id, json_true());
	return 0;
}

int rebuild_gather(struct rebuild *rebuild, int dir_fd)
{
	int r;

	r = counters_read(dir_fd, rebuild_see_line, NULL, rebuild);
	rebuild_judge_newest(rebuild);
	if (rebuild->failed < 0 || passing(r))
		return rebuild->failed ?: r;
	r = take_events(rebuild, dir_fd);
	if (r == 0)
		r = look_for_reserved(rebuild);
	return r == 0 ? take_records(rebuild) : r;
}
