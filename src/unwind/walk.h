/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * From a thread's registers to the list of who called whom.
 *
 * Each step tries, in this order: the signal frame the kernel laid down (x86_64's only),
 * the unwind tables, the return address at the top of the stack (when pc itself is nowhere:
 * somebody called through a bad pointer), the frame pointer, and at last the next word on
 * the stack that looks like a return address. A frame says how it was found. Where the code
 * is not to be had (a saved core without its modules' files), what cannot be checked
 * against it is a guess, as is whatever a scan finds.
 *
 * Ends always: the stack pointer moves up, except across signal frames and a few switches
 * of stacks, and the number of steps and the time are bounded.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/registers.h"
#include "unwind/space.h"
#include "unwind/memory.h"
#include "unwind/module.h"
#include "unwind/rows.h"

/* Of a deep recursion the top and the entry are kept. */
#define WALK_FIRST 128
#define WALK_LAST 32
#define WALK_KEPT (WALK_FIRST + WALK_LAST)

enum walk_how {
	WALK_REGISTERS, /* the thread was here */
	WALK_EH_FRAME,
	WALK_DEBUG_FRAME,
	WALK_SIGNAL, /* the signal frame's saved registers */
	WALK_CALL, /* [sp] below a pc that is nowhere */
	WALK_FP,
	WALK_SCAN, /* and any other guess */
};

enum walk_end {
	WALK_COMPLETE, /* the tables say that nobody called */
	WALK_LOST, /* nobody found who called */
	WALK_CYCLE, /* the stack leads back into itself */
	WALK_LIMIT, /* too many frames */
	WALK_TIME,
};

struct walk_frame {
	uint64_t pc;
	uint64_t sp;
	enum walk_how how;
	bool is_call; /* pc is a return address: the call is before it */
	bool trampoline; /* pc is where a signal handler returns to */
	int32_t signal; /* trampoline: what was delivered, 0: not known */
	int32_t si_code;
	uint64_t address; /* si_addr */
};

struct walk {
	struct walk_frame frame[WALK_KEPT];
	size_t kept;
	size_t total;
	enum walk_end end;
};

/* What walking needs of the process; rows may be NULL. All borrowed. */
struct walk_process {
	const struct elfcore *core;
	struct memory *memory;
	const struct modules *modules;
	const struct space *space;
	struct rows *rows;
};

void walk_thread(const struct walk_process *process, const struct registers *registers,
		 size_t frames_max, struct walk *ret_walk);

/* How many frames were left out between frame[WALK_FIRST - 1] and frame[WALK_FIRST]. */
static inline size_t walk_elided(const struct walk *walk)
{
	return walk->total - walk->kept;
}

const char *walk_how_name(enum walk_how how);
const char *walk_end_name(enum walk_end end);
