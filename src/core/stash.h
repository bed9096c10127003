/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a `threads` capture may want of memory that will not be there when it is made: a
 * core that goes by once, in order of addresses, or a process that is let go while nobody
 * knows yet whether the disk has room for all of it.
 *
 * Of a core in passing, the registers say which stacks are wanted, and the list of files
 * where modules keep their data. What those point to is behind or ahead, nobody knows
 * where; so pages of writable memory are kept as far as `spare_bytes` goes, each segment a
 * quarter of what is left: a large heap leaves room for the small mappings after it.
 *
 * The pages lie in a file of memory at their own addresses, so that the rest is holes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "core/memory.h"
#include "core/pagemap.h"

struct stash {
	int fd; /* -1: there is none */
	struct pagemap present; /* what there is; zeros are known, not stored */
	const struct elfcore *core; /* borrowed */
	struct pagemap wanted; /* whole pages */
	uint64_t spare_bytes;
	size_t segment; /* that is going by */
	uint64_t segment_bytes; /* to spare for it */
	const char *incomplete_because; /* static text: not all of the core went by */
};

#define STASH_NULL { .fd = -1 }

/* Can this core be put together from its memory as it goes by? */
bool stash_possible(const struct elfcore *core);

/* For a core that goes by. stack_bytes: of each thread. 0 or -errno. */
int stash_begin(struct stash *stash, const struct elfcore *core, uint64_t stack_bytes,
		uint64_t spare_bytes);

/* The n bytes of the core at the offset: nothing before them is to come. */
void stash_put(struct stash *stash, uint64_t offset, const void *bytes, size_t n);

/* All at once, of a process that is held. 0, -errno, -ESRCH. */
int stash_memory(struct stash *stash, const struct elfcore *core,
		 const struct memory *memory, uint64_t stack_bytes);

/* It, as the memory of the process. */
struct memory stash_as_memory(const struct stash *stash);

void stash_done(struct stash *stash);
