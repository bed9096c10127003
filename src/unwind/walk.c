/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/walk.h"

#include <signal.h>
#include <string.h>

#include "io/cleanup.h"

#define SCAN_WORDS 1024u
#define SCANS_MAX 64u
/* A frame larger than this is not believed on the word of a frame pointer alone. */
#define FP_FRAME_MAX (1u << 20)
/* Coroutines and split stacks jump between stacks; a loop does it for ever. */
#define SWITCHES_MAX 16u

struct walker {
	const struct walk_process *process;
	struct registers registers;
	struct walk_frame frame; /* the one being left */
	unsigned int switches;
	unsigned int scans;
	struct walk *walk;
};

static bool read_word(const struct walker *w, uint64_t address, uint64_t *ret_value)
{
	unsigned char bytes[8];

	if (memory_read(w->process->memory, address, bytes, w->registers.word_bytes) != 0)
		return false;
	*ret_value = elfcore_load(w->process->core, bytes, w->registers.word_bytes);
	return true;
}

static bool is_code(const struct walker *w, uint64_t address)
{
	return space_find(w->process->space, address) ?
		       space_code(w->process->space, address) :
		       modules_code(w->process->modules, address);
}

/* Does a call instruction end here? On machines we do not decode any code address passes. */
static bool follows_call(const struct walker *w, uint64_t address)
{
	unsigned char p[8];
	uint16_t machine = w->process->core->machine;

	if (!is_code(w, address) || !is_code(w, address - 1))
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

/* ---- signal frames ---- */

/*
 * What the kernel makes a handler return to: __NR_rt_sigreturn into the register for the
 * number, and the call. On i386 also __NR_sigreturn, behind pop %eax.
 */
static const struct {
	uint16_t machine;
	uint8_t bytes;
	unsigned char code[9];
} trampolines[] = {
	{ EM_X86_64, 9, { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 } },
	{ EM_AARCH64, 8, { 0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4 } },
	{ EM_386, 7, { 0xb8, 0xad, 0, 0, 0, 0xcd, 0x80 } },
	{ EM_386, 8, { 0x58, 0xb8, 0x77, 0, 0, 0, 0xcd, 0x80 } },
};

static bool at_trampoline(const struct walker *w, uint64_t pc)
{
	unsigned char code[9];

	for (size_t i = 0; i < ARRAY_SIZE(trampolines); i++)
		if (trampolines[i].machine == w->process->core->machine &&
		    memory_read(w->process->memory, pc, code, trampolines[i].bytes) == 0 &&
		    memcmp(code, trampolines[i].code, trampolines[i].bytes) == 0)
			return is_code(w, pc);
	return false;
}

/* struct rt_sigframe at sp: x86_64 has popped the return address; siginfo behind ucontext. */
#define X86_64_GREGS 40u
#define X86_64_TRAPNO (X86_64_GREGS + 20 * 8)
#define X86_64_CR2 (X86_64_GREGS + 22 * 8)
#define X86_64_SIGINFO 304u

static void note_siginfo(const struct walker *w, struct walk_frame *frame, uint64_t at)
{
	unsigned char info[24];
	int32_t error;

	if (memory_read(w->process->memory, at, info, sizeof(info)) != 0)
		return;
	frame->signal = (int32_t)elfcore_load(w->process->core, info, 4);
	error = (int32_t)elfcore_load(w->process->core, info + 4, 4);
	frame->si_code = (int32_t)elfcore_load(w->process->core, info + 8, 4);
	frame->address = elfcore_load(w->process->core, info + 16, 8);
	if (frame->signal < 1 || frame->signal > 64 || error != 0 ||
	    frame->si_code > SI_KERNEL || frame->si_code < SI_ASYNCNL)
		frame->signal = frame->si_code = 0;
}

/*
 * The kernel fills siginfo in only for handlers that asked for it (SA_SIGINFO). The
 * processor's own word on the fault is always there.
 */
static void note_trap(const struct walker *w, struct walk_frame *frame)
{
	static const struct {
		uint64_t trap;
		int signal;
	} traps[] = { { 3, SIGTRAP },
		      { 6, SIGILL },
		      { 13, SIGSEGV },
		      { 14, SIGSEGV },
		      { 17, SIGBUS } };
	uint64_t trap, address;

	if (!read_word(w, frame->sp + X86_64_TRAPNO, &trap) ||
	    !read_word(w, frame->sp + X86_64_CR2, &address))
		return;
	/* trap 0 is a division, or no trap at all */
	for (size_t i = 0; i < ARRAY_SIZE(traps); i++) {
		if (traps[i].trap != trap)
			continue;
		frame->signal = traps[i].signal;
		frame->si_code = trap == 13 ? SI_KERNEL : 1;
		frame->address = trap == 14 ? address : 0;
	}
}

static void note_signal(const struct walker *w, struct walk_frame *frame)
{
	if (w->process->core->machine == EM_AARCH64) {
		note_siginfo(w, frame, frame->sp);
		return;
	}
	if (w->process->core->machine != EM_X86_64)
		return;
	note_siginfo(w, frame, frame->sp + X86_64_SIGINFO);
	if (frame->signal == 0)
		note_trap(w, frame);
}

/*
 * What the trampoline's code will make the kernel do: no table knows better. Go's says that
 * it was called like any function, musl has none, and glibc's cannot tell a jump to 0 from
 * the end of the stack.
 */
static bool step_signal(struct walker *w)
{
	/* r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip as DWARF numbers them */
	static const uint8_t number[17] = { 8, 9, 10, 11, 12, 13, 14, 15, 5,
					    4, 6, 3,  1,  0,  2,  7,  16 };
	struct registers r = w->registers;

	if (!w->frame.trampoline || w->process->core->machine != EM_X86_64)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(number); i++)
		if (!read_word(w, w->frame.sp + X86_64_GREGS + 8 * i,
			       &r.value[number[i]]))
			return false;
	w->registers = r;
	return true;
}

