/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Crashes that found the lock taken are counted by the next who gets it. */

#include "ledger/internal.h"

#include <errno.h>

#include "io/cleanup.h"
#include "io/counters.h"
#include "io/dir.h"
#include "io/events.h"

/* A folded one's weight is pending; of a kept one the entry's record will decide. */
static int enter_weight(struct ledger *ledger, const struct event *event, uint32_t index,
			struct state_slot *slot, uint32_t *ret_entry)
{
	if (!event->kept) {
		account_enter(&slot->account, 1);
		account_give_back(&slot->account, 1);
		slot->account.folded++;
		*ret_entry = STATE_INFLIGHT;
		return 0;
	}
	if (ledger_take_entry(ledger, event->id, 1, index, ret_entry) != 0)
		return -EAGAIN; /* no free entry: stays in the file */
	account_enter(&slot->account, 1);
	ledger->state->inflight[*ret_entry].orphan = true;
	state_inflight_release(ledger->state, *ret_entry);
	return 0;
}

static int merge_event(struct ledger *ledger, const struct event *event, bool sync)
{
	struct state *state = ledger->state;
	struct counters_event line = { 0 };
	struct state_slot slot;
	uint32_t index, entry;
	int r;

	r = state_claim(state, event->uid, event->process, &index, &slot);
	if (r != 0)
		return r == STATE_E_FULL ? -EAGAIN : r;
	if (!ledger_is_drill(event->uid, event->process))
		hours_crash(&state->header.hours, clock_covered_ns(&state->header.clock),
			    ledger->config->interval_ns);
	if (slot.account.crashes == 0)
		slot.first_ns = ledger->on_time_ns;
	slot.last_ns = ledger->on_time_ns;
	slot.last_wall_ns = event->wall_ns;
	r = enter_weight(ledger, event, index, &slot, &entry);
	if (r != 0)
		return r;
	line.slot = &slot;
	if (event->kept) {
		line.reserved_id = event->id;
		line.reserved_weight = 1;
	}
	r = state_write(state, index, &slot, entry, sync);
	if (r == 0)
		ledger_append(ledger, &line, sync);
	return r;
}

/*
 * Lines that are no events are consumed with the event behind them, and at the end of the
 * file here, or each holder of the lock would find them again.
 */
static int consume_rest(struct ledger *ledger, const struct events_batch *batch)
{
	struct state_header *header = &ledger->state->header;

	if (batch->left_out == 0)
		return 0;
	ledger->events_left_out += batch->left_out;
	if (header->events_bytes == batch->end_bytes && header->events_crc == batch->end_crc)
		return 0;
	header->events_bytes = batch->end_bytes;
	header->events_crc = batch->end_crc;
	return state_write(ledger->state, 0, NULL, STATE_INFLIGHT, true);
}

/*
 * Events are counted one change each, but consumed with the last: a merger that is killed
 * in between would merge some twice. So each change moves the consumed prefix along.
 */
static int consume_event(struct ledger *ledger, const struct event *event, bool sync)
{
	struct state_header *header = &ledger->state->header;
	const uint64_t consumed_bytes = header->events_bytes;
	const uint32_t consumed_crc = header->events_crc;
	int r;

	header->events_bytes = event->end_bytes;
	header->events_crc = event->end_crc;
	r = merge_event(ledger, event, sync);
	if (r != 0) {
		/* Not counted, so not consumed by whatever is written next. */
		header->events_bytes = consumed_bytes;
		header->events_crc = consumed_crc;
	}
	return r;
}

int ledger_merge_events(struct ledger *ledger)
{
	struct state_header *header = &ledger->state->header;
	_cleanup_free_ struct event *events = NULL;
	struct events_batch batch;
	int r;

	r = events_read(ledger->dir_fd, header->events_bytes, header->events_crc, &batch);
	if (r == -EPERM || r == -EACCES) { /* what is in its place must not end all counting */
		r = events_set_aside(ledger->dir_fd);
		/* Records may stand for events that nobody will merge: all are looked through. */
		return r < 0 ? r : STATE_E_BAD;
	}
	if (r < 0)
		return r;
	events = batch.event;
	for (size_t i = 0; i < batch.n; i++) {
		/* Durable before the file is emptied. */
		r = consume_event(ledger, &batch.event[i], i + 1 == batch.n);
		if (r != 0)
			return r;
	}
	r = consume_rest(ledger, &batch);
	if (r == 0 && batch.n + batch.left_out > 0)
		events_trim(ledger->dir_fd, header->events_bytes);
	return r;
}
