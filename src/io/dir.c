/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "io/cleanup.h"

static int open_dir(int at_fd, const char *path, struct stat *ret_st)
{
	int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_st) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

/* The kernel says ENOTDIR for a link, too, where a directory is asked for. */
static int unusable_dir(int at_fd, const char *path, int r)
{
	struct stat st;

	if (r != -ELOOP && r != -ENOTDIR)
		return r;
	return fstatat(at_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) ?
		       DIR_E_LINK :
		       DIR_E_KIND;
}

/* Only root and `owner` may put something into this directory. */
static int check_parent(const char *path, uid_t owner)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return -ENOMEM;
	if (stat(dirname(copy), &st) < 0)
		return -errno;
	if (st.st_uid != 0 && st.st_uid != owner)
		return DIR_E_ABOVE_OWNER;
	return st.st_mode & (S_IWGRP | S_IWOTH) ? DIR_E_ABOVE_WRITABLE : 0;
}

int dir_open_private(const char *path, int *ret_fd, uid_t *ret_uid, gid_t *ret_gid)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	fd = open_dir(AT_FDCWD, path, &st);
	if (fd < 0)
		return unusable_dir(AT_FDCWD, path, fd);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return DIR_E_WRITABLE;
	r = check_parent(path, st.st_uid);
	if (r != 0)
		return r;
	*ret_uid = st.st_uid;
	*ret_gid = st.st_gid;
	*ret_fd = take_fd(&fd);
	return 0;
}

int dir_open_below(int dir_fd, const char *name, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat above, st;

	if (fstat(dir_fd, &above) < 0)
		return -errno;
	fd = open_dir(dir_fd, name, &st);
	if (fd == -ENOENT) {
		if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = open_dir(dir_fd, name, &st);
	}
	if (fd < 0)
		return unusable_dir(dir_fd, name, fd);
	if (st.st_uid != above.st_uid)
		return DIR_E_OWNER;
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return DIR_E_WRITABLE;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* st_nlink 0 is a file that was unlinked under us: the caller opens again. */
static int check_file(int dir_fd, int fd)
{
	struct stat above, st;

	if (fstat(dir_fd, &above) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return DIR_E_KIND;
	if (st.st_uid != above.st_uid)
		return DIR_E_OWNER;
	if (st.st_nlink > 1)
		return DIR_E_NAMES;
	return st.st_mode & (S_IWGRP | S_IWOTH) ? DIR_E_WRITABLE : 0;
}

int dir_open_file(int dir_fd, const char *name, int flags, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
		    0600);
	if (fd < 0) {
		if (errno == ELOOP)
			return DIR_E_LINK;
		/* A FIFO without reader, a socket, a directory: nothing we made. */
		return errno == ENXIO || errno == EISDIR ? DIR_E_KIND : -errno;
	}
	r = check_file(dir_fd, fd);
	if (r != 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int dir_is_named(int dir_fd, const char *name, int fd)
{
	struct stat ours, named;

	if (fstat(fd, &ours) < 0)
		return -errno;
	if (fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

int dir_look(int dir_fd, const char *name, bool directory, uid_t *ret_uid)
{
	struct stat above, st;

	if (fstat(dir_fd, &above) < 0)
		return -errno;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	*ret_uid = st.st_uid;
	if (st.st_uid != above.st_uid)
		return DIR_E_OWNER;
	if (S_ISLNK(st.st_mode))
		return DIR_E_LINK;
	if (directory ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
		return DIR_E_KIND;
	if (!directory && st.st_nlink > 1)
		return DIR_E_NAMES;
	return st.st_mode & (S_IWGRP | S_IWOTH) ? DIR_E_WRITABLE : 0;
}

int dir_read_fd(int fd, size_t max_bytes, char **ret_text, size_t *ret_bytes)
{
	_cleanup_free_ char *text = NULL;
	size_t used = 0, size = 0;

	for (;;) {
		ssize_t n;

		if (used + 1 >= size) {
			char *larger;

			size = size ? size * 2 : 4096;
			larger = realloc(text, size);
			if (!larger)
				return -ENOMEM;
			text = larger;
		}
		n = read(fd, text + used, size - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max_bytes)
			return DIR_E_TOO_LARGE;
	}
	text[used] = '\0';
	*ret_text = text;
	text = NULL;
	*ret_bytes = used;
	return 0;
}

int dir_read_file(int dir_fd, const char *name, size_t max_bytes, char **ret_text,
		  size_t *ret_bytes)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = dir_open_file(dir_fd, name, O_RDONLY, &fd);
	if (r == 0)
		r = dir_read_fd(fd, max_bytes, ret_text, ret_bytes);
	return r > 0 ? -EPERM : r;
}

int dir_open_stream(int dir_fd, const char *name, FILE **ret_file)
{
	int fd, r;

	r = dir_open_file(dir_fd, name, O_RDONLY, &fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	*ret_file = fdopen(fd, "r");
	if (*ret_file)
		return 0;
	(void)close(fd);
	return -ENOMEM;
}

void dir_clean(int dir_fd, const char *prefix, int64_t wall_seconds, int64_t age_seconds)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		cleanup_close(&fd);
		return;
	}
	while ((entry = readdir(dir))) {
		struct stat st;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
		    fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    wall_seconds - st.st_mtime >= age_seconds)
			(void)unlinkat(dir_fd, entry->d_name, 0);
	}
	(void)closedir(dir);
}

int dir_write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t written = write(fd, p, n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		if (written == 0)
			return -EIO;
		p += written;
		n -= (size_t)written;
	}
	return 0;
}

int dir_move_aside(int dir_fd, const char *name)
{
	char aside[NAME_MAX];
	int r;

	(void)snprintf(aside, sizeof(aside), "%s.bad", name);
	if (renameat(dir_fd, name, dir_fd, aside) == 0)
		return 0;
	r = -errno;
	for (int i = 1; i <= 9 && (r == -EISDIR || r == -ENOTDIR || r == -ENOTEMPTY || r == -EEXIST);
	     i++) {
		(void)snprintf(aside, sizeof(aside), "%s.bad.%d", name, i);
		r = renameat(dir_fd, name, dir_fd, aside) < 0 ? -errno : 0;
	}
	return r;
}

const char *dir_strerror(int r)
{
	switch (r) {
	case DIR_E_LINK:
		return "not safe to use: it is a symbolic link";
	case DIR_E_KIND:
		return "not safe to use: something else than what belongs there (a pipe, a "
		       "device, a file for a directory)";
	case DIR_E_OWNER:
		return "not safe to use: it belongs to another user";
	case DIR_E_NAMES:
		return "not safe to use: it has a second name (hard link)";
	case DIR_E_WRITABLE:
		return "not safe to use: its group or others may write to it (chmod go-w helps)";
	case DIR_E_ABOVE_OWNER:
		return "not safe to use: the directory above belongs to another user";
	case DIR_E_ABOVE_WRITABLE:
		return "not safe to use: the group or others may write to the directory above "
		       "(chmod go-w helps)";
	case DIR_E_TYPE:
		return "not a regular file";
	case DIR_E_TOO_LARGE:
		return "too large";
	default:
		return r < 0 ? strerror(-r) : "no error";
	}
}
