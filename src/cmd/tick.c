/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What has to happen while nothing crashes: the hours settle, folds nobody fetched become
 * records, what dead handlers left is settled, files that grow are shortened.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/textfile.h"
#include "core/record.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/counters.h"
#include "io/dir.h"
#include "io/kmsg.h"
#include "io/store.h"
#include "policy/units.h"
#include "crash/hook.h"
#include "io/log.h"
#include "crash/loops.h"
#include "crash/quota.h"
#include "crash/settle.h"
#include "summary/summary.h"

/* Folded records written by one tick; what is left waits for the next. */
#define FOLDED_MAX 64
/* No handler runs longer than its deadline, so what is older is nobody's. */
#define LITTER_S 900
/* What hooks a dead worker left may take of a tick. */
#define HOOKS_MS (60 * 1000)

struct folded {
	struct ledger_ticket ticket;
	int64_t last_wall_ns;
};

/* ---- with the lock held ---- */

static bool overdue(const struct ledger *ledger, const struct state_slot *slot)
{
	return slot->account.throttle.pending > 0 &&
	       ledger->on_time_ns - slot->last_ns >= ledger->config->pending_max_ns;
}

static int take(struct ledger *ledger, uint32_t slot, int64_t last_wall_ns,
		struct folded *folded, size_t *n)
{
	int r;

	r = ledger_take_pending(ledger, slot, &folded[*n].ticket);
	if (r == -EAGAIN)
		return 0; /* too much in flight: next tick */
	if (r != 0)
		return r;
	folded[*n].last_wall_ns = last_wall_ns;
	*n += folded[*n].ticket.weight > 0;
	return 0;
}

static int take_overdue(struct ledger *ledger, struct folded *folded, size_t *n)
{
	struct state_slot slot;
	int r;

	r = take(ledger, STATE_NO_SLOT, ledger->now.wall_ns, folded, n);
	for (uint32_t i = 0; r == 0 && *n < FOLDED_MAX; i++) {
		r = state_next_slot(ledger->state, &i, &slot);
		if (r == 0 && overdue(ledger, &slot))
			r = take(ledger, i, slot.last_wall_ns, folded, n);
	}
	return r == STATE_E_NONE ? 0 : r;
}

/*
 * Each record once, by boot and sequence. A log that was never read before is taken from
 * its end: what it tells may be older than corefold on this machine.
 */
static void count_unseen(struct ledger *ledger, const struct kmsg *kmsg)
{
	static const uint8_t never[CLOCK_BOOT_ID_BYTES];
	struct state_header *header = &ledger->state->header;
	uint64_t from = header->kmsg_sequence;

	if (kmsg->next_sequence == 0)
		return;
	if (memcmp(header->kmsg_boot_id, never, sizeof(never)) == 0)
		from = UINT64_MAX;
	else if (memcmp(header->kmsg_boot_id, ledger->now.boot_id, sizeof(never)) != 0)
		from = 0;
	header->totals.unseen += kmsg_count(kmsg->sighting, kmsg->sightings, from);
	memcpy(header->kmsg_boot_id, ledger->now.boot_id, sizeof(never));
	if (from == 0 || from == UINT64_MAX || kmsg->next_sequence > from)
		header->kmsg_sequence = kmsg->next_sequence;
}

static int settle_hours(struct cmd *cmd, struct ledger *ledger)
{
	int r;

	r = state_write(ledger->state, 0, NULL, STATE_INFLIGHT, false);
	if (r == 0)
		r = ledger_snapshot(ledger, false);
	if (r != 0)
		return cmd_failed(cmd, "cannot write the state: %s", strerror(r < 0 ? -r : EIO));
	return CMD_DONE;
}

/* ---- without it ---- */

