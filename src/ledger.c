/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "ledger.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "adopt.h"
#include "io/cleanup.h"
#include "io/counters.h"
#include "io/dir.h"
#include "io/events.h"
#include "io/store.h"
#include "policy/units.h"
#include "rebuild.h"

/* ---- opening ---- */

int ledger_open(struct ledger *ledger, const struct config *config, int dir_fd)
{
	ledger->config = config;
	ledger->dir_fd = dir_fd;
	ledger->state = calloc(1, sizeof(*ledger->state));
	if (!ledger->state)
		return -ENOMEM;
	state_init(ledger->state);
	return store_open(dir_fd, &ledger->store_fd);
}

void ledger_done(struct ledger *ledger)
{
	if (ledger->state)
		state_done(ledger->state);
	free(ledger->state);
	ledger->state = NULL;
	close_fd(&ledger->store_fd);
	close_fd(&ledger->dir_fd);
}

/* ---- ids ---- */

/* Sorts by the time of the crash, then by the order of the decisions. */
static void make_id(int64_t wall_ns, const char *tail, char ret_id[static STATE_ID_SIZE])
{
	time_t seconds = wall_ns / NS_PER_SEC;
	struct tm tm = { 0 };
	char text[24];

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm);
	(void)snprintf(ret_id, STATE_ID_SIZE, "%.16s-%.20s", text, tail);
}

static void next_id(struct ledger *ledger, int64_t wall_ns, char ret_id[static STATE_ID_SIZE])
{
	char tail[20];

	(void)snprintf(tail, sizeof(tail), "%06" PRIx64, ++ledger->state->header.sequence);
	make_id(wall_ns, tail, ret_id);
}

/* ---- counters ---- */

/*
 * A line that cannot be appended loses no count: the next one is cumulative, and the
 * throttle file has it already.
 */
static void append_counters(struct ledger *ledger, const struct counters_event *event, bool sync)
{
	int r;

	r = counters_append(ledger->dir_fd, &ledger->state->header,
			    &ledger->state->header.totals, ledger->now.wall_ns, event, sync);
	if (r < 0)
		ledger->counters_failed = strerror(-r);
}

/* Beyond COUNTERS_HARD_BYTES crashes add no lines: here is what they would have said. */
static int append_slots(struct ledger *ledger)
{
	struct state *state = ledger->state;

	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		struct counters_event event = { .always = true };
		struct state_slot slot;
		int r;

		if (!state->place[i].used)
			continue;
		event.slot = &slot;
		r = state_read_slot(state, i, &slot);
		if (r == 0)
			r = counters_append(ledger->dir_fd, &state->header,
					    &state->header.totals, ledger->now.wall_ns, &event,
					    false);
		if (r != 0)
			return r;
	}
	return 0;
}

int ledger_snapshot(struct ledger *ledger, bool sync)
{
	struct counters_event event = { .always = true };

	if (counters_full(ledger->dir_fd)) {
		int r = append_slots(ledger);

		if (r != 0)
			return r;
	}
	return counters_append(ledger->dir_fd, &ledger->state->header,
			       &ledger->state->header.totals, ledger->now.wall_ns, &event,
			       sync);
}

/* ---- settling what is in flight ---- */

enum outcome {
	OUTCOME_KEPT,
	OUTCOME_GIVEN_BACK,
};

static void settle_evicted(struct totals *totals, uint64_t weight, enum outcome outcome)
{
	totals->in_flight -= weight < totals->in_flight ? weight : totals->in_flight;
	if (outcome == OUTCOME_KEPT) {
		totals->kept_weight += weight;
		totals->kept++;
	} else {
		totals->evicted += weight;
	}
}

static void learn(struct state_slot *slot, const struct ledger_ticket *ticket);

/* ticket: whose signature is learned on the way, or NULL. */
static int settle_slot(struct ledger *ledger, uint32_t slot_index, uint64_t weight,
		       enum outcome outcome, const struct ledger_ticket *ticket,
		       struct state_slot *ret_slot)
{
	int r;

	r = state_read_slot(ledger->state, slot_index, ret_slot);
	if (r != 0)
		return r;
	if (outcome == OUTCOME_KEPT)
		account_commit(&ret_slot->account, weight);
	else
		account_give_back(&ret_slot->account, weight);
	if (ticket)
		learn(ret_slot, ticket);
	return 0;
}

