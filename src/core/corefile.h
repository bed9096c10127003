/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A core in a file, whatever its form: plain ELF, our gzip members (seekable), or any
 * other gzip (decompressed into an unlinked temporary file when opened). Bytes are
 * addressed as in the plain core.
 *
 * Reading memory works for any core with program headers: an address in no segment, or in
 * the part of a segment that is not in the file, is COREFILE_E_ABSENT. It is zeros only
 * where a core of ours says that they are true (LAYOUT_ZEROS_BEHIND in core/layout.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/elfcore.h"

enum {
	COREFILE_E_ABSENT = 8, /* not in the core */
	COREFILE_E_DAMAGED = 9, /* the file is truncated or corrupt there */
};

struct corefile;

/* Takes over the descriptor, failed or not. */
int corefile_open(int fd, struct corefile **ret_file);
void corefile_free(struct corefile *file);

/* The file behind it, in the form it has; borrowed. */
int corefile_fd(const struct corefile *file);

/* Neither gzip nor ELF: it may be anything, and is none of what a store has. */
bool corefile_is_noise(const struct corefile *file);

/* Size of the plain core in bytes, as far as the file goes. */
uint64_t corefile_size(const struct corefile *file);

/* Reads up to n plain bytes at offset: the count, 0 at the end, -errno or -EIO (damaged). */
ssize_t corefile_read(struct corefile *file, void *bytes, size_t n, uint64_t offset);

/*
 * The same bytes in blocks of up to MEMBER_PLAIN that threads may read at once, each with
 * a scratch buffer of MEMBER_BOUND: the count and where the block lies, 0 behind the last.
 */
ssize_t corefile_read_block(const struct corefile *file, size_t index, void *scratch,
			    void *block, uint64_t *ret_offset);

/*
 * Reads and parses the head. The result is owned by the file. 0, ELFCORE_E_*, -errno, or
 * COREFILE_E_DAMAGED where compressed data it lies in cannot be unpacked.
 */
int corefile_head(struct corefile *file, const struct elfcore **ret_core,
		  const void **ret_head, size_t *ret_head_bytes);

#define COREFILE_ERROR_SIZE 96u
const char *corefile_strerror(const struct corefile *file, int r,
			      char text[static COREFILE_ERROR_SIZE]);

/*
 * Has the file compressed data that cannot be unpacked, or does it end inside them? Then
 * where (in the file). Known of what was read; of a cut or broken chain of members from the
 * start.
 */
bool corefile_damage(const struct corefile *file, uint64_t *ret_stored_at);

/* Reads n bytes of the process's memory, all or nothing: 0, COREFILE_E_* or -errno. */
int corefile_memory(struct corefile *file, uint64_t address, void *bytes, size_t n);
