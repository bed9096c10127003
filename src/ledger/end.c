/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The end of a keep, and folds that nobody will fetch. */

#include "ledger/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/counters.h"

/* ---- ending it ---- */

/*
 * The entry is found by its id, not its index: the file may have been set aside and
 * rebuilt since. No entry: whoever rebuilt it found the record, and has counted it as kept.
 */
static int settle_ticket(struct ledger *ledger, const struct ledger_ticket *ticket,
			 enum ledger_outcome outcome)
{
	struct state *state = ledger->state;
	int r;

	for (uint32_t i = 0; i < STATE_INFLIGHT; i++) {
		if (strcmp(state->inflight[i].id, ticket->id) != 0)
			continue;
		r = ledger_settle_entry(ledger, i, outcome, ticket);
		state_inflight_release(state, i);
		return r;
	}
	return 0;
}

static int end_ticket(struct ledger *ledger, const struct ledger_ticket *ticket,
		      const struct clock_reading *now, enum ledger_outcome outcome)
{
	int r;

	r = ledger_lock(ledger, now);
	if (r != 0)
		return r; /* the next holder finds the record, or that there is none */
	r = settle_ticket(ledger, ticket, outcome);
	ledger_unlock(ledger);
	return r == 0 ? ledger_sync(ledger) : r;
}

int ledger_commit(struct ledger *ledger, const struct ledger_ticket *ticket,
		  const struct clock_reading *now)
{
	return end_ticket(ledger, ticket, now, LEDGER_KEPT);
}

int ledger_give_back(struct ledger *ledger, const struct ledger_ticket *ticket,
		     const struct clock_reading *now)
{
	return end_ticket(ledger, ticket, now, LEDGER_GIVEN_BACK);
}

/* ---- folds nobody will fetch ---- */

static int take_evicted(struct ledger *ledger, struct ledger_ticket *ticket)
{
	struct totals *totals = &ledger->state->header.totals;
	int r;

	ticket->weight = totals->evicted;
	if (ticket->weight == 0)
		return 0;
	ledger_next_id(ledger, ledger->now.wall_ns, ticket->id);
	r = ledger_take_entry(ledger, ticket->id, ticket->weight, STATE_NO_SLOT, &ticket->inflight);
	if (r != 0)
		return -EAGAIN;
	(void)snprintf(ticket->process, sizeof(ticket->process), LEDGER_EVICTED);
	totals->in_flight += totals->evicted;
	totals->evicted = 0;
	r = state_write(ledger->state, 0, NULL, ticket->inflight, false);
	if (r != 0)
		return r;
	ledger_append(ledger,
			&(struct counters_event){ .reserved_id = ticket->id,
						  .reserved_weight = ticket->weight },
			false);
	return 0;
}

static int take_slot(struct ledger *ledger, struct ledger_ticket *ticket)
{
	struct state_slot slot;
	int r;

	r = state_read_slot(ledger->state, ticket->slot, &slot);
	if (r != 0)
		return r;
	ticket->uid = slot.uid;
	(void)snprintf(ticket->process, sizeof(ticket->process), "%s", slot.process);
	ticket->weight = slot.account.throttle.pending;
	if (ticket->weight == 0)
		return 0;
	ledger_next_id(ledger, slot.last_wall_ns, ticket->id); /* as its record is dated */
	r = ledger_take_entry(ledger, ticket->id, ticket->weight, ticket->slot, &ticket->inflight);
	if (r != 0)
		return -EAGAIN;
	(void)account_take_pending(&slot.account);
	ticket->claims = (uint32_t)state_tally_claim(ledger->state, ticket->slot, &slot,
						     ticket->inflight, ticket->weight,
						     ticket->claim);
	r = state_write(ledger->state, ticket->slot, &slot, ticket->inflight, false);
	if (r != 0)
		return r;
	ledger_append(ledger,
			&(struct counters_event){ .slot = &slot,
						  .reserved_id = ticket->id,
						  .reserved_weight = ticket->weight },
			false);
	return 0;
}

int ledger_take_pending(struct ledger *ledger, uint32_t slot, struct ledger_ticket *ret_ticket)
{
	*ret_ticket = (struct ledger_ticket){ .decision = THROTTLE_FOLD,
					      .on_time_ns = ledger->on_time_ns,
					      .slot = slot,
					      .inflight = STATE_INFLIGHT };
	if (slot == STATE_NO_SLOT)
		return take_evicted(ledger, ret_ticket);
	return take_slot(ledger, ret_ticket);
}
