/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Writes the plain core. A regular file gets holes where the core has only zeros, so that
 * a core of a mostly empty address space takes no more disk than it has to.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/corefile.h"
#include "core/member.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/store.h"

#define HOLE_BYTES 4096

static const struct cmd_option options[] = {
	{ 'o', "output", "FILE", "write to FILE instead of standard output" },
	{ 0 },
};

struct output {
	int fd;
	bool sparse; /* a regular file of ours: zeros may be skipped */
	uint64_t at;
};

static bool all_zero(const char *p, size_t n)
{
	return n > 0 && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static int write_block(struct output *out, const char *p, size_t n)
{
	int r = 0;

	while (n > 0 && r == 0) {
		size_t part = n < HOLE_BYTES ? n : HOLE_BYTES;

		if (!out->sparse)
			part = n;
		if (out->sparse && all_zero(p, part))
			r = lseek(out->fd, (off_t)part, SEEK_CUR) < 0 ? -errno : 0;
		else
			r = dir_write_all(out->fd, p, part);
		p += part;
		n -= part;
		out->at += part;
	}
	return r;
}

static int copy_core(struct cmd *cmd, struct corefile *core, struct output *out)
{
	_cleanup_free_ char *buffer = malloc(MEMBER_PLAIN);
	uint64_t at = 0;

	if (!buffer)
		return cmd_failed(cmd, "out of memory");
	while (at < corefile_size(core)) {
		ssize_t n = corefile_read(core, buffer, MEMBER_PLAIN, at);
		int r;

		if (n <= 0)
			return cmd_failed(cmd, "the stored core is damaged at byte %llu",
					  (unsigned long long)at);
		r = write_block(out, buffer, (size_t)n);
		if (r < 0)
			return cmd_failed(cmd, "cannot write the core: %s", strerror(-r));
		at += (uint64_t)n;
	}
	/* A hole at the very end has to be told by the size. */
	if (out->sparse && ftruncate(out->fd, (off_t)out->at) < 0)
		return cmd_failed(cmd, "cannot write the core: %s", strerror(errno));
	return CMD_DONE;
}

static int dump_core(struct cmd *cmd, struct ledger *ledger, const char *id, struct output *out)
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

/*
 * The file is made before root is given up: it is the caller's file in the caller's
 * directory. It appears empty if the dump then fails, and is removed again.
 */
static int open_output(struct cmd *cmd, const char *path, struct output *out)
{
	struct stat st;

	out->fd = STDOUT_FILENO;
	if (path) {
		out->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (out->fd < 0)
			return cmd_failed(cmd, "%s: %s", path, strerror(errno));
	} else if (isatty(STDOUT_FILENO)) {
		return cmd_usage_error(cmd, "a core on a terminal helps nobody: use -o FILE");
	}
	out->sparse = path && fstat(out->fd, &st) == 0 && S_ISREG(st.st_mode);
	return CMD_DONE;
}

static int dump_run(struct cmd *cmd)
{
	struct ledger ledger = LEDGER_NULL;
	struct output out = { .fd = -1 };
	const char *path = NULL;
	char id[STATE_ID_SIZE];
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0)
		path = optarg;
	if (letter < 0)
		return status;
	if (optind + 1 < cmd->argc)
		return cmd_usage_error(cmd, "takes one id");
	status = open_output(cmd, path, &out);
	if (status == CMD_DONE)
		status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = cmd_find_id(cmd, ledger.store_fd, cmd->argv[optind], id);
	if (status == CMD_DONE)
		status = dump_core(cmd, &ledger, id, &out);
	if (path && out.fd >= 0 && close(out.fd) < 0 && status == CMD_DONE)
		status = cmd_failed(cmd, "%s: %s", path, strerror(errno));
	if (path && status != CMD_DONE && out.sparse)
		(void)unlink(path);
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
