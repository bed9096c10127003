/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Files that somebody names as those a saved core's modules are among, known by their
 * build-ids. They are looked for where the caller says; no name in a core leads to one.
 *
 * Each is opened while it is looked for, with the rights that the caller has then, and
 * stays open: who parses the core has other rights, or none.
 */

#include <stddef.h>

/* A module, its debug file, and copies of them: more of one build-id are not kept. */
#define BUILDFILES_SAME 4

struct buildfiles;

/*
 * Adds a file, or what lies below a directory: on its file system, through no symbolic
 * link. What is no ELF file or may not be read is left out. Makes *files if it is NULL.
 * -errno: nothing can be looked for there, or -EMFILE: more files than can be open.
 */
int buildfiles_add(struct buildfiles **files, const char *path);

/* Descriptors of those with that build-id, borrowed. Returns how many. */
size_t buildfiles_find(const struct buildfiles *files, const char *build_id,
		       int ret_fd[static BUILDFILES_SAME]);

void buildfiles_free(struct buildfiles *files);
