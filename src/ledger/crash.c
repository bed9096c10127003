/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A crash is counted and decided. */

#include "ledger/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/counters.h"
#include "io/dir.h"
#include "io/events.h"
#include "policy/capture.h"
#include "policy/units.h"

bool ledger_is_drill(uint32_t uid, const char *process)
{
	return uid == geteuid() && strcmp(process, LEDGER_DRILL) == 0;
}

static void ticket_init(struct ledger_ticket *ticket, const struct ledger_crash *crash,
			const struct clock_reading *now)
{
	const bool dated = crash->imported || crash->wall_ns != 0;

	*ticket = (struct ledger_ticket){ .uid = crash->uid,
					  .wall_ns = dated ? crash->wall_ns : now->wall_ns,
					  .slot = STATE_NO_SLOT,
					  .inflight = STATE_INFLIGHT };
	(void)snprintf(ticket->process, sizeof(ticket->process), "%s", crash->process);
}

void ledger_set_reason(struct ledger_ticket *ticket, const char *reason)
{
	(void)snprintf(ticket->reason, sizeof(ticket->reason), "%s", reason);
}

static void set_reason_without_lock(struct ledger_ticket *ticket, int why, bool looping)
{
	if (looping)
		ledger_set_reason(ticket, "in a crash loop, by the events file");
	else if (why == LEDGER_E_BUSY)
		ledger_set_reason(ticket, "the state was locked for too long to ask");
	else if (why == LEDGER_E_NEWER)
		ledger_set_reason(ticket, "the state is of a later corefold, and left alone");
	else
		(void)snprintf(ticket->reason, sizeof(ticket->reason),
			       "the state cannot be used: %s", strerror(why < 0 ? -why : EIO));
}

/* The throttle's rule, as far as the events of this time tell: a loop must not fill the disk. */
static bool looping_by_events(const struct ledger *ledger, const struct ledger_crash *crash,
			      const struct clock_reading *now)
{
	const struct throttle_limits *limits = &ledger->config->throttle;

	return limits->enabled &&
	       events_kept(ledger->dir_fd, crash->uid, crash->process,
			   now->monotonic_ns - limits->age_out_ns) >= limits->limit;
}

/* Nobody can be asked: count it where no lock is needed, and keep it small. */
static int crash_without_lock(struct ledger *ledger, const struct ledger_crash *crash,
			      const struct clock_reading *now, int why,
			      struct ledger_ticket *ticket)
{
	bool looping = looping_by_events(ledger, crash, now);
	struct event event = { .monotonic_ns = now->monotonic_ns,
			       .wall_ns = ticket->wall_ns,
			       .uid = crash->uid,
			       .kept = !looping };
	char tail[20];

	(void)snprintf(tail, sizeof(tail), "b%08x",
		       (unsigned int)((uint64_t)now->monotonic_ns / 1000) ^
			       (unsigned int)getpid() << 12);
	ledger_make_id(event.wall_ns, tail, event.id);
	(void)snprintf(event.process, sizeof(event.process), "%s", crash->process);
	set_reason_without_lock(ticket, why, looping);
	ticket->without_lock = true;
	ticket->may_be_novel = false;
	ticket->decision = looping ? THROTTLE_FOLD : THROTTLE_KEEP;
	ticket->weight = !looping;
	(void)snprintf(ticket->id, sizeof(ticket->id), "%s", looping ? "" : event.id);
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
		return verdict->slow ? "in a slow crash loop" : "in a crash loop";
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

	if (!crash->imported && !ledger_is_drill(crash->uid, crash->process))
		hours_crash(&header->hours, clock_covered_ns(&header->clock),
			    ledger->config->interval_ns);
}

/* What else is being kept at this moment: the budgets depend on it. */
static void count_in_flight(const struct ledger *ledger, struct ledger_ticket *ticket)
{
	const struct state *state = ledger->state;
	uint32_t uids[STATE_INFLIGHT], n = 0, nobodys = 0;

	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++) {
		uint32_t slot = state->inflight[i].slot;

		if (!state->inflight[i].id[0])
			continue;
		if (slot < STATE_SLOTS)
			uids[n++] = state->place[slot].uid;
		else
			nobodys++;
	}
	for (uint32_t i = 0; i < n; i++)
		ticket->captures_of_uid += uids[i] == ticket->uid;
	ticket->captures_running =
		nobodys + capture_running(uids, n, ledger->config->max_captures);
}

/* Takes id and in-flight entry for a crash that is to be kept. */
void ledger_reserve(struct ledger *ledger, struct state_slot *slot, int64_t wall_ns,
		    struct ledger_ticket *ticket)
{
	if (ticket->decision == THROTTLE_FOLD)
		return;
	count_in_flight(ledger, ticket);
	ledger_next_id(ledger, wall_ns, ticket->id);
	if (ledger_take_entry(ledger, ticket->id, ticket->weight, ticket->slot, &ticket->inflight) == 0) {
		ticket->claims = (uint32_t)state_tally_claim(ledger->state, ticket->slot, slot,
							     ticket->inflight, ticket->weight - 1,
							     ticket->claim);
		return;
	}
	account_give_back(&slot->account, ticket->weight);
	slot->account.folded++;
	ticket->decision = THROTTLE_FOLD;
	ledger_set_reason(ticket, "too many crashes are being kept at this moment");
	ticket->id[0] = '\0';
	ticket->weight = 0;
	ticket->inflight = STATE_INFLIGHT;
}

