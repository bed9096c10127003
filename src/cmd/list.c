/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <getopt.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/choose.h"
#include "cmd/table.h"
#include "core/record.h"
#include "policy/signature.h"
#include "policy/units.h"

enum {
	LETTER_NEW = 257,
	LETTER_NO_LEGEND,
};

static const struct cmd_option options[] = {
	CHOICE_OPTIONS,
	{ LETTER_NEW, "new", NULL, "only the first crash of each signature" },
	{ 'n', NULL, "N", "the N newest only, 1 or more" },
	{ '1', NULL, NULL, "the newest only" },
	{ 'r', "reverse", NULL, "newest first" },
	{ 'F', "field", "KEY", "print the value of this key of each record, nothing else" },
	{ 'q', "quiet", NULL, "do not say that there is nothing" },
	{ LETTER_NO_LEGEND, "no-legend", NULL, "no line of headings" },
	CHOICE_NO_PAGER,
	{ 0 },
};

struct listing {
	struct choice choice;
	const char *field;
	bool new;
	bool reverse;
	bool quiet;
	bool no_legend;
	uint64_t newest; /* 0: all */
	json_t *chosen; /* array, oldest first */
	json_t *seen; /* kinds of crash, for --new */
};

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
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

static bool take_record(void *userdata, const char *id, const json_t *record)
{
	struct listing *listing = userdata;

	(void)id;
	if (listing->new && !(first_of_its_kind(listing->seen, record) &&
			      choice_matches(&listing->choice, record)))
		return true;
	(void)json_array_append(listing->chosen, (json_t *)record);
	if (listing->newest > 0 && json_array_size(listing->chosen) > listing->newest)
		(void)json_array_remove(listing->chosen, 0);
	return true;
}

/* What is the first of its kind is found among all, chosen or not. */
static int choose(struct cmd *cmd, struct listing *listing, int store_fd)
{
	const struct choice all = CHOICE_ALL;

	return choice_each(cmd, listing->new ? &all : &listing->choice, store_fd, take_record,
			   listing);
}

static const json_t *chosen_at(const struct listing *listing, size_t i)
{
	size_t n = json_array_size(listing->chosen);

	return json_array_get(listing->chosen, listing->reverse ? n - 1 - i : i);
}

/* ---- telling ---- */

enum {
	COLUMN_CAPTURE = 7,
};

/* A terminal of 80 places shows when, which, weight, what and who. */
static const struct table_column columns[] = {
	{ .name = "TIME", .min = 19, .drop = 1 },
	{ .name = "ID", .min = 22 },
	{ .name = "PID", .right = true, .min = 7, .drop = 4 },
	{ .name = "UID", .right = true, .min = 5, .drop = 7 },
	{ .name = "SIG", .right = true, .drop = 2 },
	{ .name = "WEIGHT", .right = true },
	{ .name = "WHY", .min = 6, .drop = 6 },
	{ .name = "CAPTURE", .min = 8, .drop = 3 },
	{ .name = "SIZE", .right = true, .min = 6, .drop = 8 },
	{ .name = "PROCESS", .min = 16, .elastic = true },
	{ .name = "SIGNATURE", .elastic = true, .drop = 5 },
};

static int add_row(struct table *table, const json_t *json)
{
	char time[CMD_TIME_SIZE], size[UNITS_SIZE], pid[24], uid[16], signal[16], weight[24];
	char capture[24], signature[SIGNATURE_SHOWN + 2];
	struct record record = RECORD_NULL;
	bool whole;

	if (record_from_json(json, &record) < 0)
		return 0;
	whole = record.complete || (record.capture == CAPTURE_NONE &&
				    !json_object_get(json, "incomplete_reason"));
	(void)snprintf(pid, sizeof(pid), "%" PRId64, record.pid);
	(void)snprintf(uid, sizeof(uid), "%u", record.uid);
	(void)snprintf(signal, sizeof(signal), "%d", record.signal);
	(void)snprintf(weight, sizeof(weight), "%" PRIu64, record.weight);
	(void)snprintf(capture, sizeof(capture), "%s%s", capture_kind_name(record.capture),
		       whole ? "" : "!");
	(void)snprintf(signature, sizeof(signature), "%s%s", text_of(json, "signature"),
		       cmd_is_sure(json) ? "" : " ?");
	if (table_add(table,
		      (const char *const[]){
			      cmd_format_time(record.time_ns / NS_PER_SEC, time), record.id, pid,
			      uid, signal, weight, record_decision_name(record.decision), capture,
			      record.capture == CAPTURE_NONE ?
				      "-" :
				      units_format_bytes(record.stored_bytes, size),
			      record.process, signature }) < 0)
		return -ENOMEM;
	if (record.capture == CAPTURE_NONE || !whole)
		table_mark(table, COLUMN_CAPTURE, whole ? TABLE_GREY : TABLE_ALARM);
	return 0;
}

