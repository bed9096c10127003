/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Saved cores take the path of a crash: same parser, same identity, same decision. On a
 * scratch state unless --import is given. The file is hostile input: nothing in it becomes
 * a path or a command, and no privileges are needed.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/resign.h"
#include "cmd/times.h"
#include "cmd/why.h"
#include "core/buildfiles.h"
#include "core/corefile.h"
#include "crash/handle.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "policy/units.h"

enum {
	LETTER_AT = 257,
	LETTER_WHY,
	LETTER_IMPORT,
	LETTER_RESIGN,
	LETTER_MODULES,
};

static const struct cmd_option options[] = {
	{ LETTER_AT, "at", "TIME",
	  "when the cores named behind it crashed (default: the file's time)" },
	{ LETTER_WHY, "why", NULL, "say why it was decided so" },
	{ LETTER_MODULES, "modules", "PATH",
	  "use executables and libraries below PATH that have the right build-ids" },
	{ LETTER_IMPORT, "import", NULL, "store and count for real" },
	{ LETTER_RESIGN, "resign", NULL, "no FILE: recompute the signatures of the store" },
	{ 0 },
};

struct saved {
	const char *path;
	int fd; /* opened as the caller, before any change of user */
	int64_t at_ns;
	size_t position; /* among the arguments */
};

struct replay {
	struct saved *saved;
	size_t n;
	bool why;
	bool import;
	bool resign;
	bool have_at; /* --at was given */
	bool at_waits; /* and no core has come behind it yet */
	int64_t at_ns; /* of the last one */
	struct buildfiles *files; /* NULL: none were named */
	json_t *array;
};

/* ---- the scratch state ---- */

static char scratch[PATH_MAX]; /* "" while there is none */

/* Called from signal handlers, too. */
static void remove_scratch(void)
{
	static const char *const names[] = { "throttle", "counters", "events", "cores" };
	int fd = openat(AT_FDCWD, scratch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(names); i++)
		(void)unlinkat(fd, names[i], strcmp(names[i], "cores") == 0 ? AT_REMOVEDIR : 0);
	if (fd >= 0)
		(void)close(fd);
	(void)unlinkat(AT_FDCWD, scratch, AT_REMOVEDIR);
}

static void stop(int signal_number)
{
	remove_scratch();
	_exit(128 + signal_number);
}

