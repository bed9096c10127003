/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A fold that may be something new. */

#include "ledger/internal.h"

#include <string.h>

#include "io/counters.h"
#include "policy/units.h"

/* Where among the hashes; STATE_HASHES: it is not. */
static uint32_t place_of(const uint64_t hashes[static STATE_HASHES], uint64_t hash)
{
	uint32_t i = 0;

	while (i < STATE_HASHES && hashes[i] != hash)
		i++;
	return i;
}

bool ledger_knows_hash(struct ledger_ticket *ticket, uint64_t hash)
{
	if (place_of(ticket->known, hash) == STATE_HASHES)
		return false;
	ticket->hash = hash;
	return true;
}

/* A hash that came to be known later, by a probe, has been counted there. */
void ledger_note_fold(struct ledger *ledger, const struct ledger_ticket *ticket)
{
	if (ticket->may_be_novel && ticket->hash != 0)
		state_tally_fold(ledger->state, ticket->slot,
				 place_of(ticket->known, ticket->hash), ticket->uid,
				 ticket->process, ticket->hash);
}

static void learn_hash(struct ledger *ledger, uint32_t slot_index, struct state_slot *slot,
		       uint64_t hash, uint64_t signature)
{
	uint32_t place = place_of(slot->hash, hash);

	if (hash == 0)
		return;
	if (place == STATE_HASHES) {
		place = slot->hash_next % STATE_HASHES;
		slot->hash[place] = hash;
		slot->hash_next = (place + 1) % STATE_HASHES;
	}
	state_tally_learn(ledger->state, slot_index, place, slot, signature);
}

static void forget_hash(struct state_slot *slot, uint64_t hash)
{
	for (size_t i = 0; i < STATE_HASHES; i++)
		if (slot->hash[i] == hash)
			slot->hash[i] = 0;
}

void ledger_learn(struct ledger *ledger, struct state_slot *slot,
		  const struct ledger_ticket *ticket)
{
	throttle_learn(&slot->account.throttle, ticket->signature);
	learn_hash(ledger, ticket->slot, slot, ticket->hash, ticket->signature);
}

int ledger_learn_hash(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t hash,
		      const struct clock_reading *now)
{
	struct state *state = ledger->state;
	struct state_slot slot;
	int r;

	ticket->hash = hash;
	if (ticket->inflight >= STATE_INFLIGHT)
		return 0; /* decided without the lock: there is no entry to mark */
	r = ledger_lock(ledger, now);
	if (r == 0 && strcmp(state->inflight[ticket->inflight].id, ticket->id) == 0)
		r = state_read_slot(state, ticket->slot, &slot);
	else
		r = r == 0 ? STATE_E_NONE : r;
	if (r == 0) {
		learn_hash(ledger, ticket->slot, &slot, hash, 0);
		state->inflight[ticket->inflight].hash_learned = true;
		r = state_write(state, ticket->slot, &slot, ticket->inflight, false);
	}
	ledger_unlock(ledger);
	return r;
}

static bool may_probe(const struct ledger *ledger, struct state_slot *slot)
{
	int64_t second = ledger->on_time_ns / NS_PER_SEC;

	if (slot->probe_second != second)
		slot->probes = 0;
	slot->probe_second = second;
	return slot->probes++ < LEDGER_PROBES_PER_SECOND &&
	       throttle_novel_budget(&slot->account.throttle, &ledger->config->throttle,
				     ledger->on_time_ns);
}

static int probe(struct ledger *ledger, struct ledger_ticket *ticket)
{
	struct state *state = ledger->state;
	struct state_slot slot;
	uint32_t place;
	int r;

	r = state_find(state, ticket->uid, ticket->process, &ticket->slot, &slot);
	if (r != 0)
		return r == STATE_E_NONE ? LEDGER_E_FOLD : r;
	place = place_of(slot.hash, ticket->hash);
	if (place < STATE_HASHES)
		state_tally_add(state, ticket->slot, place);
	if (place < STATE_HASHES || ledger_hash_to_come(state, ticket->slot) ||
	    !may_probe(ledger, &slot) || !account_probe(&slot.account))
		return LEDGER_E_FOLD;
	learn_hash(ledger, ticket->slot, &slot, ticket->hash, 0); /* one probe at a time for the same crash */
	ticket->decision = THROTTLE_NOVEL;
	ticket->weight = 1;
	ledger_reserve(ledger, &slot, ticket->wall_ns, ticket);
	if (ticket->decision != THROTTLE_NOVEL)
		return LEDGER_E_FOLD;
	state->inflight[ticket->inflight].hash_learned = true;
	r = state_write(state, ticket->slot, &slot, ticket->inflight, false);
	if (r == 0)
		ledger_append(ledger,
				&(struct counters_event){ .slot = &slot,
							  .reserved_id = ticket->id,
							  .reserved_weight = 1 },
				false);
	return r;
}

