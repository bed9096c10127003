/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A core that is put together rather than read: headers and notes from buffers, memory
 * from the held process, zeros where there is neither. Any part of it can be read at any
 * time, by any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"

struct image_extent {
	uint64_t offset; /* in the core */
	uint64_t address; /* in the process */
	uint64_t bytes;
};

struct image {
	unsigned char *head; /* owned: file header and program headers */
	size_t head_bytes;
	const void *notes; /* borrowed: they follow the head */
	size_t notes_bytes;
	unsigned char *files; /* owned: takes the place of a part of the notes; NULL: none does */
	size_t files_bytes;
	uint64_t files_offset; /* in the core */
	struct image_extent *extent; /* owned, by offset, apart from each other and the head */
	size_t extents;
	unsigned char tail[64]; /* the section header that holds a large number of segments */
	size_t tail_bytes;
	uint64_t size; /* the tail is the end */
	uint64_t memory_bytes; /* sum of the extents */
};

#define IMAGE_NULL { 0 }

void image_done(struct image *image);

/* Up to here it needs nobody's memory: head and notes. */
static inline uint64_t image_own_bytes(const struct image *image)
{
	return image->head_bytes + image->notes_bytes;
}

/*
 * Reads n bytes at the offset, which lie in the image. *ret_zeros: there was nothing to
 * read, and nothing was written. 0, or -ESRCH: the process is gone, and only what is head
 * and notes was written.
 */
int image_read(const struct image *image, const struct memory *memory, uint64_t offset,
	       void *bytes, size_t n, bool *ret_zeros, _Atomic uint64_t *unreadable_bytes);
