/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/settle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash/logs.h"
#include "io/clock.h"
#include "io/store.h"

typedef int end_ticket(struct ledger *ledger, const struct ledger_ticket *ticket,
		       const struct clock_reading *now);

static int end(struct ledger *ledger, const struct ledger_ticket *ticket, end_ticket *how)
{
	struct clock_reading now;
	int r;

	r = clock_read(&now);
	if (r == 0)
		r = how(ledger, ticket, &now);
	logs_found(ledger);
	return r;
}

int settle_commit(struct ledger *ledger, const struct ledger_ticket *ticket)
{
	return end(ledger, ticket, ledger_commit) == 0 ? 0 : SETTLE_E_LATER;
}

int settle_give_back(struct ledger *ledger, const struct ledger_ticket *ticket)
{
	int r = end(ledger, ticket, ledger_give_back);

	return r < 0 ? r : 0; /* the lock is taken: the next holder sees that we are gone */
}

static int compare_counts(const void *a, const void *b)
{
	const struct state_claim *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

/* Adds to the kind of the same signature. At most STATE_HASHES + 2 kinds come together. */
static void add_kind(struct state_claim *kind, size_t *n, uint64_t signature, uint64_t count)
{
	size_t i = 0;

	while (i < *n && kind[i].signature != signature)
		i++;
	if (i == *n)
		kind[(*n)++] = (struct state_claim){ .signature = signature };
	kind[i].count += count;
}

/*
 * Folds that look like this very crash, which has been unwound now: if nobody knew their
 * signature, it is taken for this one. If it was said to be another, two bugs look alike,
 * and which of them was folded is not known.
 */
static uint64_t signature_of(const struct ledger_ticket *ticket, const struct state_claim *claim)
{
	if (claim->mixed || ticket->hash == 0 || claim->hash != ticket->hash ||
	    ticket->signature == 0 || ticket->signature == claim->signature)
		return claim->signature;
	return claim->signature == 0 ? ticket->signature : 0;
}

/*
 * Which bugs the weight is of. The counts add up to the weight, always: what is not known
 * is a count, too.
 */
static json_t *stands_for(const struct ledger_ticket *ticket, const struct record *record)
{
	struct state_claim kind[STATE_HASHES + 2];
	uint64_t left = record->weight;
	json_t *array = json_array();
	size_t n = 0;

	if (record->decision != RECORD_FOLDED && left > 0) {
		add_kind(kind, &n, ticket->signature, 1);
		left--;
	}
	for (uint32_t i = 0; i < ticket->claims; i++) {
		const struct state_claim *claim = &ticket->claim[i];
		uint64_t count = claim->count < left ? claim->count : left;

		add_kind(kind, &n, signature_of(ticket, claim), count);
		left -= count;
	}
	if (left > 0)
		add_kind(kind, &n, 0, left);
	qsort(kind, n, sizeof(*kind), compare_counts);
	for (size_t i = 0; i < n; i++) {
		char key[17];

		(void)snprintf(key, sizeof(key), "%016" PRIx64, kind[i].signature);
		(void)json_array_append_new(array,
					    json_pack("{s:s?, s:I}", "signature",
						      kind[i].signature ? key : NULL, "count",
						      (json_int_t)kind[i].count));
	}
	return array;
}

static int put(int store_fd, const struct ledger_ticket *ticket, const struct record *record)
{
	json_t *object = record_to_json(record);
	int r;

	if (!object)
		return -ENOMEM;
	(void)json_object_set_new(object, "stands_for", stands_for(ticket, record));
	r = store_put_record(store_fd, record->id, object);
	json_decref(object);
	return r == 0 ? store_sync(store_fd) : r;
}

int settle_record(struct ledger *ledger, const struct ledger_ticket *ticket,
		  const struct record *record)
{
	int r;

	r = put(ledger->store_fd, ticket, record);
	if (r == 0)
		return settle_commit(ledger, ticket);
	if (r == -EEXIST) { /* somebody else's record has this id: it is not ours to remove */
		(void)settle_give_back(ledger, ticket);
		return r;
	}
	(void)store_remove(ledger->store_fd, record->id, STORE_RECORD_SUFFIX);
	/* A record that cannot be removed stands for its weight, which nobody else may carry. */
	if (store_has(ledger->store_fd, record->id, STORE_RECORD_SUFFIX) != 0)
		return settle_commit(ledger, ticket);
	(void)store_remove(ledger->store_fd, record->id, STORE_CORE_SUFFIX);
	(void)settle_give_back(ledger, ticket); /* the reason to tell is the first one */
	return r;
}
