/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Removes what a person chooses, and what is beyond the limits. Counts are not touched:
 * a crash stays counted when its record is gone.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/choose.h"
#include "core/record.h"
#include "crash/quota.h"
#include "io/clock.h"
#include "io/store.h"
#include "policy/units.h"

enum {
	LETTER_OLDER = 257,
	LETTER_LARGER,
	LETTER_DOWN_TO,
	LETTER_CORES,
	LETTER_UNREADABLE,
};

static const struct cmd_option options[] = {
	{ 'n', "dry-run", NULL, "say what would go, remove nothing" },
	{ LETTER_OLDER, "older-than", "SPAN", "records older than SPAN" },
	{ LETTER_LARGER, "larger-than", "SIZE", "records whose stored core is larger than SIZE, 1 or more" },
	{ LETTER_DOWN_TO, "down-to", "SIZE", "the oldest, until all cores take SIZE at most" },
	CHOICE_OPTIONS,
	{ LETTER_UNREADABLE, "unreadable", NULL, "records that cannot be read" },
	{ LETTER_CORES, "cores-only", NULL, "remove the cores, leave the records" },
	{ 0 },
};

struct prune {
	struct choice choice;
	bool dry_run;
	bool cores_only;
	bool unreadable;
	int64_t older_ns; /* -1: any age */
	uint64_t larger_bytes; /* 0: any size */
	uint64_t down_to_bytes; /* UINT64_MAX: no limit */

	int64_t now_ns;
	uint64_t stored_bytes; /* by all cores that are there */
	uint64_t freed_bytes;
	uint64_t gone;
	json_t *removed; /* with --json */
	int status; /* CMD_FAILED: something that was chosen is still there */
};

/* ---- one record ---- */

