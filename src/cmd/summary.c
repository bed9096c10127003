/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "io/cleanup.h"
#include "io/store.h"
#include "policy/units.h"
#include "summary/summary.h"

enum {
	LETTER_SINCE = 257,
	LETTER_UNTIL,
	LETTER_FORMAT,
	LETTER_OUTPUT,
};

static const struct cmd_option options[] = {
	{ LETTER_SINCE, "since", "TIME", "leave out crashes before TIME" },
	{ LETTER_UNTIL, "until", "TIME", "leave out crashes after TIME" },
	{ LETTER_FORMAT, "format", "FORMAT", "text (default) or json" },
	{ LETTER_OUTPUT, "output", "FILE", "write to FILE instead of standard output" },
	{ 0 },
};

struct request_options {
	struct summary_window window;
	const char *output;
};

static int take_option(struct cmd *cmd, struct request_options *o, int letter)
{
	int64_t now_s = time(NULL);

	switch (letter) {
	case LETTER_SINCE:
		return cmd_parse_time(optarg, now_s, &o->window.since_ns);
	case LETTER_UNTIL:
		return cmd_parse_time(optarg, now_s, &o->window.until_ns);
	case LETTER_OUTPUT:
		o->output = optarg;
		return 0;
	default:
		if (strcmp(optarg, "json") == 0)
			cmd->json = true;
		else if (strcmp(optarg, "text") != 0)
			return -EINVAL;
		return 0;
	}
}

/* The state is read under the lock, the records after it: they do not change. */
static int gather(struct cmd *cmd, struct ledger *ledger, struct summary *summary)
{
	int status, r;

	status = cmd_lock_ledger(cmd, ledger);
	if (status != CMD_DONE)
		return status;
	r = summary_take_state(summary, ledger);
	ledger_unlock(ledger);
	if (r == 0)
		r = summary_take_records(summary, ledger->store_fd);
	if (r != 0)
		return cmd_failed(cmd, "cannot read the %s: %s", r > 0 ? "throttle file" : "records",
				  strerror(r < 0 ? -r : EIO));
	return CMD_DONE;
}

static int write_out(struct cmd *cmd, const struct summary *summary, const struct output *output)
{
	_cleanup_fclose_ FILE *out = fdopen(output->fd, "w");

	if (!out)
		return cmd_failed(cmd, "out of memory");
	if (cmd->json) {
		json_t *json = summary_json(summary);

		(void)json_dumpf(json, out, JSON_INDENT(1));
		(void)fputc('\n', out);
		json_decref(json);
	} else {
		summary_text(summary, out);
	}
	if (fflush(out) != 0 || ferror(out))
		return cmd_failed(cmd, "cannot write the summary: %s", strerror(errno));
	return CMD_DONE;
}

static int summary_run(struct cmd *cmd)
{
	struct request_options o = { .window = { .since_ns = INT64_MIN,
						 .until_ns = INT64_MAX } };
	struct ledger ledger = LEDGER_NULL;
	struct summary summary = SUMMARY_NULL;
	struct output out;
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0)
		if (take_option(cmd, &o, letter) < 0)
			return cmd_usage_error(cmd, "'%s' is no %s", optarg,
					       letter == LETTER_FORMAT ? "format (text, json)" :
									 "time (see corefold(8), TIMES)");
	if (letter < 0)
		return status;
	if (optind < cmd->argc)
		return cmd_usage_error(cmd, "takes no arguments: '%s'", cmd->argv[optind]);
	summary.window = o.window;
	status = output_open(cmd, o.output, &out);
	if (status == CMD_DONE)
		status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = gather(cmd, &ledger, &summary);
	if (status == CMD_DONE)
		status = write_out(cmd, &summary, &out);
	summary_done(&summary);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_summary = {
	.name = "summary",
	.arguments = "",
	.summary = "report what crashed, how often, and the crash-free hours",
	.options = options,
	.has_json = true,
	.run = summary_run,
};
