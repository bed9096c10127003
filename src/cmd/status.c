/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "cmd/table.h"
#include "policy/units.h"

/* What is told of one process. */
struct row {
	struct state_slot slot;
	bool throttled;
	int64_t end_ns; /* on-time; -1: never looped */
	int64_t until_s; /* wall clock */
};

static void fill_row(const struct ledger *ledger, struct row *row)
{
	const struct throttle_window *window = &row->slot.account.throttle.window;
	const struct throttle_limits *limits = &ledger->config->throttle;

	row->throttled = limits->enabled &&
			 throttle_window_over(window, limits, ledger->on_time_ns);
	if (!throttle_window_end(window, limits, &row->end_ns))
		row->end_ns = -1;
	row->until_s = (ledger->now.wall_ns + (row->end_ns - ledger->on_time_ns)) / NS_PER_SEC;
}

/* ISO 8601, UTC. */
static json_t *iso_time(int64_t seconds)
{
	time_t t = seconds;
	struct tm tm;
	char text[40];

	if (!gmtime_r(&t, &tm))
		return json_null();
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *row_json(const struct row *row)
{
	const struct account *a = &row->slot.account;
	json_t *json = json_pack(
		"{s:I, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "uid",
		(json_int_t)row->slot.uid, "process", row->slot.process, "throttled",
		row->throttled, "crashes", (json_int_t)a->crashes, "folded",
		(json_int_t)a->folded, "kept", (json_int_t)a->kept, "kept_weight",
		(json_int_t)a->kept_weight, "pending", (json_int_t)a->throttle.pending,
		"in_flight", (json_int_t)a->in_flight);

	(void)json_object_set_new(json, "throttled_until",
				  row->throttled ? iso_time(row->until_s) : json_null());
	(void)json_object_set_new(json, "throttling_end_ms",
				  row->end_ns >= 0 ? json_integer(row->end_ns / 1000000) :
						     json_null());
	return json;
}

static json_t *hours_json(const struct state_header *header)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "operational_hours",
			 (json_int_t)header->hours.operational, "crashfree_hours",
			 (json_int_t)header->hours.crashfree, "crashfree_slots",
			 (json_int_t)header->hours.crashfree_slots, "uncovered_seconds",
			 (json_int_t)(header->clock.uncovered_ns / NS_PER_SEC));
}

static json_t *totals_json(const struct ledger *ledger)
{
	const struct totals *t = &ledger->state->header.totals;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "crashes",
			 (json_int_t)t->crashes, "folded", (json_int_t)t->folded, "kept",
			 (json_int_t)t->kept, "kept_weight", (json_int_t)t->kept_weight,
			 "pending", (json_int_t)t->pending, "in_flight",
			 (json_int_t)t->in_flight, "evicted", (json_int_t)t->evicted, "unseen",
			 (json_int_t)t->unseen, "on_time_ms",
			 (json_int_t)(ledger->on_time_ns / 1000000));
}

static const struct table_column columns[] = {
	{ .name = "UID", .right = true, .min = 6 },
	{ .name = "CRASHES", .right = true, .min = 7 },
	{ .name = "FOLDED", .right = true, .min = 7, .drop = 4 },
	{ .name = "KEPT", .right = true, .min = 7, .drop = 3 },
	{ .name = "PENDING", .right = true, .min = 7, .drop = 2 },
	{ .name = "IN-FLIGHT", .right = true, .drop = 5 },
	{ .name = "THROTTLED UNTIL", .min = 19, .drop = 1 },
	{ .name = "PROCESS", .elastic = true },
};

#define NUMBER_SIZE 24

static const char *number(uint64_t value, char out[static NUMBER_SIZE])
{
	(void)snprintf(out, NUMBER_SIZE, "%" PRIu64, value);
	return out;
}

static int add_row(struct table *table, const struct row *row)
{
	const struct account *a = &row->slot.account;
	char until[CMD_TIME_SIZE] = "-", text[6][NUMBER_SIZE];

	if (row->throttled)
		(void)cmd_format_time(row->until_s, until);
	return table_add(table, (const char *const[]){
					number(row->slot.uid, text[0]), number(a->crashes, text[1]),
					number(a->folded, text[2]), number(a->kept_weight, text[3]),
					number(a->throttle.pending, text[4]),
					number(a->in_flight, text[5]), until, row->slot.process });
}

