/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "core/record.h"
#include "io/store.h"
#include "policy/units.h"

static const char *const keys[] = {
	"id",	    "time",	 "pid",	     "tid",	       "uid",	   "process",
	"executable", "signal",	 "weight",   "decision",       "capture",  "capture_reason",
	"source",   "complete",	 "held_ms",  "total_ms",       "core_bytes", "stored_bytes",
	"signature",
};

/* What list shows of a record; info shows it all. */
static json_t *brief_of(const json_t *record)
{
	json_t *brief = json_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		json_t *value = json_object_get(record, keys[i]);

		(void)json_object_set_new(brief, keys[i], value ? json_incref(value) : json_null());
	}
	return brief;
}

static void print_row(const json_t *json)
{
	char time[CMD_TIME_SIZE], size[UNITS_SIZE];
	struct record record = RECORD_NULL;
	const char *capture;

	if (record_from_json(json, &record) < 0)
		return;
	capture = capture_kind_name(record.capture);
	(void)printf("%-19s  %-22s %7" PRId64 " %6u %3d %6" PRIu64 "  %-6s %-8s%s %6s  %s\n",
		     cmd_format_time(record.time_ns / NS_PER_SEC, time), record.id, record.pid,
		     record.uid, record.signal, record.weight,
		     record_decision_name(record.decision), capture,
		     record.complete || record.capture == CAPTURE_NONE ? " " : "!",
		     record.capture == CAPTURE_NONE ?
			     "-" :
			     units_format_bytes(record.stored_bytes, size),
		     record.process);
}

static void print_header(void)
{
	(void)printf("%-19s  %-22s %7s %6s %3s %6s  %-6s %-9s %6s  %s\n", "TIME", "ID", "PID",
		     "UID", "SIG", "WEIGHT", "WHY", "CAPTURE", "SIZE", "PROCESS");
}

/* Reads each record once; text goes out row by row, JSON as one array. */
static int list_records(struct cmd *cmd, int store_fd, char **ids, size_t n)
{
	json_t *array = json_array();
	int status = CMD_DONE;

	if (!cmd->json && n > 0)
		print_header();
	for (size_t i = 0; i < n; i++) {
		json_t *record = cmd_read_record(store_fd, ids[i]);

		if (!record) {
			status = cmd_failed(cmd, "record %s cannot be read: left out", ids[i]);
			continue;
		}
		if (cmd->json)
			(void)json_array_append_new(array, brief_of(record));
		else
			print_row(record);
		json_decref(record);
	}
	if (!cmd->json && n == 0)
		(void)fprintf(stderr, "no crash has been recorded yet\n");
	if (cmd->json && cmd_print_json(cmd, array) != CMD_DONE)
		status = CMD_FAILED;
	json_decref(array);
	return cmd_flush(cmd) == CMD_DONE ? status : CMD_FAILED;
}

static int list_run(struct cmd *cmd)
{
	struct ledger ledger = LEDGER_NULL;
	int status = CMD_DONE, r;
	char **ids;
	size_t n;

	if (cmd_option(cmd, &status) != 0)
		return status;
	if (optind < cmd->argc)
		return cmd_usage_error(cmd, "takes no arguments: '%s'", cmd->argv[optind]);
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE) {
		r = store_list(ledger.store_fd, &ids, &n);
		if (r < 0) {
			status = cmd_failed(cmd, "cannot list the records: %s", strerror(-r));
		} else {
			status = list_records(cmd, ledger.store_fd, ids, n);
			store_free_ids(ids, n);
		}
	}
	ledger_done(&ledger);
	return status;
}

const struct command cmd_list = {
	.name = "list",
	.arguments = "",
	.summary = "list the crashes that were kept, oldest first",
	.description = "A '!' behind CAPTURE marks a core that is not complete; info says why.",
	.has_json = true,
	.run = list_run,
};
