/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The frame the kernel lays down for a signal handler: it tells what the thread was doing
 * when the signal came, and which signal that was. Known by the code that the handler
 * returns to, and not by a module's name or symbols.
 */

#include "unwind/walk_internal.h"

#include <signal.h>
#include <string.h>

#include "io/cleanup.h"

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

bool walk_at_trampoline(const struct walker *w, uint64_t pc)
{
	unsigned char code[9];

	for (size_t i = 0; i < ARRAY_SIZE(trampolines); i++)
		if (trampolines[i].machine == w->process->core->machine &&
		    memory_read(w->process->memory, pc, code, trampolines[i].bytes) == 0 &&
		    memcmp(code, trampolines[i].code, trampolines[i].bytes) == 0)
			return walk_is_code(w, pc);
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

	if (!walk_word(w, frame->sp + X86_64_TRAPNO, &trap) ||
	    !walk_word(w, frame->sp + X86_64_CR2, &address))
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

void walk_note_signal(const struct walker *w, struct walk_frame *frame)
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
bool walk_step_signal(struct walker *w)
{
	/* r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip as DWARF numbers them */
	static const uint8_t number[17] = { 8, 9, 10, 11, 12, 13, 14, 15, 5,
					    4, 6, 3,  1,  0,  2,  7,  16 };
	struct registers r = w->registers;

	if (!w->frame.trampoline || w->process->core->machine != EM_X86_64)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(number); i++)
		if (!walk_word(w, w->frame.sp + X86_64_GREGS + 8 * i,
			       &r.value[number[i]]))
			return false;
	w->registers = r;
	return true;
}