static int add_totals(struct table *table, const struct totals *t)
{
	char text[5][NUMBER_SIZE];

	return table_add(table, (const char *const[]){
					"total", number(t->crashes, text[0]),
					number(t->folded, text[1]), number(t->kept_weight, text[2]),
					number(t->pending, text[3]), number(t->in_flight, text[4]),
					"", "all processes" });
}

static void print_totals(const struct ledger *ledger, unsigned int width)
{
	const struct totals *t = &ledger->state->header.totals;
	const struct hours *hours = &ledger->state->header.hours;
	char uncovered[UNITS_SIZE], line[256];

	if (t->evicted) {
		(void)snprintf(line, sizeof(line), "%" PRIu64 " folded crash%s of evicted "
			       "processes wait%s for the next tick",
			       t->evicted, t->evicted == 1 ? "" : "es", t->evicted == 1 ? "s" : "");
		screen_wrap(line, 0, 0, width, stdout);
	}
	if (t->unseen) {
		(void)snprintf(line, sizeof(line), "at least %" PRIu64 " more crash%s never reached "
			       "corefold (kernel log)",
			       t->unseen, t->unseen == 1 ? "" : "es");
		screen_wrap(line, 0, 0, width, stdout);
	}
	(void)snprintf(line, sizeof(line), "%" PRIu64 " operational hour%s, %" PRIu64
		       " crash-free (rolling), %" PRIu64 " crash-free (slots), %s uncovered",
		       hours->operational, hours->operational == 1 ? "" : "s", hours->crashfree,
		       hours->crashfree_slots,
		       units_format_span(ledger->state->header.clock.uncovered_ns, uncovered));
	screen_wrap(line, 0, 0, width, stdout);
}

static int each_row(struct cmd *cmd, struct ledger *ledger, json_t *processes,
		    struct table *table)
{
	for (uint32_t i = 0;; i++) {
		struct row row;
		int r;

		r = state_next_slot(ledger->state, &i, &row.slot);
		if (r == STATE_E_NONE)
			return CMD_DONE;
		if (r != 0)
			return cmd_failed(cmd, "cannot read the throttle file: %s",
					  strerror(r < 0 ? -r : EIO));
		fill_row(ledger, &row);
		r = table ? add_row(table, &row) :
			    json_array_append_new(processes, row_json(&row));
		if (r < 0)
			return cmd_failed(cmd, "out of memory");
	}
}

static int show_json(struct cmd *cmd, struct ledger *ledger)
{
	json_t *json = totals_json(ledger), *processes = json_array();
	int status = each_row(cmd, ledger, processes, NULL);

	(void)json_object_set_new(json, "processes", processes);
	(void)json_object_set_new(json, "hours", hours_json(&ledger->state->header));
	if (status == CMD_DONE)
		status = cmd_print_json(cmd, json);
	json_decref(json);
	return status;
}

static int show_text(struct cmd *cmd, struct ledger *ledger)
{
	struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	struct screen screen = screen_of(stdout);
	int status = CMD_DONE;

	if (!table)
		return cmd_failed(cmd, "out of memory");
	status = each_row(cmd, ledger, NULL, table);
	if (status == CMD_DONE && add_totals(table, &ledger->state->header.totals) < 0)
		status = cmd_failed(cmd, "out of memory");
	if (status == CMD_DONE) {
		table_print(table, &screen, true, stdout);
		print_totals(ledger, screen.width);
	}
	table_free(table);
	return status;
}

static int status_run(struct cmd *cmd)
{
	struct ledger ledger = LEDGER_NULL;
	int status = CMD_DONE;

	if (cmd_option(cmd, &status) != 0)
		return status;
	status = cmd_no_arguments(cmd);
	if (status == CMD_DONE)
		status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = cmd_lock_whole_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = cmd->json ? show_json(cmd, &ledger) : show_text(cmd, &ledger);
	ledger_done(&ledger);
	return status == CMD_DONE ? cmd_flush(cmd) : status;
}

const struct command cmd_status = {
	.name = "status",
	.arguments = "",
	.summary = "show which processes are throttled, the ledger and the hours",
	.description = "The ledger: crashes = kept + pending + in flight + evicted, where kept is\n"
		       "the weight of the records.",
	.has_json = true,
	.has_times = true,
	.run = status_run,
};
