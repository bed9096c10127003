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
#include "cmd/times.h"
#include "io/cleanup.h"
#include "io/store.h"
#include "policy/units.h"
#include "summary/summary.h"

enum {
	LETTER_FORMAT = 257,
};

enum format {
	FORMAT_TEXT,
	FORMAT_JSON,
	FORMAT_PROMETHEUS,
	FORMAT_HTML,
};

static const struct cmd_option options[] = {
	{ 'S', "since", "TIME", "leave out what happened before TIME" },
	{ 'U', "until", "TIME", "leave out what happened at TIME or later" },
	{ LETTER_FORMAT, "format", "FORMAT", "text (default), json, prometheus or html" },
	{ 'o', "output", "FILE", "write to FILE instead of standard output" },
	{ 'q', "quiet", NULL, "print nothing when nothing is new (for cron)" },
	{ 0 },
};

struct request_options {
	struct summary_window window;
	enum format format;
	bool quiet;
	const char *output;
};

static int take_format(const char *text, enum format *ret_format)
{
	static const char *const names[] = { "text", "json", "prometheus", "html" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret_format = (enum format)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_option(struct request_options *o, int letter)
{
	int64_t now_s = time(NULL);

	switch (letter) {
	case 'S':
		return times_parse(optarg, now_s, &o->window.since_ns);
	case 'U':
		return times_parse(optarg, now_s, &o->window.until_ns);
	case 'o':
		o->output = optarg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		return take_format(optarg, &o->format);
	}
}

/* The state is read under the lock, the rest after it: it is only ever added to. */
static int gather(struct cmd *cmd, struct ledger *ledger, struct summary *summary)
{
	int status, r;

	status = cmd_lock_whole_ledger(cmd, ledger);
	if (status != CMD_DONE)
		return status;
	r = summary_take_state(summary, ledger);
	ledger_unlock(ledger);
	if (r != 0)
		return cmd_failed(cmd, "cannot read the throttle file: %s",
				  strerror(r < 0 ? -r : EIO));
	r = summary_take_history(summary, ledger->dir_fd);
	if (r < 0)
		return cmd_failed(cmd, "cannot read the counters: %s", strerror(-r));
	r = summary_take_records(summary, ledger->dir_fd, ledger->store_fd);
	if (r < 0)
		return cmd_failed(cmd, "cannot read the records: %s", strerror(-r));
	return CMD_DONE;
}

static int write_json(const struct cmd *cmd, const struct summary *summary, FILE *out)
{
	json_t *json = summary_json(summary);

	if (!json)
		return -ENOMEM;
	/* What cannot be written, the stream remembers. */
	(void)json_dumpf(json, out, cmd->json_short ? JSON_COMPACT : JSON_INDENT(1));
	(void)fputc('\n', out);
	json_decref(json);
	return 0;
}

static int write_out(struct cmd *cmd, const struct summary *summary, enum format format,
		     const struct ledger *ledger, const struct output *output)
{
	_cleanup_fclose_ FILE *out = fdopen(output->fd, "w");
	int r = 0;

	if (!out) /* EINVAL: what stands for an output that was closed cannot be written */
		return cmd_failed(cmd, "cannot write the summary: %s",
				  strerror(errno == EINVAL ? EBADF : errno));
	switch (format) {
	case FORMAT_TEXT:
		summary_text(summary, out);
		break;
	case FORMAT_JSON:
		r = write_json(cmd, summary, out);
		break;
	case FORMAT_PROMETHEUS:
		r = summary_prometheus(summary, ledger->dir_fd, false, out);
		break;
	case FORMAT_HTML:
		summary_html(summary, ledger->store_fd, out);
		break;
	}
	if (r < 0)
		return cmd_failed(cmd, "cannot make the summary: %s", strerror(-r));
	if (fflush(out) != 0 || ferror(out))
		return cmd_failed(cmd, "cannot write the summary: %s", strerror(errno));
	return CMD_DONE;
}

static int run_with(struct cmd *cmd, const struct request_options *o)
{
	struct ledger ledger = LEDGER_NULL;
	struct summary summary = SUMMARY_NULL;
	struct output out;
	int status;

	summary.window = o->window;
	summary.bins.wanted = o->format == FORMAT_HTML;
	status = output_open(cmd, o->output, &out);
	if (status == CMD_DONE)
		status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = gather(cmd, &ledger, &summary);
	if (status == CMD_DONE && !(o->quiet && !summary_has_news(&summary)))
		status = write_out(cmd, &summary, o->format, &ledger, &out);
	summary_done(&summary);
	ledger_done(&ledger);
	return status;
}

static int summary_run(struct cmd *cmd)
{
	struct request_options o = { .window = { .since_ns = INT64_MIN,
						 .until_ns = INT64_MAX } };
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0)
		if (take_option(&o, letter) < 0)
			return cmd_bad_value(cmd, letter, -EINVAL);
	if (letter < 0)
		return status;
	status = cmd_no_arguments(cmd);
	if (status == CMD_DONE)
		status = cmd_check_window(cmd, o.window.since_ns, o.window.until_ns);
	if (status != CMD_DONE)
		return status;
	if (cmd->json)
		o.format = FORMAT_JSON;
	return run_with(cmd, &o);
}

const struct command cmd_summary = {
	.name = "summary",
	.arguments = "",
	.summary = "report what crashed, how often, and the crash-free hours",
	.options = options,
	.has_json = true,
	.has_times = true,
	.run = summary_run,
};