/* Ends one in-flight entry: counts, frees the entry, says so in the counters. */
static int settle_entry(struct ledger *ledger, uint32_t index, enum outcome outcome,
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
		r = settle_slot(ledger, entry.slot, entry.weight, outcome, ticket, &slot);
	if (r != 0)
		return r;
	if (entry.slot != STATE_NO_SLOT)
		event.slot = &slot;
	state->inflight[index] = (struct state_inflight){ 0 };
	state->header.inflight_used--;
	/* What its own handler settles is durable; what is reclaimed can be reclaimed again. */
	r = state_write(state, entry.slot, event.slot, index, ticket != NULL);
	if (r != 0)
		return r;
	append_counters(ledger, &event, ticket != NULL);
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
static int reclaim(struct ledger *ledger)
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
		r = settle_entry(ledger, i, stored ? OUTCOME_KEPT : OUTCOME_GIVEN_BACK, NULL);
		if (r != 0)
			return r;
	}
	return 0;
}

/* A free entry with our claim in it; written with the next change. */
static int take_entry(struct ledger *ledger, const char *id, uint64_t weight, uint32_t slot,
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

/* ---- events that found the lock taken ---- */

static int merge_event(struct ledger *ledger, const struct event *event, bool sync)
{
	struct state *state = ledger->state;
	struct counters_event line = { 0 };
	struct state_slot slot;
	uint32_t index, entry = STATE_INFLIGHT;
	int r;

	r = state_claim(state, event->uid, event->process, &index, &slot);
	if (r != 0)
		return r == STATE_E_FULL ? -EAGAIN : r;
	hours_crash(&state->header.hours, clock_covered_ns(&state->header.clock),
		    ledger->config->interval_ns);
	if (slot.account.crashes == 0)
		slot.first_ns = ledger->on_time_ns;
	slot.last_ns = ledger->on_time_ns;
	slot.last_wall_ns = event->wall_ns;
	if (!event->kept) {
		account_enter(&slot.account, 1);
		account_give_back(&slot.account, 1);
		slot.account.folded++;
	} else if (take_entry(ledger, event->id, 1, index, &entry) == 0) {
		account_enter(&slot.account, 1);
		state->inflight[entry].orphan = true;
		state_inflight_release(state, entry);
	} else {
		return -EAGAIN; /* no free entry: stays in the file */
	}
	line.slot = &slot;
	if (event->kept) {
		line.reserved_id = event->id;
		line.reserved_weight = 1;
	}
	r = state_write(state, index, &slot, entry, sync);
	if (r == 0)
		append_counters(ledger, &line, sync);
	return r;
}

/*
 * Events are counted one change each, but consumed with the last: a merger that is killed
 * in between would merge some twice. So each change moves the consumed prefix along.
 */
static int merge_events(struct ledger *ledger)
{
	struct state_header *header = &ledger->state->header;
	_cleanup_free_ struct event *events = NULL;
	struct events_batch batch;
	int r;

	r = events_read(ledger->dir_fd, header->events_bytes, header->events_crc, &batch);
	if (r == -EPERM || r == -EACCES) /* what is in its place must not end all counting */
		return events_set_aside(ledger->dir_fd);
	if (r < 0)
		return r;
	events = batch.event;
	for (size_t i = 0; i < batch.n; i++) {
		const uint64_t consumed_bytes = header->events_bytes;
		const uint32_t consumed_crc = header->events_crc;

		header->events_bytes = batch.event[i].end_bytes;
		header->events_crc = batch.event[i].end_crc;
		/* Durable before the file is emptied. */
		r = merge_event(ledger, &batch.event[i], i + 1 == batch.n);
		if (r != 0) {
			/* Not counted, so not consumed by whatever is written next. */
			header->events_bytes = consumed_bytes;
			header->events_crc = consumed_crc;
			return r;
		}
	}
	if (batch.n > 0)
		events_trim(ledger->dir_fd, header->events_bytes);
	return 0;
}

/* ---- the lock ---- */

static void advance(struct ledger *ledger, const struct clock_reading *now)
{
	struct state_header *header = &ledger->state->header;

	ledger->now = *now;
	if (header->machine == 0)
		header->machine = name_hash(now, sizeof(*now)) | 1;
	if (header->clock.started &&
	    memcmp(header->clock.boot_id, now->boot_id, CLOCK_BOOT_ID_BYTES) != 0)
		stops_boot(&header->stops);
	ledger->on_time_ns = clock_advance(&header->clock, now, ledger->covered);
	hours_settle(&header->hours, clock_covered_ns(&header->clock),
		     ledger->config->interval_ns);
}

/*
 * A new file, be it the first, or that the last one was set aside or lost: counters and
 * records tell what there was. The file is complete only with the last change of that: what
 * somebody was killed over is not worth more than none.
 */
static int complete(struct ledger *ledger, const struct clock_reading *now)
{
	bool found;
	int r;

	if (ledger->state->header.complete)
		return 0;
	if (ledger->state->header.change > 0)
		return STATE_E_BAD;
	r = rebuild_state(ledger->state, ledger->dir_fd, ledger->store_fd, now, &found);
	if (r == 0)
		ledger->rebuilt = found;
	return r;
}

/* Events that were not merged, and keeps whose handler is gone. */
static int settle_the_past(struct ledger *ledger)
{
	int r;

	r = merge_events(ledger);
	if (r == 0)
		return reclaim(ledger);
	if (r != -EAGAIN)
		return r;
	/* No free entry: those of dead handlers first. Events that find none then wait. */
	r = reclaim(ledger);
	if (r == 0)
		r = merge_events(ledger);
	return r == -EAGAIN ? 0 : r;
}

static bool checked_this_boot(const struct ledger *ledger, const struct clock_reading *now)
{
	return memcmp(ledger->state->header.checked_boot_id, now->boot_id,
		      CLOCK_BOOT_ID_BYTES) == 0;
}

/*
 * Before this boot the power may have failed. Pages of the file that were written back
 * before and after different changes show when all of it is looked through; a record whose
 * reservation did not reach the disk is adopted.
 */
static int adopt_after_boot(struct ledger *ledger, const struct clock_reading *now)
{
	struct state_header *header = &ledger->state->header;
	int r;

	if (checked_this_boot(ledger, now))
		return 0;
	r = adopt_records(ledger->state, ledger->dir_fd, ledger->store_fd, now);
	if (r == 0) /* written with the next change; until then it is done again */
		memcpy(header->checked_boot_id, now->boot_id, CLOCK_BOOT_ID_BYTES);
	return r;
}

static int bring_up_to_date(struct ledger *ledger, const struct clock_reading *now)
{
	int r;

	if (!state_intact(ledger->state))
		return STATE_E_BAD;
	r = complete(ledger, now);
	if (r == 0 && !checked_this_boot(ledger, now))
		r = state_verify(ledger->state);
	if (r != 0)
		return r;
	advance(ledger, now);
	r = settle_the_past(ledger);
	return r == 0 ? adopt_after_boot(ledger, now) : r;
}

/* The old file has been set aside: a new one. */
static int start_anew(struct ledger *ledger, const struct clock_reading *now)
{
	int r;

	r = state_lock(ledger->state, ledger->dir_fd, LEDGER_WAIT_MS);
	if (r != 0)
		return r == STATE_E_BAD ? -EIO : r;
	r = bring_up_to_date(ledger, now);
	ledger->rebuilt = true; /* even if there was nothing to put back */
	return r;
}

int ledger_lock(struct ledger *ledger, const struct clock_reading *now)
{
	struct state *state = ledger->state;
	int r;

	r = state_lock(state, ledger->dir_fd, LEDGER_WAIT_MS);
	if (r == 0) {
		r = bring_up_to_date(ledger, now);
		if (r == STATE_E_BAD && state_set_aside(state) < 0)
			r = -EIO;
	}
	if (r == STATE_E_BAD)
		r = start_anew(ledger, now);
	if (r != 0)
		state_unlock(state);
	return r == STATE_E_BAD ? -EIO : r;
}

void ledger_unlock(struct ledger *ledger)
{
	state_unlock(ledger->state);
}

/* ---- a crash ---- */

static void ticket_init(struct ledger_ticket *ticket, const struct ledger_crash *crash)
{
	*ticket = (struct ledger_ticket){ .uid = crash->uid,
					  .slot = STATE_NO_SLOT,
					  .inflight = STATE_INFLIGHT };
	(void)snprintf(ticket->process, sizeof(ticket->process), "%s", crash->process);
}

static void set_reason(struct ledger_ticket *ticket, const char *reason)
{
	(void)snprintf(ticket->reason, sizeof(ticket->reason), "%s", reason);
}

/* Nobody can be asked: count it where no lock is needed, and keep it small. */
static int crash_without_lock(struct ledger *ledger, const struct ledger_crash *crash,
			      const struct clock_reading *now, int why,
			      struct ledger_ticket *ticket)
{
	struct event event = { .monotonic_ns = now->monotonic_ns,
			       .wall_ns = crash->wall_ns ?: now->wall_ns,
			       .uid = crash->uid,
			       .kept = true };
	char tail[20];

	(void)snprintf(tail, sizeof(tail), "b%08x",
		       (unsigned int)((uint64_t)now->monotonic_ns / 1000) ^
			       (unsigned int)getpid() << 12);
	make_id(event.wall_ns, tail, ticket->id);
	ticket->decision = THROTTLE_KEEP;
	if (why == LEDGER_E_BUSY)
		set_reason(ticket, "the state was locked for too long to ask");
	else
		(void)snprintf(ticket->reason, sizeof(ticket->reason),
			       "the state cannot be used: %s", strerror(why < 0 ? -why : EIO));
	ticket->weight = 1;
	ticket->without_lock = true;
	(void)snprintf(event.id, sizeof(event.id), "%s", ticket->id);
	(void)snprintf(event.process, sizeof(event.process), "%s", crash->process);
	return events_append(ledger->dir_fd, &event);
}

static const char *reason_of(const struct throttle_verdict *verdict,
			     const struct throttle_limits *limits)
{
	if (!limits->enabled)
		return "throttling is off";
	switch (verdict->decision) {
	case THROTTLE_KEEP:
		return verdict->weight > 1 ? "stands for the crashes folded before it" :
					     "within the crash loop limit";
	case THROTTLE_NOVEL:
		return "a crash loop, but this signature is new";
	case THROTTLE_FOLD:
		return "in a crash loop";
	}
	return "";
}

/*
 * Two clocks cannot be read at one moment, so each pair of readings gives an offset of its
 * own, some nanoseconds off. Crashes exactly an age-out apart must be just that, whenever
 * they are imported: one offset for all, in whole seconds so that the next import has the
 * same, and rounded down so that none lies in the future.
 */
static int64_t imported_at_ns(struct ledger *ledger, int64_t wall_ns)
{
	int64_t offset_ns, part_ns;

	if (!ledger->imports_anchored) {
		offset_ns = clock_on_time_of_wall(&ledger->state->header.clock, &ledger->now, 0);
		part_ns = offset_ns % NS_PER_SEC;
		ledger->import_offset_ns = offset_ns - part_ns - (part_ns < 0 ? NS_PER_SEC : 0);
		ledger->imports_anchored = true;
	}
	return wall_ns + ledger->import_offset_ns;
}

static void mark_hours(struct ledger *ledger, const struct ledger_crash *crash)
{
	struct state_header *header = &ledger->state->header;

	if (!crash->imported)
		hours_crash(&header->hours, clock_covered_ns(&header->clock),
			    ledger->config->interval_ns);
}

/* What else is being kept at this moment: the budgets depend on it. */
static void count_in_flight(const struct state *state, struct ledger_ticket *ticket)
{
	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++) {
		uint32_t slot = state->inflight[i].slot;

		if (!state->inflight[i].id[0])
			continue;
		ticket->captures_running++;
		if (slot < STATE_SLOTS && state->place[slot].uid == ticket->uid)
			ticket->captures_of_uid++;
	}
}

