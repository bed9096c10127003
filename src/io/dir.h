/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Directories and files that another user might have prepared for us.
 *
 * Opening follows one rule: O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC, then fstat: of the right
 * type, owned by the owner of the directory, one link, not writable by group or others.
 * Anything else is unsafe; the code names the rule that it breaks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
	/* Exists, but somebody else could have put or change it: see dir_is_unsafe(). */
	DIR_E_LINK = 1, /* a symbolic link */
	DIR_E_KIND, /* a FIFO, a device, a directory for a file or the other way round */
	DIR_E_OWNER, /* not of the directory's owner */
	DIR_E_NAMES, /* has a second name */
	DIR_E_WRITABLE, /* by its group or others */
	DIR_E_ABOVE_OWNER, /* the parent is neither root's nor its owner's */
	DIR_E_ABOVE_WRITABLE, /* the parent, by its group or others */

	DIR_E_TOO_LARGE,
	DIR_E_TYPE, /* no regular file, where any owner would do */
};

static inline bool dir_is_unsafe(int r)
{
	return r >= DIR_E_LINK && r <= DIR_E_ABOVE_WRITABLE;
}

/*
 * Opens a directory that only its owner may write to, in a parent that only root or that
 * owner may write to. ret_uid and ret_gid: the directory's owner.
 */
int dir_open_private(const char *path, int *ret_fd, uid_t *ret_uid, gid_t *ret_gid);

/* Opens a directory below an open one, made 0700 if it is missing. */
int dir_open_below(int dir_fd, const char *name, int *ret_fd);

/* Opens a file below the directory by the rule above. flags: open(2), with O_CREAT mode 0600. */
int dir_open_file(int dir_fd, const char *name, int flags, int *ret_fd);

/*
 * Does the open file still stand under this name? Between open and lock it may have been
 * renamed or replaced. 1 or 0, or -errno where that is not to be known.
 */
int dir_is_named(int dir_fd, const char *name, int fd);

/* 0, or the rule that what stands under this name breaks: nothing is opened. Missing is 0. */
int dir_look(int dir_fd, const char *name, bool directory, uid_t *ret_uid);

/* Reads a whole regular file, at most max_bytes, with a NUL behind it. The caller frees. */
int dir_read_fd(int fd, size_t max_bytes, char **ret_text, size_t *ret_bytes);
/* The same for a file below the directory, by the rule above; what is unsafe is -EPERM. */
int dir_read_file(int dir_fd, const char *name, size_t max_bytes, char **ret_text,
		  size_t *ret_bytes);
/* Opens it as a stream, as dir_read_file() does. */
int dir_open_stream(int dir_fd, const char *name, FILE **ret_file);

/* Removes files whose name begins so and that nobody wrote to for that long. Best effort. */
void dir_clean(int dir_fd, const char *prefix, int64_t wall_seconds, int64_t age_seconds);

/* Writes all or fails; short writes and EINTR are dealt with. */
int dir_write_all(int fd, const void *bytes, size_t n);

/*
 * What cannot be used (damage, a link, a FIFO, a file for a directory) is renamed to
 * `name`.bad. A file found there is replaced; what cannot be replaced (a directory) makes it
 * `name`.bad.1 to .9. -errno when nothing helped.
 */
int dir_move_aside(int dir_fd, const char *name);

/* One line naming what `r` of dir_open_* means. */
const char *dir_strerror(int r);