static int open_scratch(struct cmd *cmd, struct ledger *ledger)
{
	char path[PATH_MAX];
	int dir_fd, r;

	(void)snprintf(path, sizeof(path), "%s/corefold-replay.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(path))
		return cmd_failed(cmd, "cannot make a scratch directory %s: %s", path,
				  strerror(errno));
	memcpy(scratch, path, sizeof(scratch));
	cmd_on_signals(stop);
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return cmd_failed(cmd, "%s: %s", path, strerror(errno));
	r = ledger_open(ledger, &cmd->config, dir_fd);
	if (r != 0)
		return cmd_failed(cmd, "%s: %s", path, dir_strerror(r));
	return CMD_DONE;
}

/* ---- one core ---- */

/* A core can hold any number: what no kernel gives is not known. */
static int64_t possible(int64_t value, int64_t most)
{
	return value >= 0 && value <= most ? value : 0;
}

static void fill_request(struct crash *crash, const struct elfcore *core, int64_t at_ns)
{
	crash->request = (struct request){
		.pid = possible(core->pid, INT32_MAX),
		.tid = possible(core->threads > 0 ? core->thread[0].tid : core->pid, INT32_MAX),
		.uid = core->uid,
		.gid = core->gid,
		.signal = (int)possible(core->signal, RECORD_SIGNAL_MAX),
		.time_ns = at_ns,
		.rlimit_core = UINT64_MAX,
		.pidfd = -1,
	};
	(void)snprintf(crash->victim.unverified_because,
		       sizeof(crash->victim.unverified_because), "a saved core");
}

/* why: NULL if that is not asked for. */
static void tell(struct cmd *cmd, struct replay *replay, const struct saved *saved,
		 const struct crash *crash, const struct why *why)
{
	const struct ledger_ticket *ticket = &crash->ticket;
	const char *failed = crash->store_error ? strerror(crash->store_error) : NULL;
	const char *id = replay->import && !failed ? ticket->id : "";
	char path[PATH_MAX], weight[UNITS_SIZE] = "";
	json_t *json;

	if (ticket->decision != THROTTLE_FOLD) /* a fold has none: its crash waits for a kept one */
		(void)snprintf(weight, sizeof(weight), "weight %" PRIu64, ticket->weight);
	(void)name_escape(saved->path, strlen(saved->path), path, sizeof(path));
	if (!cmd->json) {
		(void)printf("%-5s %-11s %-16s uid %-6u %s%s%s%s%s%s%s\n",
			     throttle_decision_name(ticket->decision), weight,
			     ticket->process, ticket->uid, path,
			     why ? ": " : "", why ? ticket->reason : "",
			     *id ? " as " : "", id,
			     failed ? ": counted, but not stored: " : "", failed ?: "");
		if (why)
			why_print(crash->config, why);
		return;
	}
	json = json_pack("{s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:s}", "file",
			 path, "process", ticket->process, "uid", (json_int_t)ticket->uid, "time",
			 (json_int_t)(saved->at_ns / NS_PER_SEC), "decision",
			 throttle_decision_name(ticket->decision), "weight",
			 (json_int_t)ticket->weight, "reason", ticket->reason, "id", id);
	if (failed)
		(void)json_object_set_new(json, "error", json_string(failed));
	if (why)
		(void)json_object_set_new(json, "why", why_to_json(crash->config, why));
	(void)json_array_append_new(replay->array, json);
}

static int decide(struct cmd *cmd, struct ledger *ledger, struct replay *replay,
		  const struct saved *saved, struct corefile *file)
{
	struct crash crash = CRASH_NULL;
	const struct elfcore *core;
	struct why reasons;
	const void *head;
	char why[COREFILE_ERROR_SIZE];
	size_t head_bytes;
	int r, status;

	r = corefile_head(file, &core, &head, &head_bytes);
	if (r != 0)
		return cmd_failed(cmd, "%s: %s", saved->path,
				  corefile_strerror(file, r, why));
	crash.config = &cmd->config;
	crash.ledger = ledger;
	crash.replayed = true;
	crash.files = replay->files;
	crash.decide_only = !replay->import;
	fill_request(&crash, core, saved->at_ns);
	source_file(&crash.source, file);
	r = handle_crash(&crash);
	status = r < 0 ? CMD_FAILED : CMD_DONE;
	if (status == CMD_DONE && replay->why)
		status = why_find(cmd, &crash, &reasons);
	if (status == CMD_DONE)
		tell(cmd, replay, saved, &crash, replay->why ? &reasons : NULL);
	if (crash.store_error)
		status = CMD_FAILED;
	crash_done(&crash);
	return status;
}

static int replay_one(struct cmd *cmd, struct ledger *ledger, struct replay *replay,
		      struct saved *saved)
{
	struct corefile *file;
	int r, status;

	r = corefile_open(take_fd(&saved->fd), &file);
	if (r != 0)
		return cmd_failed(cmd, "%s: %s", saved->path,
				  r == -EINVAL ? "not a regular file" : strerror(-r));
	status = decide(cmd, ledger, replay, saved, file);
	corefile_free(file);
	return status;
}

static int replay_all(struct cmd *cmd, struct ledger *ledger, struct replay *replay)
{
	int status = CMD_DONE;

	replay->array = json_array();
	for (size_t i = 0; i < replay->n; i++) {
		if (replay_one(cmd, ledger, replay, &replay->saved[i]) != CMD_DONE)
			status = CMD_FAILED;
		resign_progress(i + 1, replay->n);
	}
	if (cmd->json && cmd_print_json(cmd, replay->array) != CMD_DONE)
		status = CMD_FAILED;
	json_decref(replay->array);
	return cmd_flush(cmd) == CMD_DONE ? status : CMD_FAILED;
}

/* ---- the arguments ---- */

static int add_file(struct cmd *cmd, struct replay *replay, const char *path)
{
	struct saved *saved = &replay->saved[replay->n];
	struct stat st;

	saved->path = path;
	saved->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (saved->fd < 0 || fstat(saved->fd, &st) < 0)
		return cmd_failed(cmd, "%s: %s", path, strerror(errno));
	saved->at_ns = replay->have_at ? replay->at_ns :
					 st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
	saved->position = replay->n++;
	replay->at_waits = false;
	return CMD_DONE;
}

static int add_modules(struct cmd *cmd, struct replay *replay, const char *path)
{
	int r = buildfiles_add(&replay->files, path);

	if (r == -EMFILE)
		return cmd_failed(cmd, "%s: more files than can be open: raise 'ulimit -n', or "
				       "name less", path);
	return r < 0 ? cmd_failed(cmd, "%s: %s", path,
				  r == -EINVAL ? "neither a file nor a directory" : strerror(-r)) :
		       CMD_DONE;
}

static int take_option(struct cmd *cmd, struct replay *replay, int letter)
{
	switch (letter) {
	case LETTER_WHY:
		replay->why = true;
		return CMD_DONE;
	case LETTER_IMPORT:
		replay->import = true;
		return CMD_DONE;
	case LETTER_RESIGN:
		replay->resign = true;
		return CMD_DONE;
	case LETTER_AT:
		if (times_parse(optarg, time(NULL), &replay->at_ns) < 0)
			return cmd_bad_value(cmd, letter, -EINVAL);
		replay->have_at = replay->at_waits = true;
		return CMD_DONE;
	case LETTER_MODULES:
		return add_modules(cmd, replay, optarg);
	default:
		return add_file(cmd, replay, optarg);
	}
}

static int read_arguments(struct cmd *cmd, struct replay *replay)
{
	int letter, status = CMD_DONE;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = take_option(cmd, replay, letter);
		if (status != CMD_DONE)
			return status;
	}
	if (letter < 0)
		return status == CMD_DONE ? -1 : status;
	for (int i = optind; i < cmd->argc; i++)
		if (add_file(cmd, replay, cmd->argv[i]) != CMD_DONE)
			return CMD_FAILED;
	if (replay->resign && (replay->n > 0 || replay->import || replay->why || replay->have_at))
		return cmd_usage_error(cmd, "--resign is about the store: no cores, --at, --why "
					    "or --import with it");
	if (replay->n > 0 && replay->at_waits)
		return cmd_usage_error(cmd, "--at dates the cores behind it, and there is none");
	if (replay->n == 0 && !replay->resign)
		return cmd_usage_error(cmd, "takes one or more cores");
	return CMD_DONE;
}

