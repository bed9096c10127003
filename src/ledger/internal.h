/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of the ledger share. All of it is called with the lock held. */

#include "io/counters.h"
#include "ledger/ledger.h"

enum ledger_outcome {
	LEDGER_KEPT,
	LEDGER_GIVEN_BACK,
};

/* ---- ids: sort by the time of the crash, then by the order of the decisions ---- */

void ledger_make_id(int64_t wall_ns, const char *tail, char ret_id[static STATE_ID_SIZE]);
void ledger_next_id(struct ledger *ledger, int64_t wall_ns, char ret_id[static STATE_ID_SIZE]);

/* ---- counters ---- */

void ledger_append(struct ledger *ledger, const struct counters_event *event, bool sync);

/* ---- in flight ---- */

/* A free entry with our claim in it; written with the next change. STATE_E_FULL. */
int ledger_take_entry(struct ledger *ledger, const char *id, uint64_t weight, uint32_t slot,
		      uint32_t *ret_index);

/* Ends an entry. ticket: whose signature is learned on the way, or NULL. */
int ledger_settle_entry(struct ledger *ledger, uint32_t index, enum ledger_outcome outcome,
			const struct ledger_ticket *ticket);

/* What dead handlers left: their record decides. */
int ledger_reclaim(struct ledger *ledger);

/* ---- bringing up to date ---- */

int ledger_merge_events(struct ledger *ledger);

/* The old file has been set aside: a new one, with all that counters and records tell. */
int ledger_start_anew(struct ledger *ledger, const struct clock_reading *now);

/* ---- deciding ---- */

void ledger_set_reason(struct ledger_ticket *ticket, const char *reason);

/* Takes id and entry for a crash that is to be kept; folds it when none is to be had. */
void ledger_reserve(struct ledger *ledger, struct state_slot *slot, int64_t wall_ns,
		    struct ledger_ticket *ticket);

/*
 * Is a crash of this process being kept whose hash is not yet learned? It may be the very
 * same bug, so nothing can be called new for that moment.
 */
bool ledger_hash_to_come(const struct state *state, uint32_t slot);

/* The process has shown this signature and this hash. */
void ledger_learn(struct ledger *ledger, struct state_slot *slot,
		  const struct ledger_ticket *ticket);
