/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the cheap hash wants to know, out of the notes and some kilobytes of stack. No
 * memory is read here: the caller reads what stacktop_range() names from wherever it can.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "policy/cheaphash.h"

/* Beyond the buffers that callees keep there: glibc formats into 8 KiB of stack. */
#define STACKTOP_BYTES (32 * 1024)

enum {
	STACKTOP_E_UNKNOWN = 1, /* no thread, or a machine we do not know */
};

/* Which memory to read: STACKTOP_BYTES from the crashing thread's stack pointer. */
int stacktop_range(const struct elfcore *core, uint64_t *ret_address);

/*
 * Fills in the crash. `stack` holds the bytes that could be read from that address, as few
 * as none. The result borrows module names from the core.
 */
int stacktop_look(const struct elfcore *core, const void *stack, size_t n,
		  struct cheaphash_crash *ret_crash);
