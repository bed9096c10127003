/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the files of a walk share. Functions that find the caller return true and put the
 * caller's registers in place; false: the registers are as they were.
 */

#include "unwind/walk.h"

struct walker {
	const struct walk_process *process;
	struct registers registers;
	struct walk_frame frame; /* the one being left */
	unsigned int switches;
	unsigned int scans;
	struct walk *walk;
};

/* A word of the process's memory, in its size and byte order; false: cannot be read. */
bool walk_word(const struct walker *w, uint64_t address, uint64_t *ret_value);
bool walk_is_code(const struct walker *w, uint64_t address);

/* ---- walk_signal.c ---- */

/* Is pc where the kernel makes a signal handler return to? */
bool walk_at_trampoline(const struct walker *w, uint64_t pc);
/* Fills in for which signal the frame at a trampoline was laid down, if that shows. */
void walk_note_signal(const struct walker *w, struct walk_frame *frame);
/* From a trampoline to what the signal interrupted. */
bool walk_step_signal(struct walker *w);

/* ---- walk_guess.c ---- */

/*
 * Does a call instruction end at the address? On machines we do not decode any code address
 * passes.
 */
bool walk_follows_call(const struct walker *w, uint64_t address);
/* To the caller by what calls leave behind, the most certain first. */
bool walk_guess(struct walker *w, enum walk_how *ret_how);