static int write_folded(struct cmd *cmd, struct ledger *ledger, const struct folded *folded)
{
	const struct ledger_ticket *ticket = &folded->ticket;
	struct record record = RECORD_NULL;
	int r;

	memcpy(record.id, ticket->id, sizeof(record.id));
	memcpy(record.process, ticket->process, sizeof(record.process));
	(void)snprintf(record.capture_reason, sizeof(record.capture_reason),
		       "folded crashes only");
	record.time_ns = folded->last_wall_ns;
	record.on_time_ns = ticket->on_time_ns;
	record.uid = ticket->uid;
	record.decision = RECORD_FOLDED;
	record.decision_reason = "no crash came to carry them";
	record.weight = ticket->weight;
	r = settle_record(ledger, ticket, &record);
	record_done(&record);
	if (r < 0)
		return cmd_failed(cmd, "cannot store the folded crashes of %s: %s",
				  ticket->process, strerror(-r));
	return CMD_DONE;
}

static int shorten_counters(struct cmd *cmd, struct ledger *ledger)
{
	struct counters_roll roll = COUNTERS_ROLL_NULL;
	int r, status;

	r = counters_roll_begin(ledger->dir_fd, COUNTERS_ROLL_BYTES, &roll);
	if (r == 0 && roll.fd >= 0) {
		status = cmd_lock_ledger(cmd, ledger);
		if (status != CMD_DONE)
			return status;
		r = counters_roll_end(ledger->dir_fd, &roll);
		ledger_unlock(ledger);
	}
	if (r < 0)
		return cmd_failed(cmd, "cannot shorten the counters: %s", strerror(-r));
	return CMD_DONE;
}

/* What a tick works with. */
struct tick {
	struct ledger ledger;
	struct kmsg kmsg;
	struct textfile textfile;
	struct summary summary; /* of the machine as it is, for the textfile */
	bool stopping;
	json_t *ended; /* loops */
	struct log_target system_log;
};
#define TICK_NULL                                                                        \
	{ .ledger = LEDGER_NULL, .kmsg = KMSG_NULL, .textfile = TEXTFILE_NULL,           \
	  .summary = SUMMARY_NULL }

/* To the system's log, where the start of the loop stands, and not into cron's mail. */
static void tell_ended(struct tick *tick)
{
	struct log_target ours = log_get();

	if (!isatty(STDERR_FILENO))
		log_set(tick->system_log);
	loops_tell_ended(&tick->ledger, tick->ended);
	log_set(ours);
	tick->ended = NULL;
}

static int tick_state(struct cmd *cmd, struct tick *tick)
{
	struct ledger *ledger = &tick->ledger;
	struct folded folded[FOLDED_MAX + 1];
	size_t n = 0;
	int status = CMD_DONE, r;

	r = take_overdue(ledger, folded, &n);
	if (r != 0)
		status = cmd_failed(cmd, "cannot take what is overdue: %s",
				    strerror(r < 0 ? -r : EIO));
	count_unseen(ledger, &tick->kmsg);
	stops_tick(&ledger->state->header.stops, tick->stopping);
	ledger->state->header.tick_ns = ledger->on_time_ns > 0 ? ledger->on_time_ns : 1;
	tick->ended = loops_take_ended(ledger);
	if (settle_hours(cmd, ledger) != CMD_DONE)
		status = CMD_FAILED;
	if (tick->textfile.fd >= 0 && summary_take_state(&tick->summary, ledger) != 0)
		textfile_abort(&tick->textfile);
	ledger_unlock(ledger);
	r = ledger_sync(ledger);
	if (r < 0)
		status = cmd_failed(cmd, "cannot sync the state: %s", strerror(-r));
	tell_ended(tick);
	for (size_t i = 0; i < n; i++)
		if (write_folded(cmd, ledger, &folded[i]) != CMD_DONE)
			status = CMD_FAILED;
	return status;
}

/* The log is opened as root, and read as nobody in particular. */
static void read_kmsg(struct cmd *cmd, int fd, struct kmsg *kmsg)
{
	int r;

	if (fd < 0)
		return; /* a container, or not root: unseen crashes stay unseen */
	r = kmsg_read(fd, kmsg);
	if (r < 0)
		(void)cmd_failed(cmd, "cannot read the kernel log: %s", strerror(-r));
}

