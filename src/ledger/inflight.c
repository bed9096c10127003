/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Ids, the counters' lines, and keeps that are under way: begun, ended, or left by the dead. */

#include "ledger/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/counters.h"
#include "io/dir.h"
#include "io/store.h"
#include "policy/units.h"

/* ---- ids ---- */

/* Sorts by the time of the crash, then by the order of the decisions. */
void ledger_make_id(int64_t wall_ns, const char *tail, char ret_id[static STATE_ID_SIZE])
{
	time_t seconds = wall_ns / NS_PER_SEC;
	struct tm tm = { 0 };
	char text[24];

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm);
	(void)snprintf(ret_id, STATE_ID_SIZE, "%.16s-%.20s", text, tail);
}

void ledger_next_id(struct ledger *ledger, int64_t wall_ns, char ret_id[static STATE_ID_SIZE])
{
	char tail[20];

	(void)snprintf(tail, sizeof(tail), "%06" PRIx64, ++ledger->state->header.sequence);
	ledger_make_id(wall_ns, tail, ret_id);
}

/* ---- counters ---- */

/*
 * A line that cannot be appended loses no count: the next one is cumulative, and the
 * throttle file has it already.
 */
void ledger_append(struct ledger *ledger, const struct counters_event *event, bool sync)
{
	int r;

	r = counters_append(ledger->dir_fd, &ledger->state->header,
			    &ledger->state->header.totals, ledger->now.wall_ns, event, sync);
	if (r == COUNTERS_E_SET_ASIDE)
		ledger->counters_failed = "not a file of ours, set aside as counters.bad";
	else if (r < 0)
		ledger->counters_failed = strerror(-r);
}

/* Beyond COUNTERS_HARD_BYTES crashes add no lines: here is what they would have said. */
static int append_slots(struct ledger *ledger)
{
	struct state *state = ledger->state;
	struct state_slot slot;
	const struct counters_event event = { .always = true, .slot = &slot };
	int r;

	for (uint32_t i = 0; (r = state_next_slot(state, &i, &slot)) == 0; i++) {
		r = counters_append(ledger->dir_fd, &state->header, &state->header.totals,
				    ledger->now.wall_ns, &event, false);
		if (r != 0)
			return r;
	}
	return r == STATE_E_NONE ? 0 : r;
}

int ledger_snapshot(struct ledger *ledger, bool sync)
{
	struct counters_event event = { .always = true };
	int r;

	if (counters_full(ledger->dir_fd)) {
		r = append_slots(ledger);
		if (r != 0)
			return r;
	}
	r = counters_append(ledger->dir_fd, &ledger->state->header,
			    &ledger->state->header.totals, ledger->now.wall_ns, &event, sync);
	return r == COUNTERS_E_SET_ASIDE ? 0 : r;
}

/* ---- settling what is in flight ---- */

static void settle_evicted(struct totals *totals, uint64_t weight, enum ledger_outcome outcome)
{
	totals->in_flight -= weight < totals->in_flight ? weight : totals->in_flight;
	if (outcome == LEDGER_KEPT) {
		totals->kept_weight += weight;
		totals->kept++;
	} else {
		totals->evicted += weight;
	}
}

/* ticket: whose signature is learned on the way, or NULL. */
static int settle_slot(struct ledger *ledger, uint32_t index, enum ledger_outcome outcome,
		       const struct ledger_ticket *ticket, struct state_slot *ret_slot)
{
	struct state *state = ledger->state;
	const struct state_inflight *entry = &state->inflight[index];
	int r;

	r = state_read_slot(state, entry->slot, ret_slot);
	if (r != 0)
		return r;
	if (outcome == LEDGER_KEPT) {
		account_commit(&ret_slot->account, entry->weight);
	} else {
		account_give_back(&ret_slot->account, entry->weight);
		state_tally_give_back(state, entry->slot, index);
	}
	if (ticket)
		ledger_learn(ledger, ret_slot, ticket);
	return 0;
}

/* Ends one in-flight entry: counts, frees the entry, says so in the counters. */
int ledger_settle_entry(struct ledger *ledger, uint32_t index, enum ledger_outcome outcome,
			const struct ledger_ticket *ticket)
{
	struct state *state = ledger->state;
	struct state_inflight entry = state->inflight[index];
	struct counters_event event = { .settled_id = entry.id };
	struct state_slot slot;
	int r = 0;

	if (entry.slot != STATE_NO_SLOT && entry.slot >= STATE_SLOTS)
		return STATE_E_BAD;
	if (entry.slot == STATE_NO_SLOT)
		settle_evicted(&state->header.totals, entry.weight, outcome);
	else
		r = settle_slot(ledger, index, outcome, ticket, &slot);
	if (r != 0)
		return r;
	if (entry.slot != STATE_NO_SLOT)
		event.slot = &slot;
	state->inflight[index] = (struct state_inflight){ 0 };
	state->header.inflight_used--;
	r = state_write(state, entry.slot, event.slot, index, false);
	if (r != 0)
		return r;
	ledger_append(ledger, &event, false);
	return 0;
}

static bool abandoned(struct ledger *ledger, uint32_t index)
{
	const struct state_inflight *entry = &ledger->state->inflight[index];

	if (entry->orphan)
		return ledger->on_time_ns - entry->since_ns >= LEDGER_ORPHAN_NS;
	return !state_inflight_alive(ledger->state, index);
}

/* What dead handlers left: their record decides. */
int ledger_reclaim(struct ledger *ledger)
{
	struct state *state = ledger->state;

	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++) {
		struct state_inflight *entry = &state->inflight[i];
		int stored, r;

		if (!entry->id[0] || state->mine[i])
			continue;
		entry->id[STATE_ID_SIZE - 1] = '\0';
		if (!entry->orphan && !abandoned(ledger, i))
			continue;
		stored = store_has(ledger->store_fd, entry->id, STORE_RECORD_SUFFIX);
		if (stored < 0 || (!stored && !abandoned(ledger, i)))
			continue;
		r = ledger_settle_entry(ledger, i, stored ? LEDGER_KEPT : LEDGER_GIVEN_BACK, NULL);
		if (r != 0)
			return r;
	}
	return 0;
}

/* A free entry with our claim in it; written with the next change. */
int ledger_take_entry(struct ledger *ledger, const char *id, uint64_t weight, uint32_t slot,
		      uint32_t *ret_index)
{
	struct state *state = ledger->state;
	int r;

	r = state_inflight_take(state, ret_index);
	if (r != 0)
		return r;
	state->inflight[*ret_index] = (struct state_inflight){
		.weight = weight, .since_ns = ledger->on_time_ns, .slot = slot
	};
	(void)snprintf(state->inflight[*ret_index].id, STATE_ID_SIZE, "%s", id);
	state->header.inflight_used++;
	return 0;
}
