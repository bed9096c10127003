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
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/sysctl.h"

#define SAVED_DIR "/run"
#define SAVED_FILE "corefold.saved"
#define CORE_PIPE_LIMIT "256"
#define SUID_DUMPABLE "2"
#define USER "corefold"

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
	r = dir_open_file(dir_fd, SAVED_FILE, O_WRONLY | O_CREAT | O_TRUNC, &fd);
	if (r != 0)
		return r;
	n = snprintf(text, sizeof(text), "%s\n%s\n%s\n", settings->pattern,
		     settings->pipe_limit, settings->suid_dumpable);
	return dir_write_all(fd, text, (size_t)n);
}

static int split_saved(char *text, struct settings *settings)
{
	char *fields[] = { settings->pattern, settings->pipe_limit, settings->suid_dumpable };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char *end = strchr(text, '\n');

		if (!end || end - text >= SYSCTL_SIZE)
			return -EINVAL;
		memcpy(fields[i], text, (size_t)(end - text));
		fields[i][end - text] = '\0';
		text = end + 1;
	}
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

/* Straight from the file: no name service is asked, here or anywhere. */
static bool find_user(uid_t *ret_uid, gid_t *ret_gid)
{
	_cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		unsigned int uid, gid;

		if (strncmp(line, USER ":", strlen(USER ":")) != 0 ||
		    sscanf(line, USER ":%*[^:]:%u:%u:", &uid, &gid) != 2)
			continue;
		*ret_uid = uid;
		*ret_gid = gid;
		return true;
	}
	return false;
}

static int make_directory(struct cmd *cmd)
{
	const char *path = cmd->config.directory;
	uid_t uid;
	gid_t gid;

	if (access(path, F_OK) == 0)
		return CMD_DONE;
	if (!find_user(&uid, &gid))
		return cmd_failed(cmd,
				  "%s does not exist and there is no user '" USER
				  "' to own it: make one (useradd --system --no-create-home "
				  "--shell /usr/sbin/nologin " USER ")",
				  path);
	if (mkdir(path, 0700) < 0)
		return cmd_failed(cmd, "%s: %s", path, strerror(errno));
	if (lchown(path, uid, gid) < 0)
		return cmd_failed(cmd, "cannot give %s to '" USER "': %s", path, strerror(errno));
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

/* The pattern runs this very program, with the configuration that was named. */
static int make_pattern(struct cmd *cmd, char pattern[static SYSCTL_SIZE])
{
	char self[PATH_MAX], config[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int length;

	if (n < 0)
		return cmd_failed(cmd, "cannot find out where this program is: %s",
				  strerror(errno));
	self[n] = '\0';
	if (cmd->config_path && !realpath(cmd->config_path, config))
		return cmd_failed(cmd, "%s: %s", cmd->config_path, strerror(errno));
	if (strpbrk(self, " \t\n") || strpbrk(config, " \t\n"))
		return cmd_failed(cmd, "core_pattern cannot hold a path with blanks: '%s' '%s'",
				  self, config);
	length = snprintf(pattern, SYSCTL_SIZE,
			  "|%s handle%s%s -P%%P -I%%I -u%%u -g%%g -s%%s -t%%t -c%%c -d%%d -F%%F",
			  self, config[0] ? " -C" : "", config);
	if (length > 127)
		return cmd_failed(cmd,
				  "core_pattern holds 127 characters and this takes %d: move the "
				  "program or its configuration to a shorter path",
				  length);
	return CMD_DONE;
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
	    write_setting(cmd, SYSCTL_CORE_PIPE_LIMIT, CORE_PIPE_LIMIT) == CMD_DONE &&
	    write_setting(cmd, SYSCTL_SUID_DUMPABLE, SUID_DUMPABLE) == CMD_DONE)
		return CMD_DONE;
	(void)put_back(cmd, before);
	return CMD_FAILED;
}

static int check_arguments(struct cmd *cmd)
{
	int status = CMD_DONE;

	if (cmd_option(cmd, &status) != 0)
		return status == CMD_DONE ? -1 : status;
	if (optind < cmd->argc)
		return cmd_usage_error(cmd, "takes no arguments: '%s'", cmd->argv[optind]);
	if (geteuid() != 0)
		return cmd_failed(cmd, "only root may change core_pattern");
	return cmd_read_config(cmd);
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
	if (status != CMD_DONE)
		return status;
	r = read_settings(&before);
	if (r < 0)
		return cmd_failed(cmd, "cannot read the kernel's settings: %s", strerror(-r));
	/* Enabled already: what was there before the first time stays what was there. */
	if (!cmd_pattern_is_ours()) {
		r = save_settings(&before);
		if (r != 0)
			return cmd_failed(cmd, SAVED_DIR "/" SAVED_FILE ": %s", dir_strerror(r));
	}
	status = apply(cmd, pattern, &before);
	if (status == CMD_DONE)
		(void)printf("core_pattern: %s\n(was: %s)\n", pattern, before.pattern);
	return status == CMD_DONE ? cmd_flush(cmd) : status;
}

static int disable_run(struct cmd *cmd)
{
	struct settings saved = { .pattern = "core", .pipe_limit = "0", .suid_dumpable = "0" };
	int status, r;

	status = check_arguments(cmd);
	if (status != CMD_DONE)
		return status < 0 ? CMD_DONE : status;
	if (!cmd_pattern_is_ours())
		return cmd_failed(cmd, "core_pattern is not corefold's: nothing to put back");
	r = load_settings(&saved);
	if (r == -ENOENT)
		(void)cmd_failed(cmd, "what was there before is not known: the kernel's defaults "
				      "are put back");
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
		       "(" CORE_PIPE_LIMIT ") and fs.suid_dumpable (" SUID_DUMPABLE
		       "), and remembers what was there.",
	.run = enable_run,
};

const struct command cmd_disable = {
	.name = "disable",
	.arguments = "",
	.summary = "put back what was behind core_pattern before",
	.run = disable_run,
};
