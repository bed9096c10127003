/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/walk_internal.h"

#include <string.h>

#include "io/cleanup.h"

/* Coroutines and split stacks jump between stacks; a loop does it for ever. */
#define SWITCHES_MAX 16u

bool walk_word(const struct walker *w, uint64_t address, uint64_t *ret_value)
{
	unsigned char bytes[8];

	if (memory_read(w->process->memory, address, bytes, w->registers.word_bytes) != 0)
		return false;
	*ret_value = elfcore_load(w->process->core, bytes, w->registers.word_bytes);
	return true;
}

bool walk_is_code(const struct walker *w, uint64_t address)
{
	return space_find(w->process->space, address) ?
		       space_code(w->process->space, address) :
		       modules_code(w->process->modules, address);
}

static bool step_rows(struct walker *w, enum walk_how *ret_how, bool *ret_end)
{
	struct registers before = w->registers;
	enum rows_source source;
	int r;

	if (!w->process->rows)
		return false;
	r = rows_step(w->process->rows, &w->registers, w->frame.is_call, &source);
	*ret_end = r == ROWS_E_END;
	*ret_how = source == ROWS_DEBUG_FRAME ? WALK_DEBUG_FRAME : WALK_EH_FRAME;
	if (r != 0)
		return false;
	/* A smashed stack gives rows a return address that is none. A signal comes anywhere. */
	if (!w->frame.trampoline && !walk_is_code(w, registers_pc(&w->registers))) {
		w->registers = before;
		return false;
	}
	return true;
}

/* Finds the caller; false when there is none or none to be found (walk->end says which). */
static bool step(struct walker *w, enum walk_how *ret_how)
{
	bool end = false;

	if (walk_step_signal(w)) {
		*ret_how = WALK_SIGNAL;
		return true;
	}
	if (step_rows(w, ret_how, &end))
		return true;
	if (end) {
		w->walk->end = WALK_COMPLETE;
		return false;
	}
	return walk_guess(w, ret_how);
}

static bool moves_on(struct walker *w)
{
	uint64_t sp = registers_sp(&w->registers);

	if (sp > w->frame.sp)
		return true;
	if (registers_pc(&w->registers) == w->frame.pc && sp == w->frame.sp)
		return false;
	return w->switches++ < SWITCHES_MAX;
}

/* The last ones form a ring behind the first ones until walk_close() puts them in order. */
static void keep(struct walk *walk, const struct walk_frame *frame)
{
	size_t at = walk->total;

	if (at >= WALK_FIRST)
		at = WALK_FIRST + (at - WALK_FIRST) % WALK_LAST;
	walk->frame[at] = *frame;
	walk->total++;
	if (walk->kept < WALK_KEPT)
		walk->kept++;
}

static void straighten(struct walk *walk)
{
	struct walk_frame last[WALK_LAST];
	size_t first;

	if (walk->total <= WALK_KEPT)
		return;
	first = (walk->total - WALK_FIRST) % WALK_LAST;
	for (size_t i = 0; i < WALK_LAST; i++)
		last[i] = walk->frame[WALK_FIRST + (first + i) % WALK_LAST];
	memcpy(walk->frame + WALK_FIRST, last, sizeof(last));
}

/*
 * Go makes a fault look like a call of its panic: a function that faulted in its first
 * instruction is returned to at its first byte, and the byte before is nobody's.
 */
static bool is_first_byte(const struct walker *w, uint64_t pc)
{
	return w->process->rows && rows_begin(w->process->rows, pc) && walk_is_code(w, pc) &&
	       !walk_follows_call(w, pc);
}

static void enter(struct walker *w, enum walk_how how, bool is_call)
{
	w->frame = (struct walk_frame){
		.pc = registers_pc(&w->registers),
		.sp = registers_sp(&w->registers),
		.how = how,
		.is_call = is_call && !is_first_byte(w, registers_pc(&w->registers)),
	};
	/* A handler returns to the trampoline's first byte: nothing was called before it. */
	if (walk_at_trampoline(w, w->frame.pc)) {
		w->frame.trampoline = true;
		w->frame.is_call = false;
		walk_note_signal(w, &w->frame);
	}
	keep(w->walk, &w->frame);
}

void walk_thread(const struct walk_process *process, const struct registers *registers,
		 size_t frames_max, struct walk *ret_walk)
{
	struct walker w = { .process = process, .registers = *registers, .walk = ret_walk };
	enum walk_how how = WALK_REGISTERS;

	*ret_walk = (struct walk){ .end = WALK_LOST };
	enter(&w, how, false);
	for (;;) {
		bool from_handler = w.frame.trampoline;

		if (ret_walk->total >= frames_max)
			ret_walk->end = WALK_LIMIT;
		else if (ret_walk->total % 16 == 0 && memory_time_over(process->memory))
			ret_walk->end = WALK_TIME;
		else if (!step(&w, &how))
			break;
		else if (!from_handler && !moves_on(&w))
			ret_walk->end = WALK_CYCLE;
		if (ret_walk->end != WALK_LOST)
			break;
		enter(&w, how, !from_handler);
	}
	straighten(ret_walk);
}

const char *walk_how_name(enum walk_how how)
{
	static const char *const name[] = {
		[WALK_REGISTERS] = "registers",
		[WALK_EH_FRAME] = "eh_frame",
		[WALK_DEBUG_FRAME] = "debug_frame",
		[WALK_SIGNAL] = "signal",
		[WALK_CALL] = "call",
		[WALK_FP] = "fp",
		[WALK_SCAN] = "scan",
	};

	return (unsigned int)how < ARRAY_SIZE(name) ? name[how] : "unknown";
}

const char *walk_end_name(enum walk_end end)
{
	static const char *const name[] = {
		[WALK_COMPLETE] = "complete", [WALK_LOST] = "lost",
		[WALK_CYCLE] = "cycle",	      [WALK_LIMIT] = "limit",
		[WALK_TIME] = "time",
	};

	return (unsigned int)end < ARRAY_SIZE(name) ? name[end] : "unknown";
}
