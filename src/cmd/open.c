/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/settings.h"
#include "core/corefile.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/counters.h"
#include "io/dir.h"
#include "io/events.h"
#include "io/process.h"
#include "io/store.h"
#include "io/sysctl.h"
#include "policy/pattern.h"

/* ---- the configuration ---- */

static void complain_config(void *userdata, const char *where, const char *what)
{
	char text[2048];

	(void)userdata;
	(void)name_escape(what, strlen(what), text, sizeof(text));
	(void)fprintf(stderr, "corefold: %s: %s\n", where, text);
}

int cmd_read_config(struct cmd *cmd)
{
	if (cmd->config_read)
		return CMD_DONE;
	config_init(&cmd->config);
	cmd->config_read = true;
	if (config_read(&cmd->config, cmd->config_path, complain_config, NULL) < 0)
		return CMD_FAILED;
	return CMD_DONE;
}

/* ---- the state ---- */

/*
 * A crash must be counted whatever stands in the place of our files, so its handler moves
 * that away. Who only asks moves nothing: a chown(1) that missed is no damage.
 */
static int refuse_foreign(struct cmd *cmd, int dir_fd, uid_t owner)
{
	static const char *const names[] = { STORE_DIR, STATE_FILE, EVENTS_FILE, COUNTERS_FILE };
	const char *directory = cmd->config.directory;
	char should[SETTINGS_OWNER_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uid_t uid = owner;
		int r = dir_look(dir_fd, names[i], i == 0, &uid);

		if (r == DIR_E_OWNER)
			return cmd_failed(cmd,
					  "%s/%s belongs to uid %u, the directory to uid %u, nothing "
					  "was changed: 'chown -R %s %s' mends it",
					  directory, names[i], uid, owner,
					  settings_owner(owner, uid, should), directory);
		if (r > 0 && cmd->command != &cmd_tick)
			return cmd_failed(cmd, "%s/%s: %s, nothing was changed: 'corefold tick%s%s' "
					       "sets it aside",
					  directory, names[i], dir_strerror(r),
					  cmd->config_path ? " -C " : "", cmd->config_path ?: "");
	}
	return CMD_DONE;
}

/* The directory, opened safely, and whose it is. */
static int open_directory(struct cmd *cmd, int *ret_fd, uid_t *ret_uid, gid_t *ret_gid)
{
	const char *directory = cmd->config.directory;
	int r = dir_open_private(directory, ret_fd, ret_uid, ret_gid);

	if (r == -ENOENT)
		return cmd_failed(cmd, "%s does not exist: 'corefold enable' makes it", directory);
	if (r != 0)
		return cmd_failed(cmd, "%s: %s%s", directory, dir_strerror(r),
				  r == -EACCES ? " (only root and its owner may)" : "");
	return CMD_DONE;
}

static int become_owner(struct cmd *cmd, uid_t uid, gid_t gid)
{
	const char *directory = cmd->config.directory;
	int r = process_become(uid, gid);

	if (r == -EPERM)
		return cmd_failed(cmd, "%s belongs to uid %u: run as root or as that user",
				  directory, uid);
	if (r < 0)
		return cmd_failed(cmd, "cannot become the owner of %s (uid %u): %s", directory,
				  uid, strerror(-r));
	return CMD_DONE;
}

/* Takes the descriptor. */
static int open_state(struct cmd *cmd, struct ledger *ledger, int dir_fd)
{
	int r = ledger_open(ledger, &cmd->config, dir_fd);

	if (r != 0)
		return cmd_failed(cmd, "%s/" STORE_DIR ": %s", cmd->config.directory,
				  dir_strerror(r));
	ledger->covered = cmd_pattern_is_ours();
	return CMD_DONE;
}

int cmd_open_ledger(struct cmd *cmd, struct ledger *ledger)
{
	_cleanup_close_ int dir_fd = -1;
	uid_t uid;
	gid_t gid;
	int status;

	status = cmd_read_config(cmd);
	if (status == CMD_DONE)
		status = open_directory(cmd, &dir_fd, &uid, &gid);
	if (status == CMD_DONE)
		status = become_owner(cmd, uid, gid);
	if (status == CMD_DONE)
		status = refuse_foreign(cmd, dir_fd, uid);
	if (status == CMD_DONE)
		status = open_state(cmd, ledger, take_fd(&dir_fd));
	return status;
}

