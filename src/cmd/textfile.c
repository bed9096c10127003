/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * MUST: the directory belongs to root or to us, and nobody else may write to it; it is
 * opened once, and all else happens below that descriptor; no link is followed.
 */

#include "cmd/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"

#define TEMP ".corefold-textfile.new" /* no .prom: the collector does not look at it */

static int open_directory(const char *path, int *ret_fd)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? DIR_E_KIND : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return DIR_E_ABOVE_OWNER;
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return DIR_E_ABOVE_WRITABLE;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_temp(int dir_fd, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(dir_fd, TEMP,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? DIR_E_KIND : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return DIR_E_KIND;
	if (st.st_uid != geteuid())
		return DIR_E_OWNER;
	if (st.st_nlink > 1)
		return DIR_E_NAMES;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -EBUSY; /* another tick is at it */
	if (ftruncate(fd, 0) < 0 || fchmod(fd, 0644) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Empty: the child had nothing to say. */
static int publish(int dir_fd, int fd, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return unlinkat(dir_fd, TEMP, 0) < 0 ? -errno : 0;
	if (fsync(fd) < 0 || renameat(dir_fd, TEMP, dir_fd, basename(copy)) < 0)
		return -errno;
	return 0;
}

static void finish(struct cmd *cmd, pid_t child, int dir_fd, int fd)
{
	const char *path = cmd->config.textfile;
	int status, r;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status)) {
		(void)unlinkat(dir_fd, TEMP, 0);
		exit(CMD_FAILED);
	}
	r = publish(dir_fd, fd, path);
	if (r < 0)
		exit(cmd_failed(cmd, "%s: %s", path, strerror(-r)));
	exit(WEXITSTATUS(status));
}

int textfile_open(struct cmd *cmd, struct textfile *textfile)
{
	_cleanup_close_ int dir_fd = -1, fd = -1;
	const char *path = cmd->config.textfile;
	pid_t child;
	int r;

	if (!*path)
		return CMD_DONE;
	r = open_directory(path, &dir_fd);
	if (r == 0)
		r = open_temp(dir_fd, &fd);
	if (r != 0)
		return cmd_failed(cmd, "%s: %s", path, dir_strerror(r));
	child = fork();
	if (child < 0)
		return cmd_failed(cmd, "cannot start a process: %s", strerror(errno));
	if (child > 0)
		finish(cmd, child, dir_fd, fd);
	textfile->fd = take_fd(&fd);
	return CMD_DONE;
}

void textfile_abort(struct textfile *textfile)
{
	if (textfile->fd >= 0)
		(void)!ftruncate(textfile->fd, 0); /* then it is not whole, and monitoring sees that */
	close_fd(&textfile->fd);
}
