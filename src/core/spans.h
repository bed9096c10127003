/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Ranges of memory that are wanted, in any order and overlapping, within bounds. */

#include <stddef.h>
#include <stdint.h>

#include "core/pagemap.h"

#define SPANS_MAX (1u << 19)
#define SPANS_BYTES_MAX (256ULL << 20)

struct spans {
	struct pagemap_run *span;
	size_t n;
	size_t room;
	uint64_t bytes; /* overlaps counted twice */
};

#define SPANS_NULL { 0 }

/* Beyond the bounds, or around the end of the address space, nothing is added. 0 or -ENOMEM. */
int spans_add(struct spans *spans, uint64_t start, uint64_t bytes);
void spans_done(struct spans *spans);

/* Sorts and merges them: no gap of less than `gap` bytes is left. */
int spans_merge(struct spans *spans, uint64_t gap, struct pagemap *ret_ranges);