/* Takes id and in-flight entry for a crash that is to be kept. */
static void reserve(struct ledger *ledger, struct state_slot *slot, int64_t wall_ns,
		    struct ledger_ticket *ticket)
{
	if (ticket->decision == THROTTLE_FOLD)
		return;
	count_in_flight(ledger->state, ticket);
	next_id(ledger, wall_ns, ticket->id);
	if (take_entry(ledger, ticket->id, ticket->weight, ticket->slot, &ticket->inflight) == 0)
		return;
	account_give_back(&slot->account, ticket->weight);
	slot->account.folded++;
	ticket->decision = THROTTLE_FOLD;
	set_reason(ticket, "too many crashes are being kept at this moment");
	ticket->id[0] = '\0';
	ticket->weight = 0;
	ticket->inflight = STATE_INFLIGHT;
}

/*
 * Is a crash of this process being kept whose hash is not yet learned? It may be the very
 * same bug, so nothing can be called new for that moment.
 */
static bool hash_to_come(const struct state *state, uint32_t slot)
{
	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++)
		if (state->inflight[i].id[0] && state->inflight[i].slot == slot &&
		    !state->inflight[i].hash_learned && !state->inflight[i].orphan)
			return true;
	return false;
}

static int decide(struct ledger *ledger, const struct ledger_crash *crash,
		  struct ledger_ticket *ticket)
{
	struct state *state = ledger->state;
	int64_t wall_ns = crash->wall_ns ?: ledger->now.wall_ns;
	struct throttle_verdict verdict;
	struct state_slot slot;
	int r;

