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
 * Whose the state should be when what is in it belongs to another than the directory does:
 * our user if it is one of the two, else the one that is not root. As chown(1) takes it,
 * which wants no colon after a number.
 */
#define SETTINGS_OWNER_SIZE 16
const char *settings_owner(uid_t directory, uid_t entry, char out[static SETTINGS_OWNER_SIZE]);

/*
 * The pattern that runs this very program, with the configuration that was named: whole,
 * however long it is. CMD_DONE, or CMD_FAILED after saying why there is none; out is ""
 * then.
 */
int settings_pattern(struct cmd *cmd, char *out, size_t size);
