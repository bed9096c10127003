/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/layout.h"

#include <errno.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct elfcore_segment *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

int layout_init(struct layout *layout, const struct elfcore *core)
{
	*layout = (struct layout)LAYOUT_NULL;
	if (core->segments == 0)
		return 0;
	layout->segment = calloc(core->segments, sizeof(*layout->segment));
	if (!layout->segment)
		return -ENOMEM;
	for (size_t i = 0; i < core->segments; i++)
		if (core->segment[i].type == PT_LOAD && core->segment[i].memory_bytes > 0)
			layout->segment[layout->segments++] = core->segment[i];
	qsort(layout->segment, layout->segments, sizeof(*layout->segment), compare);
	return 0;
}

void layout_done(struct layout *layout)
{
	free(layout->segment);
	*layout = (struct layout)LAYOUT_NULL;
}

/* How many segments begin at or before the address. */
static size_t count_up_to(const struct layout *layout, uint64_t address)
{
	size_t low = 0, high = layout->segments;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (layout->segment[middle].vaddr <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct elfcore_segment *layout_find(const struct layout *layout, uint64_t address)
{
	size_t n = count_up_to(layout, address);
	const struct elfcore_segment *s;

	if (n == 0)
		return NULL;
	s = &layout->segment[n - 1];
	return address - s->vaddr < s->memory_bytes ? s : NULL;
}

const struct elfcore_segment *layout_next(const struct layout *layout, uint64_t address)
{
	size_t n = count_up_to(layout, address);

	return n < layout->segments ? &layout->segment[n] : NULL;
}

bool layout_code(const struct layout *layout, uint64_t address)
{
	const struct elfcore_segment *s = layout_find(layout, address);

	return s && (s->flags & PF_X);
}

bool layout_writable(const struct layout *layout, uint64_t address)
{
	const struct elfcore_segment *s = layout_find(layout, address);

	return s && (s->flags & PF_W);
}