static int write_textfile(struct cmd *cmd, struct tick *tick)
{
	FILE *out;
	int fd, r;

	if (tick->textfile.fd < 0)
		return CMD_DONE;
	fd = fcntl(tick->textfile.fd, F_DUPFD_CLOEXEC, 0);
	out = fd >= 0 ? fdopen(fd, "w") : NULL;
	r = out ? summary_prometheus(&tick->summary, tick->ledger.dir_fd, true, out) : -ENOMEM;
	if (out && fclose(out) != 0 && r == 0)
		r = -EIO;
	if (r == 0)
		return CMD_DONE;
	textfile_abort(&tick->textfile);
	return cmd_failed(cmd, "%s: %s", cmd->config.textfile, strerror(-r));
}

/* Signatures and metrics. Nothing of it is worth failing the ledger's work for. */
static int report(struct cmd *cmd, struct tick *tick)
{
	int r;

	r = known_update(tick->ledger.dir_fd, tick->ledger.store_fd);
	if (r < 0)
		(void)cmd_failed(cmd, "cannot remember signatures: %s", strerror(-r));
	return write_textfile(cmd, tick) != CMD_DONE || r < 0 ? CMD_FAILED : CMD_DONE;
}

static int tick_all(struct cmd *cmd, struct tick *tick)
{
	struct ledger *ledger = &tick->ledger;
	int status;

	status = cmd_lock_whole_ledger(cmd, ledger);
	if (status == CMD_DONE)
		status = tick_state(cmd, tick);
	if (status == CMD_DONE)
		status = shorten_counters(cmd, ledger);
	if (status != CMD_DONE) {
		textfile_abort(&tick->textfile);
		return status;
	}
	store_clean(ledger->store_fd, ledger->now.wall_ns / NS_PER_SEC, LITTER_S);
	dir_clean(ledger->dir_fd, STATE_TEMP_PREFIX, ledger->now.wall_ns / NS_PER_SEC, LITTER_S);
	(void)quota_apply(ledger->store_fd, &cmd->config, ledger->now.wall_ns);
	status = report(cmd, tick);
	hook_run(&cmd->config, ledger->dir_fd, ledger->store_fd, HOOKS_MS);
	return status;
}

/* What only root can open is opened before root is given up. */
static int tick_open(struct cmd *cmd, struct tick *tick)
{
	const struct log_target ours = log_get();
	_cleanup_close_ int kmsg_fd = -1;
	int status;

	log_open(false);
	tick->system_log = log_get();
	log_set(ours);
	(void)kmsg_open(&kmsg_fd);
	status = cmd_open_ledger(cmd, &tick->ledger);
	if (status == CMD_DONE)
		read_kmsg(cmd, kmsg_fd, &tick->kmsg);
	return status;
}

static int tick_run(struct cmd *cmd)
{
	struct tick tick = TICK_NULL;
	int status = CMD_DONE, letter, textfile;

	while ((letter = cmd_option(cmd, &status)) > 0)
		tick.stopping = true;
	if (letter < 0)
		return status;
	status = cmd_no_arguments(cmd);
	if (status == CMD_DONE)
		status = cmd_read_config(cmd);
	if (status != CMD_DONE)
		return status;
	textfile = textfile_open(cmd, &tick.textfile);
	status = tick_open(cmd, &tick);
	if (status == CMD_DONE)
		status = tick_all(cmd, &tick);
	else
		textfile_abort(&tick.textfile);
	kmsg_done(&tick.kmsg);
	summary_done(&tick.summary);
	ledger_done(&tick.ledger);
	return status == CMD_DONE ? textfile : status;
}

static const struct cmd_option options[] = {
	{ 257, "stopping", NULL, "the machine is being shut down (tells a clean end from others)" },
	{ 0 },
};

const struct command cmd_tick = {
	.name = "tick",
	.arguments = "",
	.summary = "settle the hours and what is overdue (every 5 minutes, from cron or a timer)",
	.options = options,
	.run = tick_run,
};
