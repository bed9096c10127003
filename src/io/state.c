/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Slots and in-flight entries of the throttle file, with the lock held. */

#include "io/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/state_format.h"
#include "policy/account.h"
#include "policy/evict.h"

bool state_slot_good(const struct state_slot *slot)
{
	return slot->crc == CRC_OF(slot) && account_balanced(&slot->account) &&
	       throttle_possible(&slot->account.throttle) &&
	       memchr(slot->process, '\0', sizeof(slot->process));
}

/* ---- slots ---- */

int state_read_slot(struct state *state, uint32_t index, struct state_slot *ret_slot)
{
	struct state_slot slot;
	int r;

	assert(state->locked && index < STATE_SLOTS);
	r = state_read_at(state->fd, &slot, sizeof(slot), state_slot_at(index));
	if (r != 0)
		return r;
	if (!state_slot_good(&slot))
		return STATE_E_BAD;
	*ret_slot = slot;
	return 0;
}

int state_next_slot(struct state *state, uint32_t *index, struct state_slot *ret_slot)
{
	while (*index < STATE_SLOTS && !state->place[*index].used)
		(*index)++;
	return *index < STATE_SLOTS ? state_read_slot(state, *index, ret_slot) : STATE_E_NONE;
}

uint64_t state_key(uint32_t uid, const char *process)
{
	return name_hash(process, strlen(process)) ^ (uid * 0x9e3779b97f4a7c15u);
}

int state_find(struct state *state, uint32_t uid, const char *process,
	       uint32_t *ret_index, struct state_slot *ret_slot)
{
	uint64_t hash = state_key(uid, process);

	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		struct state_slot slot;
		int r;

		if (state->place[i].hash != hash || !state->place[i].used)
			continue;
		r = state_read_slot(state, i, &slot);
		if (r != 0)
			return r;
		if (slot.uid != uid || strcmp(slot.process, process) != 0)
			continue;
		*ret_index = i;
		*ret_slot = slot;
		return 0;
	}
	return STATE_E_NONE;
}

static int evict(struct state *state, uint32_t *ret_index)
{
	struct evict_candidate candidates[STATE_SLOTS];
	size_t chosen;

	for (uint32_t i = 0; i < STATE_SLOTS; i++)
		candidates[i] = (struct evict_candidate){ .last_ns = state->place[i].last_ns,
							  .uid = state->place[i].uid,
							  .busy = state->place[i].busy };
	chosen = evict_choose(candidates, STATE_SLOTS);
	if (chosen == STATE_SLOTS)
		return STATE_E_FULL;
	*ret_index = (uint32_t)chosen;
	return 0;
}

int state_claim(struct state *state, uint32_t uid, const char *process,
		uint32_t *ret_index, struct state_slot *ret_slot)
{
	uint32_t index = 0;
	int r;

	r = state_find(state, uid, process, ret_index, ret_slot);
	if (r != STATE_E_NONE)
		return r;
	while (index < STATE_SLOTS && state->place[index].used)
		index++;
	if (index == STATE_SLOTS) {
		r = evict(state, &index);
		if (r != 0)
			return r;
	}
	*ret_slot = (struct state_slot){ .uid = uid };
	(void)snprintf(ret_slot->process, sizeof(ret_slot->process), "%s", process);
	*ret_index = index;
	return 0;
}

static struct state_place place_of(const struct state_slot *slot)
{
	struct state_place place = {
		.hash = state_key(slot->uid, slot->process),
		.last_ns = slot->last_ns,
		.uid = slot->uid,
		.used = true,
		.busy = slot->account.in_flight > 0,
	};

	place.crc = CRC_OF(&place);
	return place;
}

static void totals_subtract(struct totals *totals, const struct account *account)
{
	totals->crashes -= account->crashes;
	totals->folded -= account->folded;
	totals->kept -= account->kept;
	totals->kept_weight -= account->kept_weight;
	totals->pending -= account->throttle.pending;
	totals->in_flight -= account->in_flight;
}

/* What this slot adds to the totals is replaced; a process that leaves stays counted. */
static int update_totals(struct state *state, uint32_t index, const struct state_slot *slot)
{
	struct totals *totals = &state->header.totals;
	struct state_slot old;
	int r;

	if (state->place[index].used) {
		r = state_read_slot(state, index, &old);
		if (r != 0)
			return r;
		if (old.uid == slot->uid && strcmp(old.process, slot->process) == 0) {
			totals_subtract(totals, &old.account);
		} else {
			totals->pending -= old.account.throttle.pending;
			totals->evicted += old.account.throttle.pending;
		}
	}
	totals_add(totals, &slot->account);
	return 0;
}

static void enter_slot(struct state *state, uint32_t index, const struct state_slot *slot,
		       struct journal *journal)
{
	struct state_place place = place_of(slot);

	state->header.places_sum ^= state->place[index].crc ^ place.crc;
	journal->has_slot = true;
	journal->slot_index = index;
	journal->slot = *slot;
	journal->slot.crc = CRC_OF(&journal->slot);
	journal->place = place;
}

static void enter_inflight(struct state *state, uint32_t index, struct journal *journal)
{
	state->inflight_loaded = true;
	journal->has_inflight = true;
	journal->inflight_index = index;
	journal->inflight = state->inflight[index];
	journal->inflight.crc = CRC_OF(&journal->inflight);
}

