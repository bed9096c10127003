/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which addresses the process had, and what it could do with them: its PT_LOAD headers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"

struct layout {
	struct elfcore_segment *segment; /* PT_LOAD, by address */
	size_t segments;
};

#define LAYOUT_NULL                                                                      \
	{                                                                                \
		0                                                                        \
	}

int layout_init(struct layout *layout, const struct elfcore *core);
void layout_done(struct layout *layout);

/* The segment that holds the address, NULL when it is not mapped. */
const struct elfcore_segment *layout_find(const struct layout *layout, uint64_t address);
/* The first segment that begins behind the address. */
const struct elfcore_segment *layout_next(const struct layout *layout, uint64_t address);

/* Can be executed. */
bool layout_code(const struct layout *layout, uint64_t address);
bool layout_writable(const struct layout *layout, uint64_t address);
