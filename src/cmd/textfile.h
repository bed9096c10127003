/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The file that node_exporter's textfile collector reads: whole or not at all, readable by
 * everybody, and never through a path that others could have prepared.
 *
 * As with output.h the command goes on in a child that may give up root, and the parent,
 * which stays who it is, gives the file its name.
 */

#include "cmd/cmd.h"

struct textfile {
	int fd; /* -1: none */
};
#define TEXTFILE_NULL { .fd = -1 }

/*
 * Opens what [Summary] Textfile= names; nothing named is done, too. CMD_FAILED after saying
 * why it cannot be written: the command can do the rest of its work. The parent does not
 * return, and ends with the status of the command.
 */
int textfile_open(struct cmd *cmd, struct textfile *textfile);

/* Nothing shall be published: the old file stays. */
void textfile_abort(struct textfile *textfile);
