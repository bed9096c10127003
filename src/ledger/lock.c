/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Opening the ledger, and taking its lock: everything is brought up to date first. */

#include "ledger/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger/adopt.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/events.h"
#include "io/store.h"
#include "ledger/rebuild.h"

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

static void note_result(struct ledger *ledger, const struct rebuild_result *result)
{
	const char *windows = "throttle windows kept";
	char lines[64] = "";

	if (result->windows == 0)
		windows = "throttle windows lost";
	else if (result->windows_lost > 0)
		windows = "some throttle windows lost";
	if (result->lines_left_out > 0)
		(void)snprintf(lines, sizeof(lines), ", lines left out of the counters: %u",
			       result->lines_left_out);
	(void)snprintf(ledger->rebuilt_said, sizeof(ledger->rebuilt_said), "%s%s", windows, lines);
}

/*
 * A new file, be it the first, or that the last one was set aside or lost: counters and
 * records tell what there was. The file is complete only with the last change of that: what
 * somebody was killed over is not worth more than none.
 */
static int complete(struct ledger *ledger, const struct clock_reading *now)
{
	struct rebuild_result result;
	int r;

	if (ledger->state->header.complete)
		return 0;
	if (ledger->state->header.change > 0)
		return STATE_E_BAD;
	r = rebuild_state(ledger->state, ledger->dir_fd, ledger->store_fd, now, &result);
	if (r == 0) {
		ledger->rebuilt = result.found;
		note_result(ledger, &result);
	}
	return r;
}

/* Events that were not merged, and keeps whose handler is gone. */
static int settle_the_past(struct ledger *ledger)
{
	int r;

	r = ledger_merge_events(ledger);
	if (r == 0)
		return ledger_reclaim(ledger);
	if (r != -EAGAIN)
		return r;
	/* No free entry: those of dead handlers first. Events that find none then wait. */
	r = ledger_reclaim(ledger);
	if (r == 0)
		r = ledger_merge_events(ledger);
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
int ledger_start_anew(struct ledger *ledger, const struct clock_reading *now)
{
	int r;

	r = state_lock(ledger->state, ledger->dir_fd, LEDGER_WAIT_MS);
	if (r != 0)
		return r == STATE_E_BAD ? -EIO : r;
	r = bring_up_to_date(ledger, now);
	ledger->rebuilt = true; /* even if there was nothing to put back */
	return r;
}

const char *ledger_windows_said(const struct ledger *ledger)
{
	return ledger->rebuilt_said[0] ? ledger->rebuilt_said : "throttle windows lost";
}

/*
 * Everybody who waits holds a victim. A lock that one crash has waited for in vain is not
 * likely to be had by the next.
 */
static int take_lock(struct ledger *ledger)
{
	int r;

	r = state_lock(ledger->state, ledger->dir_fd, 0);
	if (r != STATE_E_BUSY)
		return r;
	return state_lock(ledger->state, ledger->dir_fd,
			  events_waiting(ledger->dir_fd) ? LEDGER_WAIT_AGAIN_MS :
							   LEDGER_WAIT_MS);
}

int ledger_lock(struct ledger *ledger, const struct clock_reading *now)
{
	struct state *state = ledger->state;
	int r;

	r = take_lock(ledger);
	if (r == 0) {
		r = bring_up_to_date(ledger, now);
		if (r == STATE_E_BAD && state_set_aside(state) < 0)
			r = -EIO;
	}
	if (r == STATE_E_BAD)
		r = ledger_start_anew(ledger, now);
	if (r != 0)
		state_unlock(state);
	return r == STATE_E_BAD ? -EIO : r;
}

void ledger_unlock(struct ledger *ledger)
{
	state_unlock(ledger->state);
}

int ledger_sync(struct ledger *ledger)
{
	int r;

	if (ledger->state->fd >= 0 && fdatasync(ledger->state->fd) < 0)
		return -errno;
	r = counters_sync(ledger->dir_fd);
	if (r < 0)
		ledger->counters_failed = strerror(-r);
	return 0;
}