/* 0: the change is made. What cannot be written home now, the next holder writes. */
static int commit(struct state *state, struct journal *journal)
{
	int r;

	state->header.crc = CRC_OF(&state->header);
	journal->header = state->header;
	journal->crc = CRC_OF(journal);
	r = state_write_at(state->fd, journal, sizeof(*journal), JOURNAL_AT);
	if (r < 0)
		return r;
	state->stalled = state_apply(state->fd, journal) != 0;
	return 0;
}

int state_write(struct state *state, uint32_t index, const struct state_slot *slot,
		uint32_t inflight_index, bool sync)
{
	struct journal journal = { 0 };
	int r;

	assert(state->locked);
	if (state->stalled)
		return -EIO; /* the journal must survive until it has been applied */
	if (slot) {
		r = update_totals(state, index, slot);
		if (r != 0)
			return r;
	}
	journal.change = ++state->header.change;
	if (slot)
		enter_slot(state, index, slot, &journal);
	if (inflight_index < STATE_INFLIGHT)
		enter_inflight(state, inflight_index, &journal);
	r = commit(state, &journal);
	if (r < 0)
		return r;
	return sync && fdatasync(state->fd) < 0 ? -errno : 0;
}

static bool inflight_intact(const struct state *state)
{
	uint32_t used = 0;

	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++) {
		const struct state_inflight *entry = &state->inflight[i];

		if (!entry->id[0])
			continue;
		if (entry->crc != CRC_OF(entry))
			return false;
		used++;
	}
	return used == state->header.inflight_used;
}

bool state_intact(const struct state *state)
{
	uint64_t sum = 0;

	assert(state->locked);
	for (uint32_t i = 0; i < STATE_SLOTS; i++)
		sum ^= state->place[i].crc;
	return sum == state->header.places_sum && totals_balanced(&state->header.totals) &&
	       clock_possible(&state->header.clock) && inflight_intact(state);
}

static int verify_slot(struct state *state, uint32_t index, struct totals *totals)
{
	const struct state_place *place = &state->place[index];
	struct state_slot slot;
	int r;

	if (!place->used && place->crc == 0)
		return 0;
	if (place->crc != CRC_OF(place))
		return STATE_E_BAD;
	r = state_read_slot(state, index, &slot);
	if (r != 0)
		return r;
	if (place->hash != state_key(slot.uid, slot.process))
		return STATE_E_BAD;
	totals_add(totals, &slot.account);
	return 0;
}

/* What is in flight has an entry each, or it would never land. */
static int verify_inflight(const struct state *state, const struct totals *sum)
{
	uint64_t of_slots = 0, of_evicted = 0;

	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++) {
		const struct state_inflight *entry = &state->inflight[i];

		if (!entry->id[0])
			continue;
		if (entry->slot != STATE_NO_SLOT && entry->slot >= STATE_SLOTS)
			return STATE_E_BAD;
		*(entry->slot == STATE_NO_SLOT ? &of_evicted : &of_slots) += entry->weight;
	}
	if (of_slots != sum->in_flight ||
	    of_slots + of_evicted != state->header.totals.in_flight)
		return STATE_E_BAD;
	return 0;
}

int state_verify(struct state *state)
{
	const struct totals *totals = &state->header.totals;
	struct totals sum = { 0 };

	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		int r = verify_slot(state, i, &sum);

		if (r != 0)
			return r;
	}
	if (!totals_balanced(totals) || sum.pending != totals->pending ||
	    sum.crashes > totals->crashes || sum.kept_weight > totals->kept_weight)
		return STATE_E_BAD;
	return verify_inflight(state, &sum);
}

/* ---- in flight ---- */

/*
 * Locks of an open file description (not of a process) stay while any descriptor of it is
 * open and vanish with a SIGKILL, which is just the proof that is wanted.
 */
static struct flock alive_range(short type, uint32_t index)
{
	return (struct flock){ .l_type = type,
			       .l_whence = SEEK_SET,
			       .l_start = ALIVE_AT + index,
			       .l_len = 1 };
}

int state_inflight_take(struct state *state, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < STATE_INFLIGHT; i++) {
		struct flock range = alive_range(F_WRLCK, i);

		if (state->inflight[i].id[0])
			continue;
		if (fcntl(state->fd, F_OFD_SETLK, &range) < 0)
			continue; /* its last holder is not quite gone */
		state->mine[i] = true;
		*ret_index = i;
		return 0;
	}
	return STATE_E_FULL;
}

bool state_inflight_alive(struct state *state, uint32_t index)
{
	struct flock range = alive_range(F_WRLCK, index);

	if (state->mine[index])
		return true; /* asking tells of others only */
	if (fcntl(state->fd, F_OFD_GETLK, &range) < 0)
		return true; /* cannot tell: leave it alone */
	return range.l_type != F_UNLCK;
}

void state_inflight_release(struct state *state, uint32_t index)
{
	struct flock range = alive_range(F_UNLCK, index);

	state->mine[index] = false;
	(void)fcntl(state->fd, F_OFD_SETLK, &range); /* closing would do as well */
}