	r = state_claim(state, crash->uid, crash->process, &ticket->slot, &slot);
	if (r != 0)
		return r == STATE_E_FULL ? -ENOSPC : r;
	ticket->on_time_ns = crash->imported ? imported_at_ns(ledger, wall_ns) :
					       ledger->on_time_ns;
	mark_hours(ledger, crash);
	verdict = account_crash(&slot.account, &ledger->config->throttle, ticket->on_time_ns,
				crash->signature);
	ticket->decision = verdict.decision;
	ticket->weight = verdict.weight;
	ticket->loop_started = verdict.loop_started;
	set_reason(ticket, reason_of(&verdict, &ledger->config->throttle));
	if (slot.account.crashes == 1)
		slot.first_ns = ticket->on_time_ns;
	slot.last_ns = ledger->on_time_ns;
	slot.last_wall_ns = wall_ns;
	reserve(ledger, &slot, wall_ns, ticket);
	if (verdict.decision == THROTTLE_FOLD && !hash_to_come(state, ticket->slot) &&
	    throttle_novel_budget(&slot.account.throttle, &ledger->config->throttle,
				  ticket->on_time_ns)) {
		ticket->may_be_novel = true;
		memcpy(ticket->known, slot.hash, sizeof(ticket->known));
	}
	r = state_write(state, ticket->slot, &slot, ticket->inflight, false);
	if (r != 0)
		return r;
	append_counters(ledger,
			&(struct counters_event){
				.slot = &slot,
				.reserved_id = ticket->id[0] ? ticket->id : NULL,
				.reserved_weight = ticket->weight },
			false);
	return 0;
}

