/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A crash that never was a core: a watchdog's bite, an interpreter's exception. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "io/clock.h"
#include "policy/units.h"
#include "hook.h"
#include "settle.h"

#define LETTER_REASON 257

static const struct cmd_option options[] = {
	{ 'u', "uid", "UID", "the user the process runs as (default: yours)" },
	{ 's', "signal", "NUMBER", "the signal it died of, if any" },
	{ 'p', "pid", "PID", "its pid" },
	{ LETTER_REASON, "reason", "TEXT", "what happened, for the record" },
	{ 0 },
};

struct report {
	uint64_t uid;
	uint64_t signal;
	uint64_t pid;
	const char *reason;
	char process[NAME_SIZE];
};

static int take_option(struct report *report, int letter)
{
	switch (letter) {
	case 'u':
		return units_parse_number(optarg, UINT32_MAX - 1, &report->uid);
	case 's':
		return units_parse_number(optarg, 64, &report->signal);
	case 'p':
		return units_parse_number(optarg, INT32_MAX, &report->pid);
	default:
		report->reason = optarg;
		return 0;
	}
}

static int store(struct cmd *cmd, struct ledger *ledger, const struct report *report,
		 const struct ledger_ticket *ticket)
{
	struct record record = RECORD_NULL;
	char reason[1024];
	int r;

	(void)snprintf(record.id, sizeof(record.id), "%s", ticket->id);
	(void)snprintf(record.process, sizeof(record.process), "%s", report->process);
	(void)snprintf(record.capture_reason, sizeof(record.capture_reason), "reported");
	(void)name_escape(report->reason, strlen(report->reason), reason, sizeof(reason));
	record.time_ns = ledger->now.wall_ns;
	record.on_time_ns = ticket->on_time_ns;
	record.pid = record.tid = (int64_t)report->pid;
	record.uid = (uint32_t)report->uid;
	record.signal = (int)report->signal;
	record.decision = RECORD_KEEP;
	record.decision_reason = ticket->reason;
	record.weight = ticket->weight;
	record_set(&record, "reported", json_string(reason));
	r = settle_record(ledger, ticket, &record);
	record_done(&record);
	if (r < 0)
		return cmd_failed(cmd, "counted, but its record cannot be stored: %s",
				  strerror(-r));
	/* The reporting program does not wait for hooks: the next keep or tick runs them. */
	r = hook_queue(ledger->config, ledger->dir_fd, ticket->id);
	if (r < 0)
		(void)cmd_failed(cmd, "hooks will not run for %s: %s", ticket->id, strerror(-r));
	return CMD_DONE;
}

static int count(struct cmd *cmd, struct ledger *ledger, const struct report *report)
{
	const struct ledger_crash crash = { .uid = (uint32_t)report->uid,
					    .process = report->process };
	struct ledger_ticket ticket;
	struct clock_reading now;
	int r;

	r = clock_read(&now);
	if (r == 0)
		r = ledger_crash(ledger, &crash, &now, &ticket);
	if (r < 0)
		return cmd_failed(cmd, "could not be counted: %s", strerror(-r));
	if (ticket.decision == THROTTLE_FOLD)
		return CMD_DONE;
	return store(cmd, ledger, report, &ticket);
}

static int report_run(struct cmd *cmd)
{
	struct report report = { .uid = getuid(), .reason = "reported by a program" };
	struct ledger ledger = LEDGER_NULL;
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		int r = take_option(&report, letter);

		if (r < 0)
			return cmd_bad_value(cmd, letter, r);
	}
	if (letter < 0)
		return status;
	if (optind + 1 != cmd->argc || !cmd->argv[optind][0])
		return cmd_usage_error(cmd, "takes the name of one process");
	name_clean(cmd->argv[optind], strlen(cmd->argv[optind]), report.process);
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = count(cmd, &ledger, &report);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_report = {
	.name = "report",
	.arguments = "PROCESS",
	.summary = "count a crash that never was a core",
	.description = "For watchdogs and interpreters. It is throttled and weighed as any crash.\n"
		       "Needs root or the owner of the state directory.",
	.options = options,
	.run = report_run,
};
