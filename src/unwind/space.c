/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/space.h"

#include <errno.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct elfcore_segment *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

int space_init(struct space *space, const struct elfcore *core)
{
	*space = (struct space)SPACE_NULL;
	if (core->segments == 0)
		return 0;
	space->segment = calloc(core->segments, sizeof(*space->segment));
	if (!space->segment)
		return -ENOMEM;
	for (size_t i = 0; i < core->segments; i++)
		if (core->segment[i].type == PT_LOAD && core->segment[i].memory_bytes > 0)
			space->segment[space->segments++] = core->segment[i];
	qsort(space->segment, space->segments, sizeof(*space->segment), compare);
	return 0;
}

void space_done(struct space *space)
{
	free(space->segment);
	*space = (struct space)SPACE_NULL;
}

/* How many segments begin at or before the address. */
static size_t count_up_to(const struct space *space, uint64_t address)
{
	size_t low = 0, high = space->segments;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->segment[middle].vaddr <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct elfcore_segment *space_find(const struct space *space, uint64_t address)
{
	size_t n = count_up_to(space, address);
	const struct elfcore_segment *s;

	if (n == 0)
		return NULL;
	s = &space->segment[n - 1];
	return address - s->vaddr < s->memory_bytes ? s : NULL;
}

const struct elfcore_segment *space_next(const struct space *space, uint64_t address)
{
	size_t n = count_up_to(space, address);

	return n < space->segments ? &space->segment[n] : NULL;
}

bool space_code(const struct space *space, uint64_t address)
{
	const struct elfcore_segment *s = space_find(space, address);

	return s && (s->flags & PF_X);
}

bool space_writable(const struct space *space, uint64_t address)
{
	const struct elfcore_segment *s = space_find(space, address);

	return s && (s->flags & PF_W);
}