int ledger_crash(struct ledger *ledger, const struct ledger_crash *crash,
		 const struct clock_reading *now, struct ledger_ticket *ret_ticket)
{
	int r;

	ticket_init(ret_ticket, crash);
	r = ledger_lock(ledger, now);
	if (r == 0)
		r = decide(ledger, crash, ret_ticket);
	if (r == STATE_E_BAD) {
		r = state_set_aside(ledger->state);
		if (r == 0)
			r = start_anew(ledger, now);
		if (r == 0)
			r = decide(ledger, crash, ret_ticket);
	}
	ledger_unlock(ledger);
	if (r != 0)
		r = crash_without_lock(ledger, crash, now, r, ret_ticket);
	return r;
}

/* ---- novelty ---- */

bool ledger_knows_hash(const struct ledger_ticket *ticket, uint64_t hash)
{
	for (size_t i = 0; i < STATE_HASHES; i++)
		if (ticket->known[i] == hash)
			return true;
	return false;
}

static bool slot_knows(const struct state_slot *slot, uint64_t hash)
{
	for (size_t i = 0; i < STATE_HASHES; i++)
		if (slot->hash[i] == hash)
			return true;
	return false;
}

static void learn_hash(struct state_slot *slot, uint64_t hash)
{
	if (hash == 0 || slot_knows(slot, hash))
		return;
	slot->hash[slot->hash_next % STATE_HASHES] = hash;
	slot->hash_next = (slot->hash_next + 1) % STATE_HASHES;
}

static void forget_hash(struct state_slot *slot, uint64_t hash)
{
	for (size_t i = 0; i < STATE_HASHES; i++)
		if (slot->hash[i] == hash)
			slot->hash[i] = 0;
}

