/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Puts corefold behind core_pattern, and back. What was there is remembered in a file that
 * only root may write: /run, because the kernel's settings do not outlive a boot either.
 * (The state directory belongs to the corefold user, whose word must never become a
 * core_pattern.)
 *
 * suid_dumpable=2 with a pattern that is neither a pipe nor absolute makes the kernel
 * warn, so the pattern is set first and unset last.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/settings.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/sysctl.h"
#include "io/sysctld.h"
#include "policy/pattern.h"

#define SAVED_DIR "/run"
#define SAVED_FILE "corefold.saved"
#define SAVED_TEMP ".corefold.saved.tmp" /* whole or not at all */
#define LOCK_FILE "corefold.lock"

struct settings {
	char pattern[SYSCTL_SIZE];
	char pipe_limit[SYSCTL_SIZE];
	char suid_dumpable[SYSCTL_SIZE];
};

static int read_settings(struct settings *settings)
{
	int r;

	r = sysctl_read(SYSCTL_CORE_PATTERN, settings->pattern);
	if (r == 0)
		r = sysctl_read(SYSCTL_CORE_PIPE_LIMIT, settings->pipe_limit);
	if (r == 0)
		r = sysctl_read(SYSCTL_SUID_DUMPABLE, settings->suid_dumpable);
	return r;
}

/* ---- what was there ---- */

