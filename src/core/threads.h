/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which memory a `threads` capture takes: every thread's stack, what its registers and the
 * words on its stack point to, its thread-local storage, and what a debugger needs to find
 * the modules. Enough for backtraces of all threads and for the structures that the
 * crashing frames looked at; a few hundred bytes for each megabyte of heap.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "core/memory.h"
#include "core/pagemap.h"

/* Are the registers of this architecture known? */
bool threads_possible(const struct elfcore *core);

/*
 * The ranges, sorted, apart. stack_bytes: how much of each stack, from the stack pointer.
 * The process must be held. 0, -ENOMEM, -ESRCH (it is gone).
 */
int threads_ranges(const struct elfcore *core, const struct memory *memory,
		   uint64_t stack_bytes, struct pagemap *ret_ranges);
