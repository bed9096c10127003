/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/image.h"

#include <stdlib.h>
#include <string.h>

void image_done(struct image *image)
{
	free(image->head);
	free(image->files);
	free(image->extent);
	*image = (struct image)IMAGE_NULL;
}

/* The first extent that ends behind the offset. */
static size_t find_extent(const struct image *image, uint64_t offset)
{
	size_t low = 0, high = image->extents;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct image_extent *e = &image->extent[middle];

		if (e->offset + e->bytes <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* One reading: a window of the core and the buffer for it. */
struct window {
	unsigned char *bytes;
	uint64_t start;
	uint64_t end;
};

/* Copies what the window has of `from`, which lies at the offset. */
static void copy_bytes(const struct window *w, const void *from, size_t n,
		       uint64_t offset)
{
	uint64_t start = offset > w->start ? offset : w->start;
	uint64_t end = offset + n < w->end ? offset + n : w->end;

	if (start >= end)
		return;
	memcpy(w->bytes + (start - w->start), (const char *)from + (start - offset),
	       end - start);
}

static void zero_until(const struct window *w, uint64_t *done, uint64_t end)
{
	if (end <= *done)
		return;
	memset(w->bytes + (*done - w->start), 0, end - *done);
	*done = end;
}

static int read_extents(const struct image *image, const struct memory *memory,
			size_t first, const struct window *w, _Atomic uint64_t *unreadable_bytes)
{
	uint64_t done = image_own_bytes(image); /* which are no zeros */

	if (done < w->start)
		done = w->start;
	for (size_t i = first; i < image->extents && image->extent[i].offset < w->end;
	     i++) {
		const struct image_extent *e = &image->extent[i];
		uint64_t start = e->offset > w->start ? e->offset : w->start;
		uint64_t end =
			e->offset + e->bytes < w->end ? e->offset + e->bytes : w->end;
		int r;

		zero_until(w, &done, start);
		r = memory_read(memory, e->address + (start - e->offset),
				w->bytes + (start - w->start), end - start,
				unreadable_bytes);
		if (r < 0)
			return r;
		done = end;
	}
	zero_until(w, &done, w->end);
	return 0;
}

int image_read(const struct image *image, const struct memory *memory, uint64_t offset,
	       void *bytes, size_t n, bool *ret_zeros, _Atomic uint64_t *unreadable_bytes)
{
	const struct window w = { bytes, offset, offset + n };
	size_t first = find_extent(image, offset);
	uint64_t tail_at = image->size - image->tail_bytes;
	int r;

	*ret_zeros = offset >= image_own_bytes(image) && w.end <= tail_at &&
		     (first == image->extents || image->extent[first].offset >= w.end);
	if (*ret_zeros)
		return 0;
	copy_bytes(&w, image->head, image->head_bytes, 0);
	copy_bytes(&w, image->notes, image->notes_bytes, image->head_bytes);
	copy_bytes(&w, image->files, image->files_bytes, image->files_offset);
	r = read_extents(image, memory, first, &w, unreadable_bytes);
	if (r < 0)
		return r;
	copy_bytes(&w, image->tail, image->tail_bytes, tail_at);
	return 0;
}
