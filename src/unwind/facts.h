/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What can be said about a crash besides its frames. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/walk.h"

#define FACTS_TEXT 192
#define FACTS_MESSAGE 1024

/* What lies at an address: "null page", "stack guard", "unmapped", "libc.so.6 (r-x)". */
void facts_address(const struct walk_process *process, uint64_t address, uint64_t sp,
		   char text[static FACTS_TEXT]);

/* A fault just beyond the end of the stack that sp is at. */
bool facts_stack_overflow(const struct space *space, uint64_t address, uint64_t sp);

/*
 * For a fault whose address is lost, because a handler sent the signal again and it came
 * when the handler was left: could the instruction at pc do nothing but hit that end?
 */
bool facts_stack_ended(const struct walk_process *process, uint64_t pc, uint64_t sp);

/* What abort() or assert() said last, kept by glibc for us. False when there is none. */
bool facts_abort_message(const struct walk_process *process,
			 char text[static FACTS_MESSAGE]);