static int compare_times(const void *a, const void *b)
{
	const struct saved *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x->position < y->position ? -1 : 1; /* equal times: the order given */
}

static int run_on_scratch(struct cmd *cmd, struct replay *replay)
{
	struct ledger ledger = LEDGER_NULL;
	int status;

	status = cmd_read_config(cmd);
	if (status == CMD_DONE)
		status = open_scratch(cmd, &ledger);
	if (status == CMD_DONE)
		status = replay_all(cmd, &ledger, replay);
	ledger_done(&ledger);
	if (scratch[0])
		remove_scratch();
	return status;
}

static int run_on_state(struct cmd *cmd, struct replay *replay)
{
	struct ledger ledger = LEDGER_NULL;
	int status;

	for (size_t i = 0; i < replay->n; i++)
		if (replay->saved[i].at_ns > (time(NULL) + 60) * NS_PER_SEC)
			return cmd_failed(cmd, "%s: a crash in the future cannot be imported",
					  replay->saved[i].path);
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = replay_all(cmd, &ledger, replay);
	ledger_done(&ledger);
	return status;
}

static int replay_run(struct cmd *cmd)
{
	struct replay replay = { .saved = calloc((size_t)cmd->argc, sizeof(*replay.saved)) };
	int status;

	if (!replay.saved)
		return cmd_failed(cmd, "out of memory");
	status = read_arguments(cmd, &replay);
	if (status == CMD_DONE && replay.resign) {
		status = resign_store(cmd, replay.files);
	} else if (status == CMD_DONE) {
		qsort(replay.saved, replay.n, sizeof(*replay.saved), compare_times);
		status = replay.import ? run_on_state(cmd, &replay) :
					 run_on_scratch(cmd, &replay);
	}
	for (size_t i = 0; i < replay.n; i++)
		close_fd(&replay.saved[i].fd);
	free(replay.saved);
	buildfiles_free(replay.files);
	return status < 0 ? CMD_DONE : status;
}

const struct command cmd_replay = {
	.name = "replay",
	.arguments = "[FILE...]",
	.summary = "decide on saved cores as if they came from the kernel",
	.description = "FILE is an ELF core, a gzipped one, or one of corefold's own. The cores are\n"
		       "taken in the order of their times, on a scratch state.",
	.options = options,
	.has_json = true,
	.in_order = true,
	.run = replay_run,
};