/* ---- guesses ---- */

/* Where a function may return to: behind a call, or where the kernel sends handlers. */
static bool returns_to(const struct walker *w, uint64_t address)
{
	return follows_call(w, address) || at_trampoline(w, address);
}

/*
 * The kernel's own cores have no code: what stands before an address is not to be seen
 * without the module's file. Who goes by this has guessed.
 */
static bool may_return_to(const struct walker *w, uint64_t address)
{
	unsigned char byte;

	return is_code(w, address) && is_code(w, address - 1) &&
	       memory_read(w->process->memory, address - 1, &byte, 1) != 0;
}

typedef bool believes(const struct walker *w, uint64_t address);

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

	if (w->frame.is_call || is_code(w, w->frame.pc))
		return false;
	if (link != 0) {
		if (!is_code(w, w->registers.value[link]))
			return false;
		w->registers.value[w->registers.pc] = w->registers.value[link];
		return true;
	}
	if (!read_word(w, sp, &address) || !believed(w, address))
		return false;
	w->registers.value[w->registers.pc] = address;
	w->registers.value[w->registers.sp] = sp + w->registers.word_bytes;
	return true;
}

/* Where the call that ends at the address goes, if it says so itself. */
static bool call_target(const struct walker *w, uint64_t address, uint64_t *ret_target)
{
	unsigned char p[5];
	int32_t distance;

	if (!is_code(w, address) ||
	    memory_read(w->process->memory, address - 5, p, 5) != 0 || p[0] != 0xe8)
		return false;
	memcpy(&distance, p + 1, 4);
	*ret_target = address + (uint64_t)(int64_t)distance;
	return true;
}

#define FUNCTION_MAX 4096u

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
		if (!read_word(w, sp + slot * 8, &address) ||
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
	if (!read_word(w, fp, &next) || !read_word(w, fp + r->word_bytes, &address))
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

		if (!read_word(w, at, &address))
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

/* ---- the walk ---- */

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
	if (!w->frame.trampoline && !is_code(w, registers_pc(&w->registers))) {
		w->registers = before;
		return false;
	}
	return true;
}

/* Finds the caller; false when there is none or none to be found (walk->end says which). */
static bool step(struct walker *w, enum walk_how *ret_how)
{
	bool end = false;

	if (step_signal(w)) {
		*ret_how = WALK_SIGNAL;
		return true;
	}
	if (step_rows(w, ret_how, &end))
		return true;
	if (end) {
		w->walk->end = WALK_COMPLETE;
		return false;
	}
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
	return w->process->rows && rows_begin(w->process->rows, pc) && is_code(w, pc) &&
	       !follows_call(w, pc);
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
	if (at_trampoline(w, w->frame.pc)) {
		w->frame.trampoline = true;
		w->frame.is_call = false;
		note_signal(w, &w->frame);
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
