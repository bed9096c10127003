/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What enable and disable set, and doctor looks at. */

#include <sys/types.h>

#include "cmd/cmd.h"

#define SETTINGS_USER "corefold"
#define SETTINGS_PIPE_LIMIT "256"
#define SETTINGS_SUID_DUMPABLE "2"

/* Straight from /etc/passwd: no name service is asked, here or anywhere. */
bool settings_find_user(uid_t *ret_uid, gid_t *ret_gid);

/*
 * The pattern that runs this very program, with the configuration that was named: whole,
 * however long it is. CMD_DONE, or CMD_FAILED after saying why there is none; out is ""
 * then.
 */
int settings_pattern(struct cmd *cmd, char *out, size_t size);
