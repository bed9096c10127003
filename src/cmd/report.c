/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A crash that never was a core: a watchdog's bite, an interpreter's exception. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "io/clock.h"
#include "io/log.h"
#include "policy/units.h"
#include "crash/handle.h"
#include "crash/hook.h"
#include "crash/logs.h"
#include "crash/loops.h"
#include "crash/reported.h"
#include "crash/settle.h"

#define LETTER_REASON 257

static const struct cmd_option options[] = {
	{ 'u', "uid", "UID", "the user the process runs as (default: yours)" },
	{ 's', "signal", "NUMBER", "the signal it died of, if any, 0 to 64" },
	{ 'p', "pid", "PID", "its pid" },
	{ LETTER_REASON, "reason", "TEXT", "what happened, for the record" },
	{ 0 },
};

struct report {
	uint64_t uid;
	uint64_t signal;
	uint64_t pid;
	const char *reason;
	const char *raw; /* the name as it was given ... */
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

static void fill(struct crash *crash, const struct report *report, int64_t wall_ns)
{
	const struct ledger_ticket *ticket = &crash->ticket;
	struct record *record = &crash->record;
	char reason[1024];

	crash->reported = true;
	crash->request.pid = crash->request.tid = (int64_t)report->pid;
	crash->request.uid = (uint32_t)report->uid;
	crash->request.signal = (int)report->signal;
	(void)snprintf(record->id, sizeof(record->id), "%s", ticket->id);
	(void)snprintf(record->process, sizeof(record->process), "%s", report->process);
	(void)snprintf(record->capture_reason, sizeof(record->capture_reason), "reported");
	(void)name_escape(report->reason, strlen(report->reason), reason, sizeof(reason));
	record->time_ns = wall_ns;
	record->on_time_ns = ticket->on_time_ns;
	record->pid = record->tid = crash->request.pid;
	record->uid = crash->request.uid;
	record->signal = crash->request.signal;
	record->decision = RECORD_KEEP;
	record->decision_reason = ticket->reason;
	record->weight = ticket->weight;
	record_set(record, "reported", json_string(reason));
}

static int store(struct cmd *cmd, const struct crash *crash)
{
	const struct ledger *ledger = crash->ledger;
	int r;

	r = settle_record(crash->ledger, &crash->ticket, &crash->record);
	if (r < 0)
		return cmd_failed(cmd, "counted, but its record cannot be stored: %s",
				  strerror(-r));
	logs_kept(crash);
	/* The reporting program does not wait for hooks: the next keep or tick runs them. */
	r = hook_queue(crash->config, ledger->dir_fd, crash->record.id);
	if (r < 0)
		(void)cmd_failed(cmd, "hooks will not run for %s: %s", crash->record.id,
				 strerror(-r));
	return CMD_DONE;
}

static int count(struct cmd *cmd, struct ledger *ledger, const struct report *report)
{
	const struct ledger_crash question = { .uid = (uint32_t)report->uid,
					       .process = report->process };
	struct crash crash = CRASH_NULL;
	struct clock_reading now;
	int r;

	crash.config = &cmd->config;
	crash.ledger = ledger;
	r = clock_read(&now);
	if (r == 0)
		r = ledger_crash(ledger, &question, &now, &crash.ticket);
	if (r < 0)
		return cmd_failed(cmd, "could not be counted: %s", strerror(-r));
	fill(&crash, report, now.wall_ns);
	if (crash.ticket.loop_started)
		loops_begin(&crash);
	if (crash.ticket.decision == THROTTLE_FOLD)
		logs_folded(&crash);
	else
		r = store(cmd, &crash);
	record_done(&crash.record);
	return r;
}

/* ---- without access to the state ---- */

/* Does the state belong to somebody whom we cannot become? */
static bool is_stranger(const struct cmd *cmd)
{
	struct stat st;

	return geteuid() != 0 && stat(cmd->config.directory, &st) == 0 && st.st_uid != geteuid();
}

/* The kernel's answer: it says who died, and of that the handler believes each word. */
static int wait_for(struct cmd *cmd, pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && WCOREDUMP(status))
		return CMD_DONE;
	return cmd_failed(cmd, "the kernel took no dump of the process that brings the report: is "
			       "its hard RLIMIT_CORE 1, or are too many dumps under way?");
}

static int report_by_kernel(struct cmd *cmd, const struct report *report)
{
	char signal_number[24], pid[24], process[1024], reason[1024];
	char *const words[REPORTED_WORDS + 1] = {
		[REPORTED_PROCESS] = process, [REPORTED_MARK] = (char *)REPORTED_WORD,
		[REPORTED_SIGNAL] = signal_number, [REPORTED_PID] = pid,
		[REPORTED_REASON] = reason,
	};
	pid_t child;

	if (report->uid != getuid())
		return cmd_failed(cmd, "only root may report for another user (uid %llu)",
				  (unsigned long long)report->uid);
	if (!cmd_pattern_is_ours())
		return cmd_failed(cmd, "core_pattern is not corefold's, so the report reaches nobody: "
				       "run 'corefold enable', or report as root");
	(void)snprintf(signal_number, sizeof(signal_number), "%llu",
		       (unsigned long long)report->signal);
	(void)snprintf(pid, sizeof(pid), "%llu", (unsigned long long)report->pid);
	(void)snprintf(process, sizeof(process), "%s", report->raw);
	(void)snprintf(reason, sizeof(reason), "%s", report->reason);
	child = fork();
	if (child < 0)
		return cmd_failed(cmd, "cannot start a process: %s", strerror(errno));
	if (child == 0) {
		(void)execv("/proc/self/exe", words);
		_exit(127);
	}
	return wait_for(cmd, child);
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
	report.raw = cmd->argv[optind];
	name_clean(report.raw, strlen(report.raw), report.process);
	status = cmd_read_config(cmd);
	if (status == CMD_DONE && is_stranger(cmd))
		return report_by_kernel(cmd, &report);
	log_open(false); /* a crash's line is the system's; what fails is told to the caller */
	if (status == CMD_DONE)
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
		       "Any program may call it. Who has no access to the state reports by way of the\n"
		       "kernel, and for its own user only.",
	.options = options,
	.run = report_run,
};