static int print_rows(struct cmd *cmd, const struct listing *listing)
{
	size_t n = json_array_size(listing->chosen);
	struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	struct screen screen = screen_of(stdout);
	int r = table ? 0 : -ENOMEM;

	if (n == 0 && choice_is_all(&listing->choice) && !listing->quiet)
		(void)fprintf(stderr, "no crash has been recorded yet\n");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_row(table, chosen_at(listing, i));
	if (r == 0 && n > 0)
		table_print(table, &screen, !listing->no_legend, stdout);
	table_free(table);
	return r < 0 ? cmd_failed(cmd, "out of memory") : cmd_flush(cmd);
}

static int print_array(struct cmd *cmd, const struct listing *listing)
{
	json_t *array = json_array();
	int status;

	for (size_t i = 0; i < json_array_size(listing->chosen); i++)
		(void)json_array_append_new(array, cmd_brief(chosen_at(listing, i)));
	status = cmd_print_json(cmd, array);
	json_decref(array);
	return status;
}

/* The names that coredumpctl users type for the same thing. */
static const char *key_of(const char *field, char out[static 64])
{
	if (strncmp(field, "COREDUMP_", 9) != 0)
		return field;
	(void)snprintf(out, 64, "%s", field + 9);
	for (char *p = out; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (strcmp(out, "exe") == 0)
		return "executable";
	return strcmp(out, "timestamp") == 0 ? "time" : out;
}

static int print_field(struct cmd *cmd, const struct listing *listing)
{
	char name[64];
	const char *key = key_of(listing->field, name);
	bool known = json_array_size(listing->chosen) == 0;

	for (size_t i = 0; i < json_array_size(listing->chosen); i++) {
		const json_t *value = json_object_get(chosen_at(listing, i), key);

		known |= value != NULL;
		if (json_is_string(value))
			(void)puts(json_string_value(value));
		else if (value && !json_is_null(value)) {
			(void)json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
			(void)putchar('\n');
		}
	}
	if (!known)
		return cmd_failed(cmd, "no such record has a field '%s'", listing->field);
	return cmd_flush(cmd);
}

static int tell(struct cmd *cmd, const struct listing *listing)
{
	int status = listing->field ? print_field(cmd, listing) :
		     cmd->json	    ? print_array(cmd, listing) :
				      print_rows(cmd, listing);

	if (status != CMD_DONE || json_array_size(listing->chosen) > 0 ||
	    choice_is_all(&listing->choice))
		return status;
	return listing->quiet ? CMD_FAILED : cmd_failed(cmd, "no crash matches");
}

/* ---- the command ---- */

static int take_option(const struct cmd *cmd, struct listing *listing, int letter)
{
	int r = choice_option(cmd, &listing->choice, letter);

	if (r >= 0)
		return r;
	switch (letter) {
	case LETTER_NEW:
		listing->new = true;
		break;
	case LETTER_NO_LEGEND:
		listing->no_legend = true;
		break;
	case 'q':
		listing->quiet = true;
		break;
	case 'r':
		listing->reverse = true;
		break;
	case 'F':
		listing->field = optarg;
		break;
	case 'n':
		r = units_parse_number(optarg, UINT32_MAX, &listing->newest);
		return r < 0 || listing->newest == 0 ?
			       cmd_bad_value(cmd, letter, r < 0 ? r : -ERANGE) :
			       CMD_DONE;
	default:
		listing->newest = 1;
		break;
	}
	return CMD_DONE;
}

static int list_run(struct cmd *cmd)
{
	struct listing listing = { .choice = CHOICE_ALL };
	struct ledger ledger = LEDGER_NULL;
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = take_option(cmd, &listing, letter);
		if (status != CMD_DONE)
			return status;
	}
	if (letter < 0)
		return status;
	status = choice_take_words(cmd, &listing.choice);
	if (status != CMD_DONE)
		return status;
	status = cmd_open_ledger(cmd, &ledger);
	listing.chosen = json_array();
	listing.seen = json_object();
	if (status == CMD_DONE)
		status = choice_resolve(cmd, &listing.choice, ledger.store_fd);
	if (status == CMD_DONE)
		status = choose(cmd, &listing, ledger.store_fd);
	if (status == CMD_DONE)
		status = tell(cmd, &listing);
	json_decref(listing.chosen);
	json_decref(listing.seen);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_list = {
	.name = "list",
	.arguments = "[MATCH...]",
	.summary = "list the crashes that were kept, oldest first",
	.description =
		"MATCH is an id or its beginning, a pid, a process or the path of an executable.\n"
		"A '!' behind CAPTURE marks a core that is not complete, or that could not be\n"
		"taken; info says why. A '?' behind SIGNATURE: few frames could be resolved, it\n"
		"may be shared by several bugs.",
	.options = options,
	.has_json = true,
	.has_times = true,
	.run = list_run,
};
