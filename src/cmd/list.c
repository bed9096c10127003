/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "core/record.h"
#include "io/store.h"
#include "policy/units.h"

enum {
	LETTER_NEW = 257,
	LETTER_SIGNATURE,
};

static const struct cmd_option options[] = {
	{ 'S', "since", "TIME", "leave out crashes before TIME" },
	{ 'U', "until", "TIME", "leave out crashes after TIME" },
	{ 'p', "process", "NAME", "only crashes of this process" },
	{ LETTER_SIGNATURE, "signature", "TEXT", "only signatures that contain TEXT" },
	{ LETTER_NEW, "new", NULL, "only the first crash of each signature" },
	{ 'n', NULL, "N", "the N newest only" },
	{ '1', NULL, NULL, "the newest only" },
	{ 'r', "reverse", NULL, "newest first" },
	{ 0 },
};

struct filter {
	int64_t since_ns;
	int64_t until_ns;
	const char *process;
	const char *signature;
	bool new;
	bool reverse;
	uint64_t newest; /* 0: all */
};

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

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

static void print_row(const json_t *json)
{
	char time[CMD_TIME_SIZE], size[UNITS_SIZE];
	struct record record = RECORD_NULL;

	if (record_from_json(json, &record) < 0)
		return;
	(void)printf("%-19s  %-22s %7" PRId64 " %6u %3d %6" PRIu64 "  %-6s %-8s%s %6s  %-16s %s\n",
		     cmd_format_time(record.time_ns / NS_PER_SEC, time), record.id, record.pid,
		     record.uid, record.signal, record.weight,
		     record_decision_name(record.decision), capture_kind_name(record.capture),
		     record.complete || record.capture == CAPTURE_NONE ? " " : "!",
		     record.capture == CAPTURE_NONE ?
			     "-" :
			     units_format_bytes(record.stored_bytes, size),
		     record.process, text_of(json, "signature"));
}

static void print_header(void)
{
	(void)printf("%-19s  %-22s %7s %6s %3s %6s  %-6s %-9s %6s  %-16s %s\n", "TIME", "ID", "PID",
		     "UID", "SIG", "WEIGHT", "WHY", "CAPTURE", "SIZE", "PROCESS", "SIGNATURE");
}

/* ---- choosing ---- */

/* Marks a signature as seen; was it for the first time? */
static bool first_of_its_kind(json_t *seen, const json_t *record)
{
	char kind[512];

	(void)snprintf(kind, sizeof(kind), "%s|%" JSON_INTEGER_FORMAT "|%s",
		       text_of(record, "process"),
		       json_integer_value(json_object_get(record, "signal")),
		       text_of(record, "signature"));
	if (json_object_get(seen, kind))
		return false;
	(void)json_object_set_new(seen, kind, json_true());
	return true;
}

static bool matches(const struct filter *filter, const json_t *record, bool first)
{
	int64_t time_ns = json_integer_value(json_object_get(record, "time")) * NS_PER_SEC;

	return time_ns >= filter->since_ns && time_ns <= filter->until_ns &&
	       (!filter->new || first) &&
	       (!filter->process || strcmp(text_of(record, "process"), filter->process) == 0) &&
	       (!filter->signature ||
		strstr(text_of(record, "signature"), filter->signature) != NULL);
}

/* The records that are wanted, oldest first. New references in an array. */
static json_t *choose(struct cmd *cmd, const struct filter *filter, int store_fd, char **ids,
		      size_t n, int *status)
{
	json_t *chosen = json_array(), *seen = json_object();

	for (size_t i = 0; i < n; i++) {
		json_t *record = cmd_read_record(store_fd, ids[i]);

		if (!record) {
			*status = cmd_failed(cmd, "record %s cannot be read: left out", ids[i]);
			continue;
		}
		if (matches(filter, record, first_of_its_kind(seen, record)))
			(void)json_array_append(chosen, record);
		json_decref(record);
	}
	while (filter->newest > 0 && json_array_size(chosen) > filter->newest)
		(void)json_array_remove(chosen, 0);
	json_decref(seen);
	return chosen;
}

/* ---- telling ---- */

static int print_rows(struct cmd *cmd, const struct filter *filter, const json_t *chosen)
{
	size_t n = json_array_size(chosen);

	if (n > 0)
		print_header();
	else
		(void)fprintf(stderr, "no such crash has been recorded\n");
	for (size_t i = 0; i < n; i++)
		print_row(json_array_get(chosen, filter->reverse ? n - 1 - i : i));
	return cmd_flush(cmd);
}

static int print_array(struct cmd *cmd, const struct filter *filter, const json_t *chosen)
{
	size_t n = json_array_size(chosen);
	json_t *array = json_array();
	int status;

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(
			array, brief_of(json_array_get(chosen, filter->reverse ? n - 1 - i : i)));
	status = cmd_print_json(cmd, array);
	json_decref(array);
	return status;
}

static int list_records(struct cmd *cmd, const struct filter *filter, int store_fd)
{
	json_t *chosen;
	int status = CMD_DONE, r;
	char **ids;
	size_t n;

	r = store_list(store_fd, &ids, &n);
	if (r < 0)
		return cmd_failed(cmd, "cannot list the records: %s", strerror(-r));
	chosen = choose(cmd, filter, store_fd, ids, n, &status);
	store_free_ids(ids, n);
	r = cmd->json ? print_array(cmd, filter, chosen) : print_rows(cmd, filter, chosen);
	json_decref(chosen);
	return r == CMD_DONE ? status : r;
}

/* ---- the command ---- */

static int take_option(struct filter *filter, int letter)
{
	int64_t now_s = time(NULL);
	int r;

	switch (letter) {
	case 'S':
		return cmd_parse_time(optarg, now_s, &filter->since_ns);
	case 'U':
		return cmd_parse_time(optarg, now_s, &filter->until_ns);
	case 'p':
		filter->process = optarg;
		return 0;
	case LETTER_SIGNATURE:
		filter->signature = optarg;
		return 0;
	case LETTER_NEW:
		filter->new = true;
		return 0;
	case 'r':
		filter->reverse = true;
		return 0;
	case 'n':
		r = units_parse_number(optarg, UINT32_MAX, &filter->newest);
		return r == 0 && filter->newest == 0 ? -ERANGE : r;
	default:
		filter->newest = 1;
		return 0;
	}
}

static int list_run(struct cmd *cmd)
{
	struct filter filter = { .since_ns = INT64_MIN, .until_ns = INT64_MAX };
	struct ledger ledger = LEDGER_NULL;
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0)
		if (take_option(&filter, letter) < 0)
			return cmd_usage_error(cmd, "-%c: bad value '%s'", letter, optarg);
	if (letter < 0)
		return status;
	if (optind < cmd->argc)
		return cmd_usage_error(cmd, "takes no arguments: '%s'", cmd->argv[optind]);
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = list_records(cmd, &filter, ledger.store_fd);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_list = {
	.name = "list",
	.arguments = "",
	.summary = "list the crashes that were kept, oldest first",
	.description = "A '!' behind CAPTURE marks a core that is not complete; info says why.",
	.options = options,
	.has_json = true,
	.run = list_run,
};
