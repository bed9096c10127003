/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * An archive that `export` has made, or that somebody says it has: below one directory
 * record.json, core.gz, and debug/.build-id/ab/cdef... with or without .debug behind it.
 * Of what is in a foreign one, only files with exactly these names are taken, only regular
 * ones, up to a size, and into a new directory of our own.
 */

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/cmd.h"
#include "core/tar.h"

#define BUNDLE_RECORD "record.json"
#define BUNDLE_CORE "core.gz"
#define BUNDLE_BUILD_IDS "debug/.build-id"
#define BUNDLE_FILES_MAX (16ULL << 30) /* all but the core, plain */

struct bundle {
	json_t *record;
	int core_fd; /* as it is stored; -1: there was none */
	char directory[PATH_MAX]; /* holds debug/.build-id; "": none was made */
};
#define BUNDLE_NULL { .core_fd = -1 }

bool bundle_is_build_id(const char *text);

/* The name of a file in the archive. */
void bundle_name(const char *id, const char *build_id, const char *suffix,
		 char ret_name[static TAR_NAME_SIZE]);

/* Does this file begin as one? For telling it from a path that names an executable. */
bool bundle_looks_like(int fd);

/* Unpacks below `parent`. CMD_DONE, or CMD_FAILED after saying what is wrong with `path`. */
int bundle_open(struct cmd *cmd, int fd, const char *path, const char *parent,
		struct bundle *bundle);
/* Removes what was unpacked. */
void bundle_done(struct bundle *bundle);
