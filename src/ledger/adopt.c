/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A record is durable before its weight is committed, and the reservation made before both
 * need not be: only the commit syncs. The number in a record's id is the state's own count,
 * so a number beyond the state's is proof of a reservation that was lost.
 */

#include "ledger/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "io/counters.h"
#include "io/store.h"
#include "ledger/counted.h"
#include "ledger/ledger.h"

uint64_t adopt_sequence(const char *id)
{
	const char *tail = strrchr(id, '-');

	/* Ids given without the lock have a 'b' and a hash there: larger than any sequence. */
	return tail && tail[1] != 'b' ? strtoull(tail + 1, NULL, 16) : 0;
}

static int compare_sequences(const void *a, const void *b)
{
	uint64_t x = adopt_sequence(*(char *const *)a), y = adopt_sequence(*(char *const *)b);

	return (x > y) - (x < y);
}

/* Of what the record stands for, its own crash is not known here; the folds before it may be. */
static void adopt_weight(struct account *account, const struct record *record)
{
	uint64_t folds = record->weight - (record->decision == RECORD_FOLDED ? 0 : 1);
	uint64_t known = smaller(folds, account->throttle.pending);

	account->throttle.pending -= known;
	account->crashes += record->weight - known;
	account->kept_weight += record->weight;
	account->kept++;
}

static int adopt_evicted(struct state *state, const struct record *record)
{
	struct totals *totals = &state->header.totals;
	uint64_t known = smaller(record->weight, totals->evicted);

	totals->evicted -= known;
	totals->crashes += record->weight - known;
	totals->kept_weight += record->weight;
	totals->kept++;
	return state_write(state, 0, NULL, STATE_INFLIGHT, false);
}

static int adopt_of_process(struct state *state, const struct record *record,
			    struct state_slot *slot)
{
	uint32_t index;
	int r;

	r = state_claim(state, record->uid, record->process, &index, slot);
	if (r != 0)
		return r == STATE_E_FULL ? -EAGAIN : r;
	adopt_weight(&slot->account, record);
	slot->last_ns = state->header.clock.on_time_ns;
	slot->last_wall_ns = record->time_ns;
	return state_write(state, index, slot, STATE_INFLIGHT, false);
}

static int adopt(struct state *state, int dir_fd, const struct record *record,
		 const struct clock_reading *now)
{
	const bool evicted = record->decision == RECORD_FOLDED && record->uid == 0 &&
			     strcmp(record->process, LEDGER_EVICTED) == 0;
	struct state_slot slot;
	struct counters_event event = { .slot = evicted ? NULL : &slot };
	int r;

	r = evicted ? adopt_evicted(state, record) : adopt_of_process(state, record, &slot);
	if (r == 0) /* a line that is missing is made up for by the next */
		(void)counters_append(dir_fd, &state->header, &state->header.totals,
				      now->wall_ns, &event, false);
	return r;
}

static int adopt_id(struct state *state, int dir_fd, int store_fd, const char *id,
		    const struct clock_reading *now)
{
	struct record record;
	json_t *json;
	int r;

	r = store_read_record(store_fd, id, &json);
	if (r < 0)
		return r == -EINVAL || r == -ENOENT ? 0 : r;
	/* With the change that counts it, and not before. */
	state->header.sequence = adopt_sequence(id);
	r = record_from_json(json, &record) == 0 && record.weight > 0 ?
		    adopt(state, dir_fd, &record, now) :
		    0;
	json_decref(json);
	return r;
}

int adopt_records(struct state *state, int dir_fd, int store_fd, const struct clock_reading *now)
{
	char **ids;
	size_t n;
	int r;

	r = store_list(store_fd, &ids, &n);
	if (r < 0)
		return r;
	if (n > 0)
		qsort(ids, n, sizeof(*ids), compare_sequences);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (adopt_sequence(ids[i]) > state->header.sequence)
			r = adopt_id(state, dir_fd, store_fd, ids[i], now);
	store_free_ids(ids, n);
	return r;
}
