/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Which bugs the pending crashes of a process were.
 *
 * A fold finds out its cheap hash after the lock is gone, and to take it again would double
 * what a fold costs. So each place of a slot's hashes has a counter that is counted up
 * through a mapping, by an atomic instruction, and never down. How much of it is pending
 * stands beside it: what kept crashes have carried off already, changed under the lock.
 *
 * These are hints beside the ledger, which holds without them: no journal, no checksum. A
 * SIGKILL at the wrong moment or a damaged file makes crashes of unknown signature, never
 * more or fewer crashes, because who claims is told how many there are at most. The tag
 * ties a counter to process and hash, so that a late fold cannot count for the next
 * process in that slot.
 */

#include "io/state.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "io/state_format.h"

/* High half: the tag; low half: the count. */
static uint64_t counter_make(uint32_t tag, uint32_t count)
{
	return (uint64_t)tag << 32 | count;
}

static uint32_t tag_of(uint64_t counter)
{
	return (uint32_t)(counter >> 32);
}

static uint32_t make_tag(uint32_t uid, const char *process, uint64_t hash)
{
	uint64_t mixed = (state_key(uid, process) ^ hash) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(mixed >> 32) | 1;
}

/* ---- without the lock ---- */

void state_tally_fold(struct state *state, uint32_t slot, uint32_t place, uint32_t uid,
		      const char *process, uint64_t hash)
{
	const off_t at = state_counters_at(slot);
	const off_t page = at / PAGE * PAGE;
	const uint32_t tag = make_tag(uid, process, hash);
	_Atomic uint64_t *counter;
	uint64_t seen;
	void *map;

	if (state->fd < 0 || slot >= STATE_SLOTS || place >= STATE_HASHES)
		return;
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, state->fd, page);
	if (map == MAP_FAILED)
		return;
	counter = (_Atomic uint64_t *)((char *)map + (at - page)) + place;
	seen = atomic_load(counter);
	while (tag_of(seen) == tag &&
	       !atomic_compare_exchange_weak(counter, &seen,
					     counter_make(tag, (uint32_t)seen + 1)))
		;
	(void)munmap(map, PAGE);
}

/* ---- with the lock ---- */

static int read_row(const struct state *state, uint32_t slot, struct state_counters *ret_counters,
		    struct state_shares *ret_shares)
{
	int r;

	assert(state->locked && slot < STATE_SLOTS);
	r = state_read_at(state->fd, ret_counters, sizeof(*ret_counters), state_counters_at(slot));
	if (r == 0)
		r = state_read_at(state->fd, ret_shares, sizeof(*ret_shares), state_shares_at(slot));
	return r;
}

static int write_shares(const struct state *state, uint32_t slot, const struct state_shares *shares)
{
	return state_write_at(state->fd, shares, sizeof(*shares), state_shares_at(slot));
}

/* No signature is this: it stands for several. */
#define MIXED UINT64_MAX

void state_tally_learn(struct state *state, uint32_t slot, uint32_t place,
		       const struct state_slot *of, uint64_t signature)
{
	const uint64_t fresh =
		counter_make(make_tag(of->uid, of->process, of->hash[place]), 0);
	struct state_counters counters;
	struct state_shares shares;

	if (read_row(state, slot, &counters, &shares) != 0)
		return;
	if (tag_of(counters.counter[place]) != tag_of(fresh)) {
		shares.share[place] = (struct state_share){ 0 };
		if (state_write_at(state->fd, &fresh, sizeof(fresh),
				   state_counters_at(slot) +
					   (off_t)(place * sizeof(fresh))) != 0)
			return;
	} else if (signature == 0 || shares.share[place].signature == signature) {
		return;
	}
	/* Two bugs that look alike without unwinding: which of them was folded is not known. */
	if (signature != 0)
		shares.share[place].signature =
			shares.share[place].signature == 0 ? signature : MIXED;
	(void)write_shares(state, slot, &shares);
}

void state_tally_add(struct state *state, uint32_t slot, uint32_t place)
{
	struct state_counters counters;
	struct state_shares shares;

	if (read_row(state, slot, &counters, &shares) != 0)
		return;
	shares.share[place].taken--;
	(void)write_shares(state, slot, &shares);
}

static struct state_claim make_claim(uint64_t hash, uint64_t signature, uint64_t count)
{
	const bool mixed = signature == MIXED;

	return (struct state_claim){ .hash = hash,
				     .signature = mixed ? 0 : signature,
				     .mixed = mixed,
				     .count = count };
}

size_t state_tally_claim(struct state *state, uint32_t slot, const struct state_slot *of,
			 uint32_t inflight, uint64_t most,
			 struct state_claim ret_claims[static STATE_HASHES])
{
	struct state_counters counters, claimed = { 0 };
	struct state_shares shares;
	size_t n = 0;

	state->inflight[inflight].claimed = false;
	if (most == 0 || read_row(state, slot, &counters, &shares) != 0)
		return 0;
	for (uint32_t i = 0; i < STATE_HASHES; i++) {
		const uint32_t tag = tag_of(counters.counter[i]);
		uint32_t count = (uint32_t)counters.counter[i] - shares.share[i].taken;

		if (of->hash[i] == 0 || tag != make_tag(of->uid, of->process, of->hash[i]))
			continue;
		if (count > most)
			count = (uint32_t)most;
		if (count == 0)
			continue;
		most -= count;
		shares.share[i].taken += count;
		claimed.counter[i] = counter_make(tag, count);
		ret_claims[n++] = make_claim(of->hash[i], shares.share[i].signature, count);
	}
	if (n == 0 ||
	    state_write_at(state->fd, &claimed, sizeof(claimed), state_claims_at(inflight)) != 0 ||
	    write_shares(state, slot, &shares) != 0)
		return 0;
	state->inflight[inflight].claimed = true;
	return n;
}

void state_tally_give_back(struct state *state, uint32_t slot, uint32_t inflight)
{
	struct state_counters counters, claimed;
	struct state_shares shares;

	if (!state->inflight[inflight].claimed || read_row(state, slot, &counters, &shares) != 0 ||
	    state_read_at(state->fd, &claimed, sizeof(claimed), state_claims_at(inflight)) != 0)
		return;
	for (uint32_t i = 0; i < STATE_HASHES; i++)
		if (tag_of(claimed.counter[i]) == tag_of(counters.counter[i]))
			shares.share[i].taken -= (uint32_t)claimed.counter[i];
	state->inflight[inflight].claimed = false;
	(void)write_shares(state, slot, &shares);
}