static int save_settings(const struct settings *settings)
{
	_cleanup_close_ int dir_fd = open(SAVED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	char text[3 * SYSCTL_SIZE + 8];
	int n, r;

	if (dir_fd < 0)
		return -errno;
	r = dir_open_file(dir_fd, SAVED_TEMP, O_WRONLY | O_CREAT | O_TRUNC, &fd);
	if (r != 0)
		return r;
	n = snprintf(text, sizeof(text), "%s\n%s\n%s\n", settings->pattern,
		     settings->pipe_limit, settings->suid_dumpable);
	r = dir_write_all(fd, text, (size_t)n);
	if (r == 0 && renameat(dir_fd, SAVED_TEMP, dir_fd, SAVED_FILE) < 0)
		r = -errno;
	return r;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int split_saved(char *text, struct settings *ret_settings)
{
	struct settings settings;
	char *fields[] = { settings.pattern, settings.pipe_limit, settings.suid_dumpable };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char *end = strchr(text, '\n');

		if (!end || end - text >= SYSCTL_SIZE)
			return -EINVAL;
		memcpy(fields[i], text, (size_t)(end - text));
		fields[i][end - text] = '\0';
		text = end + 1;
	}
	if (!is_number(settings.pipe_limit) || !is_number(settings.suid_dumpable))
		return -EINVAL;
	*ret_settings = settings;
	return 0;
}

static int load_settings(struct settings *settings)
{
	_cleanup_close_ int dir_fd = open(SAVED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r;

	if (dir_fd < 0)
		return -errno;
	r = dir_open_file(dir_fd, SAVED_FILE, O_RDONLY, &fd);
	if (r == 0)
		r = dir_read_fd(fd, 3 * SYSCTL_SIZE, &text, &bytes);
	if (r == 0)
		r = split_saved(text, settings);
	return r;
}

/* ---- the state directory ---- */

static int make_directory(struct cmd *cmd)
{
	const char *path = cmd->config.directory;
	uid_t uid;
	gid_t gid;

	if (access(path, F_OK) == 0)
		return CMD_DONE;
	if (!settings_find_user(&uid, &gid))
		return cmd_failed(cmd,
				  "%s does not exist and there is no user '" SETTINGS_USER
				  "' to own it: make one (useradd --system --no-create-home "
				  "--shell /usr/sbin/nologin " SETTINGS_USER ")",
				  path);
	if (mkdir(path, 0700) < 0)
		return cmd_failed(cmd, "cannot make %s: %s%s", path, strerror(errno),
				  errno == ENOENT ? " (the directory above it has to be there)" :
						    "");
	if (lchown(path, uid, gid) < 0)
		return cmd_failed(cmd, "cannot give %s to '" SETTINGS_USER "': %s", path,
				  strerror(errno));
	return CMD_DONE;
}

static int check_directory(struct cmd *cmd)
{
	const char *path = cmd->config.directory;
	_cleanup_close_ int fd = -1;
	uid_t uid;
	gid_t gid;
	int r;

	r = make_directory(cmd);
	if (r != CMD_DONE)
		return r;
	r = dir_open_private(path, &fd, &uid, &gid);
	if (r != 0)
		return cmd_failed(cmd, "%s: %s", path, dir_strerror(r));
	if (uid == 0)
		(void)cmd_failed(cmd,
				 "warning: %s belongs to root: crashes will be counted but not "
				 "kept until it belongs to a user of its own",
				 path);
	return CMD_DONE;
}

/* ---- enable ---- */

static int make_pattern(struct cmd *cmd, char pattern[static SYSCTL_SIZE])
{
	char whole[2 * PATH_MAX];
	int status = settings_pattern(cmd, whole, sizeof(whole));

	if (status == CMD_DONE && strlen(whole) > PATTERN_MAX)
		return cmd_failed(cmd,
				  "core_pattern holds %d characters and this takes %zu: move the "
				  "program or its configuration to a shorter path",
				  PATTERN_MAX, strlen(whole));
	(void)snprintf(pattern, SYSCTL_SIZE, "%.*s", PATTERN_MAX, whole);
	return status;
}

static int write_setting(struct cmd *cmd, const char *path, const char *value)
{
	int r = sysctl_write(path, value);

	if (r == SYSCTL_E_CUT)
		return cmd_failed(cmd, "%s does not hold what was written to it", path);
	if (r < 0)
		return cmd_failed(cmd, "%s: %s", path, strerror(-r));
	return CMD_DONE;
}

static int put_back(struct cmd *cmd, const struct settings *settings)
{
	int status = CMD_DONE;

	if (write_setting(cmd, SYSCTL_SUID_DUMPABLE, settings->suid_dumpable) != CMD_DONE ||
	    write_setting(cmd, SYSCTL_CORE_PIPE_LIMIT, settings->pipe_limit) != CMD_DONE)
		status = CMD_FAILED;
	if (write_setting(cmd, SYSCTL_CORE_PATTERN, settings->pattern) != CMD_DONE)
		status = CMD_FAILED;
	return status;
}

static int apply(struct cmd *cmd, const char *pattern, const struct settings *before)
{
	if (write_setting(cmd, SYSCTL_CORE_PATTERN, pattern) == CMD_DONE &&
	    write_setting(cmd, SYSCTL_CORE_PIPE_LIMIT, SETTINGS_PIPE_LIMIT) == CMD_DONE &&
	    write_setting(cmd, SYSCTL_SUID_DUMPABLE, SETTINGS_SUID_DUMPABLE) == CMD_DONE)
		return CMD_DONE;
	(void)put_back(cmd, before);
	return CMD_FAILED;
}

static int check_arguments(struct cmd *cmd)
{
	int status = CMD_DONE;

	if (cmd_option(cmd, &status) != 0)
		return status == CMD_DONE ? -1 : status;
	if (cmd_no_arguments(cmd) != CMD_DONE)
		return CMD_USAGE;
	if (geteuid() != 0)
		return cmd_failed(cmd, "only root may change core_pattern");
	return cmd_read_config(cmd);
}

/*
 * Another handler took the pattern while we were enabled: the pattern to remember is its
 * own, but what else it left as we had set it was somebody's before us.
 */
static int remember(const struct settings *before)
{
	struct settings earlier, now = *before;

	if (load_settings(&earlier) == 0) {
		if (strcmp(now.pipe_limit, SETTINGS_PIPE_LIMIT) == 0)
			memcpy(now.pipe_limit, earlier.pipe_limit, sizeof(now.pipe_limit));
		if (strcmp(now.suid_dumpable, SETTINGS_SUID_DUMPABLE) == 0)
			memcpy(now.suid_dumpable, earlier.suid_dumpable, sizeof(now.suid_dumpable));
	}
	return save_settings(&now);
}

/* ---- one at a time ---- */

/* Two at once would remember one another's settings. Held until the process ends. */
static int lock_settings(struct cmd *cmd)
{
	int dir_fd = open(SAVED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1, r;

	r = dir_fd < 0 ? -errno : dir_open_file(dir_fd, LOCK_FILE, O_RDWR | O_CREAT, &fd);
	close_fd(&dir_fd);
	if (r == 0 && flock(fd, LOCK_EX) < 0)
		r = -errno;
	return r == 0 ? CMD_DONE :
			cmd_failed(cmd, SAVED_DIR "/" LOCK_FILE ": %s", dir_strerror(r));
}

/* ---- whoever applies sysctl settings again ---- */

static const char sysctl_text[] =
	"# Written by 'corefold enable', removed by 'corefold disable'.\n"
	"kernel.core_pattern = %s\n"
	"kernel.core_pipe_limit = " SETTINGS_PIPE_LIMIT "\n"
	"fs.suid_dumpable = " SETTINGS_SUID_DUMPABLE "\n";

/*
 * An upgrade of systemd, say, applies its 50-coredump.conf again; this file comes after it.
 * Not for a program that was started with a configuration of its own: that is a trial.
 */
static void keep_settings(struct cmd *cmd, const char *pattern)
{
	char text[sizeof(sysctl_text) + SYSCTL_SIZE];
	int r;

	if (cmd->config_path)
		return;
	(void)snprintf(text, sizeof(text), sysctl_text, pattern);
	r = sysctld_write(text);
	if (r < 0)
		(void)cmd_failed(cmd,
				 "warning: " SYSCTLD_DIR "/" SYSCTLD_FILE ": %s: whoever runs "
				 "sysctl may put another handler behind core_pattern",
				 strerror(-r));
}

static int tell_enabled(struct cmd *cmd, const char *pattern, const struct settings *before)
{
	enum pattern_kind kind = pattern_kind(before->pattern);

	if (strcmp(pattern, before->pattern) == 0) {
		(void)printf("core_pattern: %s\n(already enabled)\n", pattern);
		return cmd_flush(cmd);
	}
	(void)printf("core_pattern: %s\n(was: %s)\n", pattern, before->pattern);
	if (kind == PATTERN_PIPE || kind == PATTERN_SOCKET)
		(void)printf("%s gets no more core dumps until 'corefold disable'\n",
			     pattern_owner(before->pattern));
	return cmd_flush(cmd);
}

static int enable_run(struct cmd *cmd)
{
	struct settings before;
	char pattern[SYSCTL_SIZE];
	int status, r;

	status = check_arguments(cmd);
	if (status != CMD_DONE)
		return status < 0 ? CMD_DONE : status;
	status = make_pattern(cmd, pattern);
	if (status == CMD_DONE)
		status = check_directory(cmd);
	if (status == CMD_DONE)
		status = lock_settings(cmd);
	if (status != CMD_DONE)
		return status;
	r = read_settings(&before);
	if (r < 0)
		return cmd_failed(cmd, "cannot read the kernel's settings: %s", strerror(-r));
	/* Enabled already: what was there before the first time stays what was there. */
	if (!pattern_is_ours(before.pattern)) {
		r = remember(&before);
		if (r != 0)
			return cmd_failed(cmd, SAVED_DIR "/" SAVED_FILE ": %s", dir_strerror(r));
	}
	status = apply(cmd, pattern, &before);
	if (status != CMD_DONE)
		return status;
	keep_settings(cmd, pattern);
	return tell_enabled(cmd, pattern, &before);
}

/* ---- disable ---- */

static int disable_run(struct cmd *cmd)
{
	struct settings saved = { .pattern = "core", .pipe_limit = "0", .suid_dumpable = "0" };
	int status, r;

	status = check_arguments(cmd);
	if (status != CMD_DONE)
		return status < 0 ? CMD_DONE : status;
	status = lock_settings(cmd);
	if (status != CMD_DONE)
		return status;
	r = sysctld_remove(); /* first, or it would put us back */
	if (r < 0)
		return cmd_failed(cmd, SYSCTLD_DIR "/" SYSCTLD_FILE ": %s", strerror(-r));
	if (!cmd_pattern_is_ours())
		return cmd_failed(cmd, "core_pattern is not corefold's: nothing to put back");
	r = load_settings(&saved);
	if (r == -ENOENT)
		(void)cmd_failed(cmd, "what was there before is not known: the kernel's defaults "
				      "are put back");
	else if (r == -EINVAL)
		(void)cmd_failed(cmd, SAVED_DIR "/" SAVED_FILE " is damaged, so what was there "
				      "before is not known: the kernel's defaults are put back");
	else if (r != 0)
		return cmd_failed(cmd, SAVED_DIR "/" SAVED_FILE ": %s", dir_strerror(r));
	status = put_back(cmd, &saved);
	if (status != CMD_DONE)
		return status;
	(void)unlink(SAVED_DIR "/" SAVED_FILE);
	(void)printf("core_pattern: %s\n", saved.pattern);
	return cmd_flush(cmd);
}

const struct command cmd_enable = {
	.name = "enable",
	.arguments = "",
	.summary = "put corefold behind core_pattern",
	.description = "Writes kernel.core_pattern and reads it back, then kernel.core_pipe_limit\n"
		       "(" SETTINGS_PIPE_LIMIT ") and fs.suid_dumpable (" SETTINGS_SUID_DUMPABLE
		       "), and remembers what was there. Another handler\n"
		       "gets no more core dumps then, until 'corefold disable'.",
	.run = enable_run,
};

const struct command cmd_disable = {
	.name = "disable",
	.arguments = "",
	.summary = "put back what was behind core_pattern before",
	.run = disable_run,
};
