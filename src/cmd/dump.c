/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Writes the plain core. A regular file gets holes where the core has only zeros, so that
 * a core of a mostly empty address space takes no more disk than it has to.
 */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "core/corefile.h"
#include "core/export.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/store.h"

static const struct cmd_option options[] = {
	{ 'o', "output", "FILE", "write to FILE instead of standard output" },
	{ 0 },
};

static int copy_core(struct cmd *cmd, struct corefile *core, const struct output *out)
{
	struct export_result result;
	int r;

	r = export_run(core, out->fd, out->regular, &result);
	if (r < 0)
		return cmd_failed(cmd, "cannot write the core: %s", strerror(-r));
	if (result.damaged)
		return cmd_failed(cmd, "the stored core is damaged at byte %llu",
				  (unsigned long long)result.bytes);
	return CMD_DONE;
}

static int dump_core(struct cmd *cmd, struct ledger *ledger, const char *id,
		     const struct output *out)
{
	struct corefile *core;
	int fd, r, status;

	r = store_open_core(ledger->store_fd, id, &fd);
	if (r == -ENOENT)
		return cmd_failed(cmd, "%s has no core: 'corefold info %s' says why", id, id);
	if (r == 0)
		r = corefile_open(fd, &core);
	if (r != 0)
		return cmd_failed(cmd, "core of %s: %s", id, dir_strerror(r));
	status = copy_core(cmd, core, out);
	corefile_free(core);
	return status;
}

static int dump_run(struct cmd *cmd)
{
	struct ledger ledger = LEDGER_NULL;
	struct output out;
	const char *path = NULL;
	char id[STATE_ID_SIZE];
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0)
		path = optarg;
	if (letter < 0)
		return status;
	if (optind + 1 < cmd->argc)
		return cmd_usage_error(cmd, "takes one id");
	if (!path && isatty(STDOUT_FILENO))
		return cmd_usage_error(cmd, "a core on a terminal helps nobody: use -o FILE");
	status = output_open(cmd, path, &out);
	if (status == CMD_DONE)
		status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = cmd_find_id(cmd, ledger.store_fd, cmd->argv[optind], id);
	if (status == CMD_DONE)
		status = dump_core(cmd, &ledger, id, &out);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_dump = {
	.name = "dump",
	.arguments = "[ID]",
	.summary = "write the core of a crash, decompressed",
	.description = "ID is an id, the beginning of one, a pid, or 'last' (the default).",
	.options = options,
	.run = dump_run,
};
