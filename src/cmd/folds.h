/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Folded crashes, told from the lines that are appended to the counters: no lock is taken,
 * and a file that was rolled up tells nothing twice.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct folds {
	json_t *folded; /* of each process, as the counters had it last */
	json_int_t crashes; /* in all, as of the last line */
	uint64_t at; /* read so far ... */
	ino_t inode; /* ... of this file */
};

#define FOLDS_NULL { 0 }

/* Crashes of a process that were folded since the line before. */
struct fold {
	const char *process; /* borrowed */
	json_int_t uid;
	json_int_t time_s;
	json_int_t count;
	json_int_t pending;
};

/* False: no more of them. */
typedef bool folds_tell(void *userdata, const struct fold *fold);

/* What has been appended; or all of it, when another file took its place. tell may be NULL. */
void folds_read(struct folds *folds, int dir_fd, folds_tell *tell, void *userdata);
void folds_done(struct folds *folds);
