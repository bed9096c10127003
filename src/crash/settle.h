/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The end of a keep: the record becomes durable and its weight is kept, or neither. */

#include "core/record.h"
#include "ledger/ledger.h"

enum {
	SETTLE_E_LATER = 1, /* stored; who gets the lock next will find it and count it */
};

/*
 * Stores the record under the ticket's id and commits the ticket. When the record cannot
 * be stored, its core is removed, the weight given back, and -errno says why.
 */
int settle_record(struct ledger *ledger, const struct ledger_ticket *ticket,
		  const struct record *record);

int settle_commit(struct ledger *ledger, const struct ledger_ticket *ticket);
int settle_give_back(struct ledger *ledger, const struct ledger_ticket *ticket);
