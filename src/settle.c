/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "settle.h"

#include <errno.h>

#include "io/clock.h"
#include "io/store.h"

int settle_commit(struct ledger *ledger, const struct ledger_ticket *ticket)
{
	struct clock_reading now;
	int r;

	r = clock_read(&now);
	if (r == 0)
		r = ledger_commit(ledger, ticket, &now);
	return r == 0 ? 0 : SETTLE_E_LATER;
}

int settle_give_back(struct ledger *ledger, const struct ledger_ticket *ticket)
{
	struct clock_reading now;
	int r;

	r = clock_read(&now);
	if (r == 0)
		r = ledger_give_back(ledger, ticket, &now);
	return r < 0 ? r : 0; /* the lock is taken: the next holder sees that we are gone */
}

static int put(int store_fd, const struct record *record)
{
	json_t *json = record_to_json(record);
	int r;

	if (!json)
		return -ENOMEM;
	r = store_put_record(store_fd, record->id, json);
	json_decref(json);
	return r == 0 ? store_sync(store_fd) : r;
}

int settle_record(struct ledger *ledger, const struct ledger_ticket *ticket,
		  const struct record *record)
{
	int r;

	r = put(ledger->store_fd, record);
	if (r == 0)
		return settle_commit(ledger, ticket);
	if (r == -EEXIST) { /* somebody else's record has this id: it is not ours to remove */
		(void)settle_give_back(ledger, ticket);
		return r;
	}
	store_remove(ledger->store_fd, record->id, STORE_RECORD_SUFFIX);
	/* A record that cannot be removed stands for its weight, which nobody else may carry. */
	if (store_has(ledger->store_fd, record->id, STORE_RECORD_SUFFIX) != 0)
		return settle_commit(ledger, ticket);
	store_remove(ledger->store_fd, record->id, STORE_CORE_SUFFIX);
	(void)settle_give_back(ledger, ticket); /* the reason to tell is the first one */
	return r;
}