void cmd_tell_of_damage(struct cmd *cmd, struct ledger *ledger)
{
	if (ledger->rebuilt && ledger->state->older_version > 0)
		(void)cmd_failed(cmd,
				 "%s/" STATE_FILE " was of an earlier corefold (and is " STATE_FILE
				 ".bad now): totals taken over from counters and records, %s",
				 cmd->config.directory, ledger_windows_said(ledger));
	else if (ledger->rebuilt)
		(void)cmd_failed(cmd,
				 "%s/" STATE_FILE " was damaged (and is " STATE_FILE
				 ".bad now) or gone: totals rebuilt from counters and records, "
				 "%s",
				 cmd->config.directory, ledger_windows_said(ledger));
	if (ledger->events_left_out > 0)
		(void)cmd_failed(cmd, "%s/" EVENTS_FILE ": left out what is no crash, lines: %" PRIu64,
				 cmd->config.directory, ledger->events_left_out);
	ledger->rebuilt = false;
	ledger->events_left_out = 0;
}

int cmd_lock_ledger(struct cmd *cmd, struct ledger *ledger)
{
	struct clock_reading now;
	int r;

	r = clock_read(&now);
	if (r < 0)
		return cmd_failed(cmd, "cannot read the clock: %s", strerror(-r));
	r = ledger_lock(ledger, &now);
	if (r == LEDGER_E_BUSY)
		return cmd_failed(cmd,
				  "%s/" STATE_FILE " is locked by another process for more than "
				  "%d s: see who with 'fuser', nothing was changed",
				  cmd->config.directory, LEDGER_WAIT_MS / 1000);
	if (r == LEDGER_E_NEWER)
		return cmd_failed(cmd,
				  "%s/" STATE_FILE " is of a later corefold than this one ("
				  COREFOLD_VERSION "), nothing was changed: install that one again, "
				  "or move the file away to go on with what counters and records tell",
				  cmd->config.directory);
	if (r == -EROFS)
		return cmd_failed(cmd,
				  "%s is on a read-only file system, its counts cannot be brought up "
				  "to date: 'mount -o remount,rw' it, or look at the records with "
				  "'corefold list' and 'dump', which only read",
				  cmd->config.directory);
	if (r != 0)
		return cmd_failed(cmd, "%s/" STATE_FILE ": %s", cmd->config.directory,
				  strerror(r < 0 ? -r : EIO));
	cmd_tell_of_damage(cmd, ledger);
	return CMD_DONE;
}

int cmd_lock_whole_ledger(struct cmd *cmd, struct ledger *ledger)
{
	int status, r;

	status = cmd_lock_ledger(cmd, ledger);
	if (status != CMD_DONE)
		return status;
	r = state_verify(ledger->state);
	if (r == 0)
		return CMD_DONE;
	if (r == STATE_E_BAD)
		r = state_set_aside(ledger->state);
	if (r != 0) {
		ledger_unlock(ledger);
		return cmd_failed(cmd, "%s/" STATE_FILE ": %s", cmd->config.directory,
				  strerror(r < 0 ? -r : EIO));
	}
	return cmd_lock_ledger(cmd, ledger); /* it went with the file */
}

int cmd_open_core(struct cmd *cmd, int store_fd, const char *id, struct corefile **ret_core)
{
	int fd, r;

	r = store_open_core(store_fd, id, &fd);
	if (r == -ENOENT)
		return cmd_failed(cmd, "%s has no core: 'corefold info %s' says why", id, id);
	if (r == 0)
		r = corefile_open(fd, ret_core);
	if (r != 0)
		return cmd_failed(cmd, "core of %s: %s", id, dir_strerror(r));
	if (corefile_is_noise(*ret_core)) {
		corefile_free(*ret_core);
		*ret_core = NULL;
		return cmd_failed(cmd, "the stored core of %s is damaged at byte 0: it does not "
				       "begin as a gzip file does",
				  id);
	}
	return CMD_DONE;
}

bool cmd_pattern_is_ours(void)
{
	char pattern[SYSCTL_SIZE];

	return sysctl_read(SYSCTL_CORE_PATTERN, pattern) == 0 && pattern_is_ours(pattern);
}
