/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/spans.h"

#include <errno.h>
#include <stdlib.h>

int spans_add(struct spans *spans, uint64_t start, uint64_t bytes)
{
	uint64_t end;

	if (bytes == 0 || __builtin_add_overflow(start, bytes, &end) ||
	    spans->n >= SPANS_MAX || bytes > SPANS_BYTES_MAX - spans->bytes)
		return 0;
	if (spans->n == spans->room) {
		size_t room = spans->room ? spans->room * 2 : 1024;
		struct pagemap_run *larger = reallocarray(spans->span, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		spans->span = larger;
		spans->room = room;
	}
	spans->span[spans->n++] = (struct pagemap_run){ start, end };
	spans->bytes += bytes;
	return 0;
}

void spans_done(struct spans *spans)
{
	free(spans->span);
	*spans = (struct spans)SPANS_NULL;
}

static int compare(const void *a, const void *b)
{
	const struct pagemap_run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int spans_merge(struct spans *spans, uint64_t gap, struct pagemap *ret_ranges)
{
	struct pagemap ranges = PAGEMAP_NULL;
	int r = 0;

	if (spans->n > 0)
		qsort(spans->span, spans->n, sizeof(*spans->span), compare);
	for (size_t i = 0; r == 0 && i < spans->n; i++) {
		const struct pagemap_run *span = &spans->span[i];
		struct pagemap_run *last = ranges.runs ? &ranges.run[ranges.runs - 1] : NULL;

		if (!last || (span->start > last->end && span->start - last->end >= gap))
			r = pagemap_add(&ranges, span->start, span->end);
		else if (span->end > last->end)
			last->end = span->end;
	}
	if (r < 0)
		pagemap_done(&ranges);
	else
		*ret_ranges = ranges;
	return r;
}
