/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Regular files in a gzipped tar archive (POSIX ustar; sizes beyond 8 GiB as GNU tar has
 * them). Nothing else can be in one that we write, and nothing else is taken from one that
 * we read, which anybody may have written.
 */

#include <stdbool.h>
#include <stdint.h>

#define TAR_NAME_SIZE 257 /* prefix, slash, name */

enum {
	TAR_E_END = 1, /* no more files */
	TAR_E_BAD = 2, /* not an archive, or cut off */
};

struct tar;

/* fd stays the caller's. NULL: no memory. */
struct tar *tar_new_writer(int fd);
struct tar *tar_new_reader(int fd);
/* A writer's archive is complete then. 0, -errno. */
int tar_close(struct tar *tar);

/* Adds a file of so many bytes; packed: it is compressed already. -errno; -EIO when fd has fewer. */
int tar_put_fd(struct tar *tar, const char *name, int fd, uint64_t bytes, bool packed);
int tar_put_bytes(struct tar *tar, const char *name, const void *bytes, uint64_t n);

/*
 * The next regular file; what was not read of the last one is passed over. 0, TAR_E_END,
 * TAR_E_BAD, -errno. The name is as it stands: not checked for what it leads to.
 */
int tar_next(struct tar *tar, char ret_name[static TAR_NAME_SIZE], uint64_t *ret_bytes);
/* Copies the file to fd, or skips what is left of it (fd -1). 0, TAR_E_BAD, -errno. */
int tar_read_fd(struct tar *tar, int fd);
