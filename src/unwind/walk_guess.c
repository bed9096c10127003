/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The caller where no table tells it. Calls leave traces: a return address in a register or
 * on the stack, with a call instruction before it, and in much code a chain of frame
 * pointers. The most certain trace is taken; the last resort is the next word on the stack
 * that looks like a return address.
 */

#include "unwind/walk_internal.h"

#include <string.h>

#define SCAN_WORDS 1024u
#define SCANS_MAX 64u /* in one walk */
/* A frame larger than this is not believed on the word of a frame pointer alone. */
#define FP_FRAME_MAX (1u << 20)
/* A function is not believed to be longer, when its first instructions are looked at. */
#define FUNCTION_MAX 4096u

/* ---- what the code around an address tells ---- */

bool walk_follows_call(const struct walker *w, uint64_t address)
{
	unsigned char p[8];
	uint16_t machine = w->process->core->machine;

	if (!walk_is_code(w, address) || !walk_is_code(w, address - 1))
		return false;
	if (machine != EM_X86_64 && machine != EM_386)
		return address % 4 == 0;
	if (memory_read(w->process->memory, address - sizeof(p), p, sizeof(p)) != 0)
		return false;
	if (p[3] == 0xe8) /* call rel32 */
		return true;
	/* call r/m: ff /2, two to seven bytes long */
	return (p[6] == 0xff && (p[7] & 0x38) == 0x10) ||
	       (p[5] == 0xff && (p[6] & 0x38) == 0x10) ||
	       (p[4] == 0xff && (p[5] & 0x38) == 0x10) ||
	       (p[2] == 0xff && (p[3] & 0x38) == 0x10) ||
	       (p[1] == 0xff && (p[2] & 0x38) == 0x10);
}

/* Where the call that ends at the address goes, if it says so itself. */
static bool call_target(const struct walker *w, uint64_t address, uint64_t *ret_target)
{
	unsigned char p[5];
	int32_t distance;

	if (!walk_is_code(w, address) ||
	    memory_read(w->process->memory, address - 5, p, 5) != 0 || p[0] != 0xe8)
		return false;
	memcpy(&distance, p + 1, 4);
	*ret_target = address + (uint64_t)(int64_t)distance;
	return true;
}

/* Has the function that begins at start, and is at pc, not pushed its frame pointer yet? */
static bool without_frame(const struct walker *w, uint64_t start, uint64_t pc,
			  bool *ret_pushed)
{
	static const unsigned char endbr64[4] = { 0xf3, 0x0f, 0x1e, 0xfa };
	unsigned char p[5];

	if (pc < start || pc - start > FUNCTION_MAX ||
	    memory_read(w->process->memory, start, p, sizeof(p)) != 0)
		return false;
	if (memcmp(p, endbr64, sizeof(endbr64)) == 0) {
		start += 4;
		p[0] = p[4];
	}
	*ret_pushed = p[0] == 0x55 && pc == start + 1;
	return p[0] != 0x55 || pc <= start + 1;
}

/* ---- which addresses are believed to be returned to ---- */

typedef bool believes(const struct walker *w, uint64_t address);

/* Where a function may return to: behind a call, or where the kernel sends handlers. */
static bool returns_to(const struct walker *w, uint64_t address)
{
	return walk_follows_call(w, address) || walk_at_trampoline(w, address);
}

/*
 * The kernel's own cores have no code: what stands before an address is not to be seen
 * without the module's file. Who goes by this has guessed.
 */
static bool may_return_to(const struct walker *w, uint64_t address)
{
	unsigned char byte;

	return walk_is_code(w, address) && walk_is_code(w, address - 1) &&
	       memory_read(w->process->memory, address - 1, &byte, 1) != 0;
}

/* ---- one step to the caller: true, and the registers are the caller's ---- */

/* The register that a call leaves its return address in; 0: it goes to the stack. */
static unsigned int link_register(const struct walker *w)
{
	switch (w->process->core->machine) {
	case EM_AARCH64:
		return 30;
	case EM_ARM:
		return 14;
	default:
		return 0;
	}
}

/* pc is in no code: whoever called it left the return address where calls leave it. */
static bool step_call(struct walker *w, believes *believed)
{
	unsigned int link = link_register(w);
	uint64_t sp = registers_sp(&w->registers), address;

	if (w->frame.is_call || walk_is_code(w, w->frame.pc))
		return false;
	if (link != 0) {
		if (!walk_is_code(w, w->registers.value[link]))
			return false;
		w->registers.value[w->registers.pc] = w->registers.value[link];
		return true;
	}
	if (!walk_word(w, sp, &address) || !believed(w, address))
		return false;
	w->registers.value[w->registers.pc] = address;
	w->registers.value[w->registers.sp] = sp + w->registers.word_bytes;
	return true;
}

/*
 * The innermost function may be a leaf that has no frame, or have none yet: its frame
 * pointer is its caller's, and going by it would lose the caller. The return address on
 * top of the stack is believed if the call before it goes to where we are.
 */
static bool step_leaf(struct walker *w)
{
	struct registers *r = &w->registers;
	uint64_t sp = registers_sp(r), address, start;
	bool pushed;

	if (w->frame.is_call || w->process->core->machine != EM_X86_64)
		return false;
	for (unsigned int slot = 0; slot < 2; slot++) {
		if (!walk_word(w, sp + slot * 8, &address) ||
		    !call_target(w, address, &start) ||
		    !without_frame(w, start, w->frame.pc, &pushed) ||
		    pushed != (slot == 1))
			continue;
		r->value[r->pc] = address;
		r->value[r->sp] = sp + slot * 8 + 8;
		return true;
	}
	return false;
}

static bool step_fp(struct walker *w, believes *believed)
{
	struct registers *r = &w->registers;
	uint64_t fp = r->value[r->fp], sp = registers_sp(r), next, address;

	if (fp < sp || fp - sp > FP_FRAME_MAX || fp % r->word_bytes != 0)
		return false;
	if (!walk_word(w, fp, &next) || !walk_word(w, fp + r->word_bytes, &address))
		return false;
	if (!believed(w, address) || (next != 0 && next <= fp))
		return false;
	r->value[r->pc] = address;
	r->value[r->sp] = fp + 2 * (uint64_t)r->word_bytes;
	r->value[r->fp] = next;
	return true;
}

static bool step_scan(struct walker *w)
{
	struct registers *r = &w->registers;
	uint64_t sp =
		(registers_sp(r) + r->word_bytes - 1) / r->word_bytes * r->word_bytes;

	if (w->scans++ >= SCANS_MAX)
		return false;
	for (unsigned int i = 0; i < SCAN_WORDS; i++) {
		uint64_t at = sp + (uint64_t)i * r->word_bytes, address;

		if (!walk_word(w, at, &address))
			return false;
		if (!returns_to(w, address) ||
		    !modules_find(w->process->modules, address))
			continue;
		r->value[r->pc] = address;
		r->value[r->sp] = at + r->word_bytes;
		return true;
	}
	return false;
}

bool walk_guess(struct walker *w, enum walk_how *ret_how)
{
	if (step_call(w, returns_to) || step_leaf(w))
		*ret_how = WALK_CALL;
	else if (step_fp(w, returns_to))
		*ret_how = WALK_FP;
	else if (step_call(w, may_return_to) || step_scan(w) || step_fp(w, may_return_to))
		*ret_how = WALK_SCAN;
	else
		return false;
	return true;
}
