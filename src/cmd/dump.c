/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Writes the plain core. A regular file gets holes where the core has only zeros, so that
 * a core of a mostly empty address space takes no more disk than it has to.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/choose.h"
#include "cmd/output.h"
#include "core/corefile.h"
#include "core/export.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/store.h"

#define LETTER_ALL 257
#define CORE_SUFFIX ".core"

static const struct cmd_option options[] = {
	CHOICE_OPTIONS,
	{ 'o', "output", "FILE", "write to FILE instead of standard output" },
	{ LETTER_ALL, "all", NULL, "all that match, into the directory given with -o" },
	{ '1', NULL, NULL, "the newest of those that match, as without it" },
	{ 0 },
};

struct dump {
	struct choice choice;
	const char *path;
	bool all;
};

/* ---- one core ---- */

static int copy_core(struct cmd *cmd, struct corefile *core, const char *id,
		     const struct output *out)
{
	struct export_result result;
	uint64_t stored_at;
	int r;

	r = export_run(core, out->fd, out->regular, &result);
	if (r < 0)
		return cmd_failed(cmd, "cannot write the core: %s", strerror(-r));
	if (result.damaged || corefile_damage(core, &stored_at) || result.bytes == 0)
		return cmd_failed(cmd,
				  "the stored core of %s is damaged at byte %" PRIu64
				  ": 'corefold debug %s' shows what comes before it, if anything",
				  id, result.bytes, id);
	return CMD_DONE;
}

static int dump_core(struct cmd *cmd, struct ledger *ledger, const char *id,
		     const struct output *out)
{
	struct corefile *core;
	int status;

	status = cmd_open_core(cmd, ledger->store_fd, id, &core);
	if (status != CMD_DONE)
		return status;
	status = copy_core(cmd, core, id, out);
	corefile_free(core);
	return status;
}

static int dump_one(struct cmd *cmd, const struct dump *dump)
{
	struct ledger ledger = LEDGER_NULL;
	struct output out;
	char id[STATE_ID_SIZE];
	int status;

	if (!dump->path && isatty(STDOUT_FILENO))
		return cmd_usage_error(cmd, "refusing to write a core to a terminal: use -o FILE, or "
					    "a pipe");
	status = output_open(cmd, dump->path, &out);
	if (status == CMD_DONE)
		status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = choice_find(cmd, &dump->choice, ledger.store_fd, id);
	if (status == CMD_DONE)
		status = dump_core(cmd, &ledger, id, &out);
	ledger_done(&ledger);
	return status;
}

/* ---- all that match ---- */

/*
 * The directory is the caller's, the store is its owner's, and who gives up root cannot
 * take it back. So a child finds out what there is, and another one reads each core.
 */
struct found {
	FILE *out;
	size_t without_core;
};

static bool tell_id(void *userdata, const char *id, const json_t *record)
{
	const char *capture = json_string_value(json_object_get(record, "capture")) ?: "none";
	struct found *found = userdata;

	if (strcmp(capture, "none") == 0)
		found->without_core++;
	else
		(void)fprintf(found->out, "%s\n", id);
	return true;
}

static int find_all(struct cmd *cmd, const struct dump *dump, int fd)
{
	struct found found = { .out = fdopen(fd, "w") };
	struct ledger ledger = LEDGER_NULL;
	struct choice choice = dump->choice;
	int status = found.out ? cmd_open_ledger(cmd, &ledger) : CMD_FAILED;

	if (status == CMD_DONE)
		status = choice_resolve(cmd, &choice, ledger.store_fd);
	if (status == CMD_DONE)
		status = choice_each(cmd, &choice, ledger.store_fd, tell_id, &found);
	if (found.without_core > 0)
		(void)cmd_failed(cmd, "%zu more that match have no core", found.without_core);
	if (!found.out || fclose(found.out) != 0)
		status = CMD_FAILED;
	ledger_done(&ledger);
	return status;
}

/* What the child has found; NULL when it failed, having said why. */
static FILE *ask_child(struct cmd *cmd, const struct dump *dump, pid_t *ret_child)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0) {
		(void)cmd_failed(cmd, "cannot make a pipe: %s", strerror(errno));
		return NULL;
	}
	*ret_child = fork();
	if (*ret_child == 0) {
		(void)close(fds[0]);
		_exit(find_all(cmd, dump, fds[1]));
	}
	(void)close(fds[1]);
	if (*ret_child < 0) {
		(void)close(fds[0]);
		(void)cmd_failed(cmd, "cannot start a process: %s", strerror(errno));
		return NULL;
	}
	return fdopen(fds[0], "r");
}

static int write_core(struct cmd *cmd, const struct output *output, void *userdata)
{
	struct ledger ledger = LEDGER_NULL;
	int status = cmd_open_ledger(cmd, &ledger);

	if (status == CMD_DONE)
		status = dump_core(cmd, &ledger, userdata, output);
	ledger_done(&ledger);
	return status;
}

static int write_each(struct cmd *cmd, const struct dump *dump, FILE *ids, size_t *ret_n)
{
	char line[STATE_ID_SIZE + 2], path[PATH_MAX];
	int status = CMD_DONE;

	while (fgets(line, sizeof(line), ids)) {
		int r;

		line[strcspn(line, "\n")] = '\0';
		if (!store_is_id(line)) /* the child is not root, and not believed as if it were */
			return cmd_failed(cmd, "'%s' is no id", line);
		(void)snprintf(path, sizeof(path), "%s/%s" CORE_SUFFIX, dump->path, line);
		r = output_write(cmd, path, write_core, line);
		if (r == CMD_DONE)
			(void)printf("%s\n", path);
		else
			status = r;
		++*ret_n;
	}
	return status;
}

static int dump_all(struct cmd *cmd, const struct dump *dump)
{
	_cleanup_fclose_ FILE *ids = NULL;
	size_t n = 0;
	pid_t child;
	int status, ended = 0;

	if (!dump->path || !*dump->path)
		return cmd_usage_error(cmd, "--all wants a directory: -o DIRECTORY");
	if (cmd_read_config(cmd) != CMD_DONE)
		return CMD_FAILED;
	if (mkdir(dump->path, 0700) < 0 && errno != EEXIST)
		return cmd_failed(cmd, "%s: %s", dump->path, strerror(errno));
	ids = ask_child(cmd, dump, &child);
	if (!ids)
		return CMD_FAILED;
	status = write_each(cmd, dump, ids, &n);
	while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != CMD_DONE)
		return WIFEXITED(ended) ? WEXITSTATUS(ended) : CMD_FAILED;
	if (n == 0 && status == CMD_DONE)
		status = cmd_failed(cmd, "no core matches: 'corefold list' shows what there is");
	return cmd_flush(cmd) == CMD_DONE ? status : CMD_FAILED;
}

/* ---- the command ---- */

static int dump_run(struct cmd *cmd)
{
	struct dump dump = { .choice = CHOICE_ALL };
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = choice_option(cmd, &dump.choice, letter);
		if (status > 0)
			return status;
		if (letter == 'o')
			dump.path = optarg;
		dump.all |= letter == LETTER_ALL;
	}
	if (letter < 0)
		return status;
	status = choice_take_words(cmd, &dump.choice);
	if (status != CMD_DONE)
		return status;
	return dump.all ? dump_all(cmd, &dump) : dump_one(cmd, &dump);
}

const struct command cmd_dump = {
	.name = "dump",
	.arguments = "[MATCH...]",
	.summary = "write the core of a crash, decompressed",
	.description = CHOICE_ONE "\nWith --all each goes to DIRECTORY/ID.core.",
	.options = options,
	.run = dump_run,
};
