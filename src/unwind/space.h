/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which addresses the process had, and what it could do with them: its PT_LOAD headers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"

struct space {
	struct elfcore_segment *segment; /* PT_LOAD, by address */
	size_t segments;
};

#define SPACE_NULL                                                                       \
	{                                                                                \
		0                                                                        \
	}

int space_init(struct space *space, const struct elfcore *core);
void space_done(struct space *space);

/* The segment that holds the address, NULL when it is not mapped. */
const struct elfcore_segment *space_find(const struct space *space, uint64_t address);
/* The first segment that begins behind the address. */
const struct elfcore_segment *space_next(const struct space *space, uint64_t address);

/* Can be executed. */
bool space_code(const struct space *space, uint64_t address);
bool space_writable(const struct space *space, uint64_t address);