static uint64_t file_bytes(int store_fd, const char *id, const char *suffix)
{
	char name[STATE_ID_SIZE + 16];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%.*s%s", STATE_ID_SIZE, id, suffix);
	if (fstatat(store_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_size;
}

/* What is told of a record that goes; `process` is "" where it cannot be read. */
static void tell(struct prune *prune, const char *id, const char *process, uint64_t bytes,
		 bool record)
{
	char size[UNITS_SIZE];

	prune->gone++;
	prune->freed_bytes += bytes;
	if (prune->removed)
		(void)json_array_append_new(prune->removed,
					    json_pack("{s:s, s:s, s:I, s:b}", "id", id, "process",
						      process, "core_bytes", (json_int_t)bytes,
						      "record", record));
	else
		(void)printf("%s %s%s%s%s, %s\n", prune->dry_run ? "would remove" : "removed",
			     record ? "" : "the core of ", id, *process ? " of " : "", process,
			     bytes ? units_format_bytes(bytes, size) : "no core");
}

static bool remove_file(struct cmd *cmd, struct prune *prune, int store_fd, const char *id,
			const char *suffix)
{
	int r = store_remove(store_fd, id, suffix);

	if (r < 0)
		prune->status = cmd_failed(cmd, "%s %s cannot be removed: cores/%s%s: %s",
					   strcmp(suffix, STORE_CORE_SUFFIX) == 0 ? "core" :
										    "record",
					   id, id, suffix, strerror(-r));
	return r == 0;
}

/* The record goes first: a core without one is litter, not a lie. */
static void remove_one(struct cmd *cmd, struct prune *prune, int store_fd, const char *id,
		       const char *process, bool core, bool record)
{
	uint64_t bytes = core ? file_bytes(store_fd, id, STORE_CORE_SUFFIX) : 0;

	if (!prune->dry_run && record &&
	    !remove_file(cmd, prune, store_fd, id, STORE_RECORD_SUFFIX))
		return;
	if (!prune->dry_run && core &&
	    !remove_file(cmd, prune, store_fd, id, STORE_CORE_SUFFIX))
		return;
	prune->stored_bytes -= bytes < prune->stored_bytes ? bytes : prune->stored_bytes;
	tell(prune, id, process, bytes, record);
}

static void prune_one(struct cmd *cmd, struct prune *prune, int store_fd, const char *id,
		      const char *process)
{
	if (!prune->cores_only || file_bytes(store_fd, id, STORE_CORE_SUFFIX) > 0)
		remove_one(cmd, prune, store_fd, id, process, true, !prune->cores_only);
}

static bool chosen(const struct prune *prune, const json_t *json, const struct record *record,
		   uint64_t bytes)
{
	return (prune->older_ns < 0 || prune->now_ns - record->time_ns > prune->older_ns) &&
	       (prune->larger_bytes == 0 || bytes > prune->larger_bytes) &&
	       (prune->down_to_bytes == UINT64_MAX ||
		(bytes > 0 && prune->stored_bytes > prune->down_to_bytes)) &&
	       choice_matches(&prune->choice, json);
}

static void look_at(struct cmd *cmd, struct prune *prune, int store_fd, const char *id)
{
	json_t *json = cmd_read_record(store_fd, id);
	struct record record = RECORD_NULL;

	if (!json && prune->unreadable && !cmd_record_is_later(store_fd, id) &&
	    !cmd_record_is_gone(store_fd, id))
		prune_one(cmd, prune, store_fd, id, "");
	else if (!json)
		choice_unreadable(cmd, store_fd, id);
	else if (!prune->unreadable && record_from_json(json, &record) == 0 &&
		 chosen(prune, json, &record, file_bytes(store_fd, id, STORE_CORE_SUFFIX)))
		prune_one(cmd, prune, store_fd, id, record.process);
	json_decref(json);
}

/* ---- what is chosen, or beyond the limits ---- */

static int prune_chosen(struct cmd *cmd, struct prune *prune, int store_fd)
{
	char **ids;
	size_t n;
	int r;

	r = cmd_list_records(cmd, store_fd, &ids, &n);
	if (r != CMD_DONE)
		return r;
	for (size_t i = 0; i < n; i++)
		prune->stored_bytes += file_bytes(store_fd, ids[i], STORE_CORE_SUFFIX);
	for (size_t i = 0; i < n; i++)
		look_at(cmd, prune, store_fd, ids[i]);
	store_free_ids(ids, n);
	return CMD_DONE;
}

struct beyond {
	struct cmd *cmd;
	struct prune *prune;
	int store_fd;
};

static void prune_beyond(void *userdata, const char *id, bool core, bool record)
{
	const struct beyond *beyond = userdata;
	json_t *json = cmd_read_record(beyond->store_fd, id);
	const char *process = json_string_value(json_object_get(json, "process")) ?: "";

	remove_one(beyond->cmd, beyond->prune, beyond->store_fd, id, process, core, record);
	json_decref(json);
}

static bool has_choice(const struct prune *prune)
{
	return prune->older_ns >= 0 || prune->larger_bytes > 0 || prune->unreadable ||
	       prune->down_to_bytes != UINT64_MAX || !choice_is_all(&prune->choice);
}

static int tell_all(struct cmd *cmd, const struct prune *prune)
{
	char size[UNITS_SIZE];
	json_t *json;
	int status;

	if (!cmd->json) {
		(void)printf("%s %" PRIu64 " %s%s, %s\n",
			     prune->dry_run ? "would remove" : "removed", prune->gone,
			     prune->cores_only ? "core" : "record", prune->gone == 1 ? "" : "s",
			     units_format_bytes(prune->freed_bytes, size));
		return cmd_flush(cmd);
	}
	json = json_pack("{s:b, s:I, s:I, s:O}", "dry_run", prune->dry_run, "count",
			 (json_int_t)prune->gone, "freed_bytes", (json_int_t)prune->freed_bytes,
			 "removed", prune->removed);
	status = cmd_print_json(cmd, json);
	json_decref(json);
	return status;
}

static int prune_all(struct cmd *cmd, struct prune *prune, int store_fd)
{
	struct beyond beyond = { .cmd = cmd, .prune = prune, .store_fd = store_fd };
	struct clock_reading now;
	int status = CMD_DONE;

	if (clock_read(&now) < 0)
		return cmd_failed(cmd, "cannot read the clock");
	prune->now_ns = now.wall_ns;
	prune->removed = cmd->json ? json_array() : NULL;
	if (has_choice(prune))
		status = prune_chosen(cmd, prune, store_fd);
	else
		(void)quota_each(store_fd, &cmd->config, now.wall_ns, prune_beyond, &beyond);
	if (status == CMD_DONE)
		status = tell_all(cmd, prune);
	json_decref(prune->removed);
	return status == CMD_DONE ? prune->status : status;
}

/* ---- the command ---- */

static int take_option(const struct cmd *cmd, struct prune *prune, int letter)
{
	int r = choice_option(cmd, &prune->choice, letter);

	if (r >= 0)
		return r;
	r = 0;
	switch (letter) {
	case 'n':
		prune->dry_run = true;
		break;
	case LETTER_UNREADABLE:
		prune->unreadable = true;
		break;
	case LETTER_OLDER:
		r = units_parse_span(optarg, &prune->older_ns);
		break;
	case LETTER_LARGER:
		r = units_parse_bytes(optarg, &prune->larger_bytes);
		if (r == 0 && prune->larger_bytes == 0)
			r = -ERANGE;
		break;
	case LETTER_DOWN_TO:
		r = units_parse_bytes(optarg, &prune->down_to_bytes);
		break;
	default:
		prune->cores_only = true;
		break;
	}
	return r < 0 ? cmd_bad_value(cmd, letter, r) : CMD_DONE;
}

static int prune_run(struct cmd *cmd)
{
	struct prune prune = { .choice = CHOICE_ALL,
			       .older_ns = -1,
			       .down_to_bytes = UINT64_MAX };
	struct ledger ledger = LEDGER_NULL;
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = take_option(cmd, &prune, letter);
		if (status != CMD_DONE)
			return status;
	}
	if (letter < 0)
		return status;
	status = choice_take_words(cmd, &prune.choice);
	if (status != CMD_DONE)
		return status;
	if (prune.cores_only && !has_choice(&prune))
		return cmd_usage_error(cmd, "--cores-only wants a choice: --older-than, --process, "
					    "--signature and the like");
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = choice_resolve(cmd, &prune.choice, ledger.store_fd);
	if (status == CMD_DONE)
		status = prune_all(cmd, &prune, ledger.store_fd);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_prune = {
	.name = "prune",
	.arguments = "[MATCH...]",
	.summary = "remove records and cores that are chosen, or beyond the limits",
	.description = "All that is chosen must hold. Without a choice the limits of the\n"
		       "configuration are applied. Counts and hours stay as they are.",
	.options = options,
	.has_json = true,
	.run = prune_run,
};