static void learn(struct state_slot *slot, const struct ledger_ticket *ticket)
{
	throttle_learn(&slot->account.throttle, ticket->signature);
	learn_hash(slot, ticket->hash);
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
		learn_hash(&slot, hash);
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
	int r;

	r = state_find(state, ticket->uid, ticket->process, &ticket->slot, &slot);
	if (r != 0)
		return r == STATE_E_NONE ? LEDGER_E_FOLD : r;
	if (slot_knows(&slot, ticket->hash) || hash_to_come(state, ticket->slot) ||
	    !may_probe(ledger, &slot) || !account_probe(&slot.account))
		return LEDGER_E_FOLD;
	learn_hash(&slot, ticket->hash); /* one probe at a time for the same crash */
	ticket->decision = THROTTLE_NOVEL;
	ticket->weight = 1;
	reserve(ledger, &slot, slot.last_wall_ns, ticket);
	if (ticket->decision != THROTTLE_NOVEL)
		return LEDGER_E_FOLD;
	state->inflight[ticket->inflight].hash_learned = true;
	r = state_write(state, ticket->slot, &slot, ticket->inflight, false);
	if (r == 0)
		append_counters(ledger,
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
	state->inflight[ticket->inflight] = (struct state_inflight){ 0 };
	state->header.inflight_used--;
	r = state_write(state, ticket->slot, slot, ticket->inflight, false);
	state_inflight_release(state, ticket->inflight);
	if (r == 0)
		append_counters(ledger, &event, false);
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
	learn(&slot, ticket);
	set_reason(ticket, "a crash loop, but this signature is new");
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

/* ---- ending it ---- */

/*
 * The entry is found by its id, not its index: the file may have been set aside and
 * rebuilt since. No entry: whoever rebuilt it found the record, and has counted it as kept.
 */
static int settle_ticket(struct ledger *ledger, const struct ledger_ticket *ticket,
			 enum outcome outcome)
{
	struct state *state = ledger->state;
	int r;

	for (uint32_t i = 0; i < STATE_INFLIGHT; i++) {
		if (strcmp(state->inflight[i].id, ticket->id) != 0)
			continue;
		r = settle_entry(ledger, i, outcome, ticket);
		state_inflight_release(state, i);
		return r;
	}
	return 0;
}

static int end_ticket(struct ledger *ledger, const struct ledger_ticket *ticket,
		      const struct clock_reading *now, enum outcome outcome)
{
	int r;

	r = ledger_lock(ledger, now);
	if (r != 0)
		return r; /* the next holder finds the record, or that there is none */
	r = settle_ticket(ledger, ticket, outcome);
	ledger_unlock(ledger);
	return r;
}

int ledger_commit(struct ledger *ledger, const struct ledger_ticket *ticket,
		  const struct clock_reading *now)
{
	return end_ticket(ledger, ticket, now, OUTCOME_KEPT);
}

int ledger_give_back(struct ledger *ledger, const struct ledger_ticket *ticket,
		     const struct clock_reading *now)
{
	return end_ticket(ledger, ticket, now, OUTCOME_GIVEN_BACK);
}

/* ---- folds nobody will fetch ---- */

static int take_evicted(struct ledger *ledger, struct ledger_ticket *ticket)
{
	struct totals *totals = &ledger->state->header.totals;
	int r;

	ticket->weight = totals->evicted;
	if (ticket->weight == 0)
		return 0;
	next_id(ledger, ledger->now.wall_ns, ticket->id);
	r = take_entry(ledger, ticket->id, ticket->weight, STATE_NO_SLOT, &ticket->inflight);
	if (r != 0)
		return -EAGAIN;
	(void)snprintf(ticket->process, sizeof(ticket->process), LEDGER_EVICTED);
	totals->in_flight += totals->evicted;
	totals->evicted = 0;
	r = state_write(ledger->state, 0, NULL, ticket->inflight, true);
	if (r != 0)
		return r;
	append_counters(ledger,
			&(struct counters_event){ .reserved_id = ticket->id,
						  .reserved_weight = ticket->weight },
			true);
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
	next_id(ledger, ledger->now.wall_ns, ticket->id);
	r = take_entry(ledger, ticket->id, ticket->weight, ticket->slot, &ticket->inflight);
	if (r != 0)
		return -EAGAIN;
	(void)account_take_pending(&slot.account);
	r = state_write(ledger->state, ticket->slot, &slot, ticket->inflight, true);
	if (r != 0)
		return r;
	append_counters(ledger,
			&(struct counters_event){ .slot = &slot,
						  .reserved_id = ticket->id,
						  .reserved_weight = ticket->weight },
			true);
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