static void fold_again(struct ledger_ticket *ticket)
{
	ticket->decision = THROTTLE_FOLD;
	ticket->weight = 0;
	ticket->id[0] = '\0';
	ticket->inflight = STATE_INFLIGHT;
}

int ledger_probe(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t hash,
		 const struct clock_reading *now)
{
	int r;

	ticket->hash = hash;
	r = ledger_lock(ledger, now);
	if (r == 0)
		r = probe(ledger, ticket);
	ledger_unlock(ledger);
	if (r != 0)
		fold_again(ticket);
	return r == 0 ? 0 : LEDGER_E_FOLD;
}

/* It is pending, and of a bug whose signature is known now. */
static void learn_fold(struct ledger *ledger, struct state_slot *slot,
		       const struct ledger_ticket *ticket)
{
	ledger_learn(ledger, slot, ticket);
	state_tally_add(ledger->state, ticket->slot, place_of(slot->hash, ticket->hash));
}

/* The entry goes, the crash is pending again; what was found out about it is learned. */
static int unprobe(struct ledger *ledger, const struct ledger_ticket *ticket,
		   struct state_slot *slot)
{
	struct state *state = ledger->state;
	struct counters_event event = { .slot = slot, .settled_id = ticket->id };
	int r;

	if (strcmp(state->inflight[ticket->inflight].id, ticket->id) != 0)
		return 0; /* a rebuilt state has it as pending already */
	account_unprobe(&slot->account);
	/* Refused though it is new, or nothing could be found out: its next crash tries again. */
	if (ticket->signature == 0 ||
	    !throttle_knows(&slot->account.throttle, ticket->signature))
		forget_hash(slot, ticket->hash);
	else
		learn_fold(ledger, slot, ticket);
	state->inflight[ticket->inflight] = (struct state_inflight){ 0 };
	state->header.inflight_used--;
	r = state_write(state, ticket->slot, slot, ticket->inflight, false);
	state_inflight_release(state, ticket->inflight);
	if (r == 0)
		ledger_append(ledger, &event, false);
	return r;
}

static int admit(struct ledger *ledger, struct ledger_ticket *ticket)
{
	struct state *state = ledger->state;
	struct state_slot slot;
	int r;

	r = state_find(state, ticket->uid, ticket->process, &ticket->slot, &slot);
	if (r != 0)
		return r;
	if (!throttle_admit(&slot.account.throttle, &ledger->config->throttle,
			    ledger->on_time_ns, ticket->signature)) {
		r = unprobe(ledger, ticket, &slot);
		return r == 0 ? LEDGER_E_FOLD : r;
	}
	ledger_learn(ledger, &slot, ticket);
	ledger_set_reason(ticket, "a crash loop, but this signature is new");
	return state_write(state, ticket->slot, &slot, STATE_INFLIGHT, false);
}

/* signature 0: none could be had, which throttle_admit() refuses. */
int ledger_admit(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t signature,
		 const struct clock_reading *now)
{
	int r;

	ticket->signature = signature;
	r = ledger_lock(ledger, now);
	if (r == 0)
		r = admit(ledger, ticket);
	ledger_unlock(ledger);
	if (r != 0)
		fold_again(ticket);
	return r == 0 ? 0 : LEDGER_E_FOLD; /* what is left in flight the next holder settles */
}

int ledger_unprobe(struct ledger *ledger, struct ledger_ticket *ticket,
		   const struct clock_reading *now)
{
	int r = ledger_admit(ledger, ticket, 0, now);

	return r == LEDGER_E_FOLD ? 0 : r;
}

int ledger_teach(struct ledger *ledger, const struct ledger_crash *crash,
		 const struct clock_reading *now)
{
	struct state *state = ledger->state;
	struct state_slot slot;
	uint32_t index;
	int r;

	r = ledger_lock(ledger, now);
	if (r == 0)
		r = state_find(state, crash->uid, crash->process, &index, &slot);
	if (r == 0 && !throttle_knows(&slot.account.throttle, crash->signature)) {
		throttle_learn(&slot.account.throttle, crash->signature);
		r = state_write(state, index, &slot, STATE_INFLIGHT, false);
	}
	ledger_unlock(ledger);
	return r;
}