/*
 * Is a crash of this process being kept whose hash is not yet learned? It may be the very
 * same bug, so nothing can be called new for that moment.
 */
bool ledger_hash_to_come(const struct state *state, uint32_t slot)
{
	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++)
		if (state->inflight[i].id[0] && state->inflight[i].slot == slot &&
		    !state->inflight[i].hash_learned && !state->inflight[i].orphan)
			return true;
	return false;
}

/*
 * A storm of folds must not become a storm of lines. Counted in the header, which is
 * written with every crash anyway.
 */
static void ration_lines(struct ledger *ledger, struct ledger_ticket *ticket)
{
	struct state_header *header = &ledger->state->header;
	int64_t second = ledger->on_time_ns / NS_PER_SEC;

	if (ticket->decision != THROTTLE_FOLD)
		return;
	if (header->fold_log_second != second) {
		header->fold_log_second = second;
		header->fold_log_lines = 0;
	}
	if (header->fold_log_lines >= LEDGER_FOLD_LINES_PER_SECOND) {
		header->folds_not_told++;
		return;
	}
	header->fold_log_lines++;
	ticket->told = true;
	ticket->not_told = header->folds_not_told;
	header->folds_not_told = 0;
}

/* What the policy says, in the ticket and in the account of the process. */
static void apply_policy(const struct ledger *ledger, const struct ledger_crash *crash,
			 struct state_slot *slot, struct ledger_ticket *ticket)
{
	struct throttle_limits limits = ledger->config->throttle;
	struct throttle_verdict verdict;

	limits.enabled = limits.enabled && !ledger_is_drill(crash->uid, crash->process);
	verdict = account_crash(&slot->account, &limits, ticket->on_time_ns, crash->signature);
	ticket->decision = verdict.decision;
	ticket->weight = verdict.weight;
	ticket->loop_started = verdict.loop_started;
	ledger_set_reason(ticket, reason_of(&verdict, &limits));
	ticket->slow = verdict.slow;
}

/* A fold whose bug may be a new one, while there is a place left for it. */
static void consider_novelty(const struct ledger *ledger, const struct state_slot *slot,
			     struct ledger_ticket *ticket)
{
	if (ticket->decision != THROTTLE_FOLD ||
	    ledger_hash_to_come(ledger->state, ticket->slot) ||
	    !throttle_novel_budget(&slot->account.throttle, &ledger->config->throttle,
				   ticket->on_time_ns))
		return;
	ticket->may_be_novel = true;
	memcpy(ticket->known, slot->hash, sizeof(ticket->known));
}

static int decide(struct ledger *ledger, const struct ledger_crash *crash,
		  struct ledger_ticket *ticket)
{
	struct counters_event event = { 0 };
	struct state *state = ledger->state;
	struct state_slot slot;
	int r;

	r = state_claim(state, crash->uid, crash->process, &ticket->slot, &slot);
	if (r != 0)
		return r == STATE_E_FULL ? -ENOSPC : r;
	ticket->on_time_ns = crash->imported ? imported_at_ns(ledger, ticket->wall_ns) :
					       ledger->on_time_ns;
	mark_hours(ledger, crash);
	apply_policy(ledger, crash, &slot, ticket);
	if (slot.account.crashes == 1)
		slot.first_ns = ticket->on_time_ns;
	slot.last_ns = ledger->on_time_ns;
	slot.last_wall_ns = ticket->wall_ns;
	ledger_reserve(ledger, &slot, ticket->wall_ns, ticket);
	ticket->pending = slot.account.throttle.pending;
	ticket->crashes = slot.account.crashes;
	if (!crash->imported)
		ration_lines(ledger, ticket);
	consider_novelty(ledger, &slot, ticket);
	r = state_write(state, ticket->slot, &slot, ticket->inflight, false);
	if (r != 0)
		return r;
	if (crash->decided)
		crash->decided(crash->userdata, ticket);
	event.slot = &slot;
	event.reserved_id = ticket->id[0] ? ticket->id : NULL;
	event.reserved_weight = ticket->weight;
	ledger_append(ledger, &event, false);
	return 0;
}

int ledger_crash(struct ledger *ledger, const struct ledger_crash *crash,
		 const struct clock_reading *now, struct ledger_ticket *ret_ticket)
{
	int r;

	ticket_init(ret_ticket, crash, now);
	r = ledger_lock(ledger, now);
	if (r == 0)
		r = decide(ledger, crash, ret_ticket);
	if (r == STATE_E_BAD) {
		r = state_set_aside(ledger->state);
		if (r == 0)
			r = ledger_start_anew(ledger, now);
		if (r == 0)
			r = decide(ledger, crash, ret_ticket);
	}
	ledger_unlock(ledger);
	if (r != 0)
		r = crash_without_lock(ledger, crash, now, r, ret_ticket);
	return r;
}
