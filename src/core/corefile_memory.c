/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The head of a stored core, and the memory of its process by address. */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/corefile_internal.h"
#include "core/layout.h"

/* ---- the head ---- */

static int compare_addresses(const void *a, const void *b)
{
	const struct elfcore_segment *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static int sort_segments(struct corefile *file)
{
	file->by_address = calloc(file->core.segments, sizeof(*file->by_address));
	if (!file->by_address)
		return -ENOMEM;
	for (size_t i = 0; i < file->core.segments; i++)
		if (file->core.segment[i].type == PT_LOAD)
			file->by_address[file->by_address_n++] = file->core.segment[i];
	qsort(file->by_address, file->by_address_n, sizeof(*file->by_address),
	      compare_addresses);
	return 0;
}

/* Reads as much of the head as it says it has; a truncated file gives what is there. */
static int read_head(struct corefile *file)
{
	uint64_t needed = sizeof(Elf64_Ehdr);

	for (;;) {
		uint64_t more;
		void *larger;
		ssize_t n;
		int r;

		if (needed > ELFCORE_HEAD_MAX)
			return ELFCORE_E_LIMIT;
		larger = realloc(file->head, needed);
		if (!larger)
			return -ENOMEM;
		file->head = larger;
		n = corefile_read(file, file->head, needed, 0);
		if (n < 0)
			return (int)n;
		file->head_bytes = (size_t)n;
		r = elfcore_head_size(file->head, file->head_bytes, &more);
		if (r != 0)
			return r;
		if (more <= needed || (size_t)n < needed)
			return 0;
		needed = more;
	}
}

int corefile_head(struct corefile *file, const struct elfcore **ret_core,
		  const void **ret_head, size_t *ret_head_bytes)
{
	int r = 0;

	if (!file->by_address) {
		r = read_head(file);
		if (r == 0)
			r = elfcore_parse(file->head, file->head_bytes, &file->core);
		if (r == 0)
			r = sort_segments(file);
	}
	if (file->damaged && (r > 0 || r == -EIO))
		return COREFILE_E_DAMAGED;
	if (r != 0)
		return r;
	*ret_core = &file->core;
	*ret_head = file->head;
	*ret_head_bytes = file->head_bytes;
	return 0;
}

bool corefile_damage(const struct corefile *file, uint64_t *ret_stored_at)
{
	if (file->damaged)
		*ret_stored_at = file->damaged_at;
	return file->damaged;
}

const char *corefile_strerror(const struct corefile *file, int r,
			      char text[static COREFILE_ERROR_SIZE])
{
	if (r != COREFILE_E_DAMAGED)
		return elfcore_strerror(r);
	(void)snprintf(text, COREFILE_ERROR_SIZE,
		       "damaged: the compressed data at offset %" PRIu64 " cannot be unpacked",
		       file->damaged_at);
	return text;
}

/* ---- memory ---- */

/* The segment at or before the address; NULL when all begin behind it. */
static const struct elfcore_segment *segment_at(const struct corefile *file, uint64_t address)
{
	size_t low = 0, high = file->by_address_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->by_address[middle].vaddr <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &file->by_address[low - 1] : NULL;
}

/* Behind the bytes in the file a segment of ours may have zeros; others have nothing known. */
static int read_segment(struct corefile *file, const struct elfcore_segment *s, uint64_t at,
			void *bytes, size_t *part)
{
	bool in_file = at < s->file_bytes;
	uint64_t end = in_file ? s->file_bytes : s->memory_bytes;

	if (at >= end || (!in_file && !(s->flags & LAYOUT_ZEROS_BEHIND)))
		return COREFILE_E_ABSENT;
	if (*part > end - at)
		*part = (size_t)(end - at);
	if (!in_file)
		memset(bytes, 0, *part);
	else if (corefile_read(file, bytes, *part, s->offset + at) != (ssize_t)*part)
		return COREFILE_E_DAMAGED;
	return 0;
}

int corefile_memory(struct corefile *file, uint64_t address, void *bytes, size_t n)
{
	char *p = bytes;

	assert(file->by_address);
	while (n > 0) {
		const struct elfcore_segment *s = segment_at(file, address);
		size_t part = n;
		int r;

		if (!s)
			return COREFILE_E_ABSENT;
		r = read_segment(file, s, address - s->vaddr, p, &part);
		if (r != 0)
			return r;
		p += part;
		n -= part;
		address += part;
	}
	return 0;
}
