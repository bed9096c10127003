/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A file that a command writes for its caller: whole or not at all.
 *
 * The file belongs to the caller, what goes into it is read as the owner of the state. So
 * the command goes on in a child, which gives up root and writes; the parent stays who it
 * is and puts the finished file in its place, or removes it.
 */

#include <stdbool.h>

#include "cmd/cmd.h"

struct output {
	int fd; /* where to write */
	bool regular; /* a file of ours: may be made sparse */
};

/*
 * path NULL: standard output. Returns CMD_DONE in the process that goes on. A file is
 * written by a child of this process; its parent does not return.
 */
int output_open(struct cmd *cmd, const char *path, struct output *ret_output);

/*
 * The same for one file of several: `write` runs in the child and returns an exit status,
 * the parent puts the file in its place and goes on. Returns CMD_DONE or what went wrong.
 */
typedef int output_writer(struct cmd *cmd, const struct output *output, void *userdata);
int output_write(struct cmd *cmd, const char *path, output_writer *write, void *userdata);
