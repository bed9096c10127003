/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Removes what a person chooses, and what is beyond the limits. Counts are not touched:
 * a crash stays counted when its record is gone.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "core/record.h"
#include "io/clock.h"
#include "io/store.h"
#include "policy/units.h"
#include "quota.h"

enum {
	LETTER_SIGNATURE = 257,
	LETTER_OLDER,
	LETTER_CORES,
};

static const struct cmd_option options[] = {
	{ 'n', "dry-run", NULL, "say what would go, remove nothing" },
	{ LETTER_OLDER, "older-than", "SPAN", "records older than SPAN" },
	{ 'p', "process", "NAME", "records of this process" },
	{ LETTER_SIGNATURE, "signature", "TEXT", "records whose signature contains TEXT" },
	{ LETTER_CORES, "cores-only", NULL, "remove the cores, leave the records" },
	{ 0 },
};

struct choice {
	bool dry_run;
	bool cores_only;
	int64_t older_ns; /* -1: any age */
	const char *process;
	const char *signature;
};

static int take_option(struct choice *choice, int letter)
{
	switch (letter) {
	case 'n':
		choice->dry_run = true;
		return 0;
	case 'p':
		choice->process = optarg;
		return *optarg ? 0 : -EINVAL; /* empty would choose everything */
	case LETTER_SIGNATURE:
		choice->signature = optarg;
		return *optarg ? 0 : -EINVAL;
	case LETTER_OLDER:
		return units_parse_span(optarg, &choice->older_ns);
	default:
		choice->cores_only = true;
		return 0;
	}
}

static bool chosen(const struct choice *choice, const json_t *json, const struct record *record,
		   int64_t now_ns)
{
	const char *signature = json_string_value(json_object_get(json, "signature")) ?: "";

	return (choice->older_ns < 0 || now_ns - record->time_ns > choice->older_ns) &&
	       (!choice->process || strcmp(record->process, choice->process) == 0) &&
	       (!choice->signature || strstr(signature, choice->signature));
}

static void prune_one(const struct choice *choice, int store_fd, const struct record *record)
{
	char size[UNITS_SIZE];

	(void)printf("%s %s (%s, %s)\n", choice->dry_run ? "would remove" : "removed",
		     record->id, record->process,
		     units_format_bytes(record->stored_bytes, size));
	if (choice->dry_run)
		return;
	if (!choice->cores_only) /* first: a core without a record is litter, not a lie */
		store_remove(store_fd, record->id, STORE_RECORD_SUFFIX);
	store_remove(store_fd, record->id, STORE_CORE_SUFFIX);
}

static int prune_chosen(struct cmd *cmd, const struct choice *choice, int store_fd, char **ids,
			size_t n)
{
	struct clock_reading now;
	int status = CMD_DONE;

	if (clock_read(&now) < 0)
		return cmd_failed(cmd, "cannot read the clock");
	for (size_t i = 0; i < n; i++) {
		struct record record = RECORD_NULL;
		json_t *json = cmd_read_record(store_fd, ids[i]);

		if (!json || record_from_json(json, &record) < 0)
			status = cmd_failed(cmd, "record %s cannot be read: left alone", ids[i]);
		else if (chosen(choice, json, &record, now.wall_ns))
			prune_one(choice, store_fd, &record);
		json_decref(json);
	}
	return cmd_flush(cmd) == CMD_DONE ? status : CMD_FAILED;
}

static int prune_limits(struct cmd *cmd, const struct choice *choice, int store_fd)
{
	struct clock_reading now;

	if (choice->dry_run || choice->cores_only)
		return cmd_usage_error(cmd, "--dry-run and --cores-only want a choice: "
					    "--older-than, --process or --signature");
	if (clock_read(&now) < 0)
		return cmd_failed(cmd, "cannot read the clock");
	(void)printf("removed %u beyond the limits of the configuration\n",
		     quota_apply(store_fd, &cmd->config, now.wall_ns));
	return cmd_flush(cmd);
}

static int prune(struct cmd *cmd, const struct choice *choice, int store_fd)
{
	char **ids;
	size_t n;
	int r;

	if (choice->older_ns < 0 && !choice->process && !choice->signature)
		return prune_limits(cmd, choice, store_fd);
	r = store_list(store_fd, &ids, &n);
	if (r < 0)
		return cmd_failed(cmd, "cannot list the records: %s", strerror(-r));
	r = prune_chosen(cmd, choice, store_fd, ids, n);
	store_free_ids(ids, n);
	return r;
}

static int prune_run(struct cmd *cmd)
{
	struct choice choice = { .older_ns = -1 };
	struct ledger ledger = LEDGER_NULL;
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0)
		if (take_option(&choice, letter) < 0)
			return cmd_usage_error(cmd, "'%s' is no value for that option", optarg);
	if (letter < 0)
		return status;
	if (optind < cmd->argc)
		return cmd_usage_error(cmd, "takes no arguments: '%s'", cmd->argv[optind]);
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = prune(cmd, &choice, ledger.store_fd);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_prune = {
	.name = "prune",
	.arguments = "",
	.summary = "remove records and cores that are chosen, or beyond the limits",
	.description = "All that is chosen must hold. Without a choice the limits of the\n"
		       "configuration are applied. Counts and hours stay as they are.",
	.options = options,
	.run = prune_run,
};
