/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The registers of a thread, out of its NT_PRSTATUS. Numbered as libunwind does on
 * that machine, so that an unwinder can index them. Other machines than those below
 * are REGISTERS_E_UNKNOWN: nothing can be said about their stacks.
 */

#include <stdint.h>

#include "core/elfcore.h"

#define REGISTERS_MAX 34

enum {
	REGISTERS_E_UNKNOWN = 1, /* a machine or a note we do not know */
};

struct registers {
	uint64_t value[REGISTERS_MAX];
	unsigned int count;
	unsigned int pc, sp, fp; /* indices into value */
	unsigned int word_bytes; /* 4 or 8 */
};

int registers_read(const struct elfcore *core, const struct elfcore_thread *thread,
		   struct registers *ret_registers);

static inline uint64_t registers_pc(const struct registers *r)
{
	return r->value[r->pc];
}

static inline uint64_t registers_sp(const struct registers *r)
{
	return r->value[r->sp];
}
