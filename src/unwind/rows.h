/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One step by unwind tables: libunwind interprets the rows, we tell it where they are. It
 * reads nothing but the memory given here, and every step has a budget of reads, because
 * a row may hold a program that never ends.
 *
 * Works for the machine this program was built for; others have no rows.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/registers.h"
#include "unwind/memory.h"
#include "unwind/module.h"

enum {
	ROWS_E_NONE = 1, /* no row for this address, or one that cannot be used */
	ROWS_E_END = 2, /* the row says that nobody called */
};

enum rows_source {
	ROWS_NONE,
	ROWS_EH_FRAME,
	ROWS_DEBUG_FRAME,
};

struct rows;

/* All borrowed. ROWS_E_NONE when this machine's rows cannot be used. */
int rows_new(const struct elfcore *core, struct memory *memory,
	     const struct modules *modules, const struct space *space,
	     struct rows **ret_rows);
void rows_free(struct rows *rows);

/*
 * From a frame's registers to its caller's, in place. `is_call`: pc is a return address,
 * so the call before it decides which row counts. 0, ROWS_E_* or -errno.
 */
int rows_step(struct rows *rows, struct registers *registers, bool is_call,
	      enum rows_source *ret_source);

/* Is there a row for the address, and none for the byte before it? */
bool rows_begin(struct rows *rows, uint64_t address);
