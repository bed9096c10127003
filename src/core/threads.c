/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/threads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "core/layout.h"
#include "core/machine.h"
#include "core/modules.h"
#include "core/registers.h"
#include "core/spans.h"
#include "io/cleanup.h"

/* What the ABI lets a function use below its stack pointer. */
#define RED_ZONE 128u
#define PAGE_BYTES 4096u
/* A stack pointer that has run into a guard: the stack is the mapping above. */
#define GUARD_MAX (1u << 20)
#define OVERFLOW_MAX (64u << 20)
/* So near to a stack's end it may have been hit, where no fault address tells. */
#define NEAR_END (64u << 10)
/* Around what a register holds, and before and behind what a word on a stack points to. */
#define NEAR_REGISTER 512u
#define NEAR_BEFORE 64u
#define NEAR_BEHIND 256u
/*
 * struct pthread lies at the thread pointer and the modules' blocks below it, or it lies
 * below, and they behind two words.
 */
#define TCB_BYTES 2560u
/* Where the blocks of modules are listed: 64 of them. */
#define DTV_BYTES 1024u
#define TLS_HEAD 16u
#define TLS_MAX (64u << 10)
#define VDSO_MAX (64u << 10)
#define AUXV_STRING 64u
/*
 * Of the stack that crashed, at least: a frame may be as large as ThreadStack, and without
 * who called it the same crash would have another signature.
 */
#define CRASHED_MIN (1u << 20)
/* All stacks together; with very many threads each gets less. */
#define STACKS_MAX (64u << 20)
#define STACK_MIN 4096u
/* Closer than this, two ranges cost less as one. */
#define MERGE_GAP 64u

struct collect {
	const struct elfcore *core;
	const struct memory *memory;
	struct spans spans;
	uint64_t stack_bytes; /* of each, whose words are followed */
	uint64_t most_bytes; /* of the one at hand */
	uint64_t tls_bytes;
	size_t word;
	unsigned char *stack; /* stack_bytes + PAGE_BYTES */
};

bool threads_possible(const struct elfcore *core)
{
	struct registers registers;

	return core->threads > 0 && registers_read(core, &core->thread[0], &registers) == 0;
}

static bool is_writable(const struct elfcore_segment *s)
{
	return s && s->flags & PF_W && s->file_bytes > 0;
}

/* ---- one stack ---- */

static const struct elfcore_segment *stack_of(const struct elfcore *core, uint64_t *sp)
{
	const struct elfcore_segment *s = layout_segment_behind(core, *sp);

	/* Not there, a guard page, or a mapping that is not dumped: try the one above. */
	if (s && s->vaddr <= *sp && !is_writable(s))
		s = layout_segment_behind(core, s->vaddr + s->memory_bytes);
	if (!is_writable(s))
		return NULL;
	if (s->vaddr > *sp) {
		if (s->vaddr - *sp > GUARD_MAX)
			return NULL;
		*sp = s->vaddr;
	}
	return s;
}

static int add_pointee(struct collect *c, uint64_t address, uint64_t before, uint64_t behind)
{
	const struct elfcore_segment *s = layout_segment(c->core, address);
	uint64_t start;

	if (!is_writable(s))
		return 0;
	start = address - s->vaddr > before ? address - before : s->vaddr;
	return spans_add(&c->spans, start, address + behind - start);
}

static int add_stack(struct collect *c, uint64_t sp, bool follow);

/* The words of a stack: what they point to, and where a signal frame says it continues. */
static int add_words(struct collect *c, uint64_t start, size_t bytes, bool follow)
{
	uint64_t interrupted = 0;
	int r = 0;

	for (size_t at = 0; r == 0 && at + c->word <= bytes; at += c->word) {
		uint64_t value = elfcore_load(c->core, c->stack + at, c->word);

		r = add_pointee(c, value, NEAR_BEFORE, NEAR_BEHIND);
		if (follow && interrupted == 0)
			(void)machine_signal_frame(c->core, start + at, c->stack + at,
						   bytes - at, &interrupted);
	}
	return r == 0 && interrupted != 0 ? add_stack(c, interrupted, false) : r;
}

/*
 * A handler has its own stack because this one may overflow; what it sends itself then has
 * no fault address.
 */
static bool may_have_overflowed(const struct collect *c, const struct elfcore_segment *s,
				uint64_t start, bool interrupted)
{
	const struct elfcore *core = c->core;
	uint64_t fault = core->fault_address;

	if (interrupted ||
	    (core->si_code <= 0 && (core->signal == SIGSEGV || core->signal == SIGBUS)))
		return start - s->vaddr <= NEAR_END;
	return core->signal == SIGSEGV && fault < start &&
	       (fault >= s->vaddr || s->vaddr - fault <= GUARD_MAX) &&
	       start - s->vaddr <= GUARD_MAX;
}

/*
 * A stack that overflowed is taken whole: who began the recursion stands at its other end
 * and is part of the signature. A recursion packs well.
 */
static uint64_t stack_wanted(const struct collect *c, const struct elfcore_segment *s,
			     uint64_t start, uint64_t bytes, bool interrupted)
{
	uint64_t most = c->most_bytes + PAGE_BYTES;

	if (may_have_overflowed(c, s, start, interrupted))
		most = OVERFLOW_MAX;
	return bytes < most ? bytes : most;
}

static int add_stack(struct collect *c, uint64_t sp, bool follow)
{
	const struct elfcore_segment *s = stack_of(c->core, &sp);
	_Atomic uint64_t unreadable_bytes = 0;
	uint64_t start, end;
	int r;

	if (!s)
		return 0;
	/* From a page's beginning: elfutils misreads segments that begin elsewhere. */
	start = sp - s->vaddr > RED_ZONE ? sp - RED_ZONE : s->vaddr;
	start -= start % PAGE_BYTES;
	if (start < s->vaddr)
		start = s->vaddr;
	end = s->vaddr + s->file_bytes;
	if (start >= end)
		return 0;
	r = spans_add(&c->spans, start, stack_wanted(c, s, start, end - start, !follow));
	if (end - start > c->stack_bytes + PAGE_BYTES)
		end = start + c->stack_bytes + PAGE_BYTES;
	if (r == 0)
		r = memory_read(c->memory, start, c->stack, end - start, &unreadable_bytes);
	return r == 0 ? add_words(c, start, end - start, follow) : r;
}

/* ---- one thread ---- */

static int add_near(struct collect *c, uint64_t address)
{
	const struct elfcore_segment *s = layout_segment(c->core, address);
	uint64_t start;

	if (!s || layout_captures_to(s) <= address)
		return 0;
	start = address - s->vaddr > NEAR_REGISTER ? address - NEAR_REGISTER : s->vaddr;
	return spans_add(&c->spans, start, address + NEAR_REGISTER - start);
}

/* The list that a thread's control block points to, by its first word or its second. */
static int add_dtv(struct collect *c, uint64_t tls, bool above)
{
	unsigned char word[8];
	int r;

	r = memory_peek(c->memory, tls + (above ? 0 : c->word), word, c->word);
	if (r < 0)
		return r == -EFAULT ? 0 : r;
	return add_pointee(c, elfcore_load(c->core, word, c->word), TLS_HEAD, DTV_BYTES);
}

static int add_tls(struct collect *c, uint64_t tls)
{
	bool above = machine_tls_above(c->core);
	uint64_t below_bytes = above ? TCB_BYTES : c->tls_bytes;
	uint64_t start = tls > below_bytes ? tls - below_bytes : 0;
	int r;

	if (!is_writable(layout_segment(c->core, tls)))
		return 0;
	r = spans_add(&c->spans, start,
		      tls + (above ? c->tls_bytes + TLS_HEAD : TCB_BYTES) - start);
	return r == 0 ? add_dtv(c, tls, above) : r;
}

static int add_thread(struct collect *c, const struct elfcore_thread *thread)
{
	struct registers registers;
	uint64_t tls = machine_tls(c->core, thread);
	int r;

	if (registers_read(c->core, thread, &registers) != 0)
		return 0;
	r = add_stack(c, registers_sp(&registers), true);
	for (unsigned int i = 0; r == 0 && i < registers.count; i++)
		r = add_near(c, registers.value[i]);
	if (r == 0 && tls)
		r = add_tls(c, tls);
	return r;
}

/* ---- the process ---- */

/* Small things that the auxiliary vector points to, and the vdso, which no file holds. */
static int add_auxv(struct collect *c)
{
	static const uint64_t strings[] = { AT_EXECFN, AT_PLATFORM, AT_RANDOM };
	const struct elfcore_segment *s;
	uint64_t address;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(strings); i++)
		if (elfcore_auxv(c->core, strings[i], &address))
			r = spans_add(&c->spans, address, AUXV_STRING);
	if (r < 0 || !elfcore_auxv(c->core, AT_SYSINFO_EHDR, &address))
		return r;
	s = layout_segment(c->core, address);
	if (s && s->file_bytes <= VDSO_MAX)
		r = spans_add(&c->spans, s->vaddr, s->file_bytes);
	return r;
}

static uint64_t stack_share(const struct elfcore *core, uint64_t stack_bytes)
{
	uint64_t share = STACKS_MAX / (core->threads ? core->threads : 1);

	if (share < STACK_MIN)
		share = STACK_MIN;
	return stack_bytes < share ? stack_bytes : share;
}

static int collect(struct collect *c)
{
	struct modules modules;
	int r;

	r = modules_collect(c->core, c->memory, &c->spans, &modules);
	if (r < 0)
		return r;
	c->tls_bytes = modules.tls_bytes < TLS_MAX ? modules.tls_bytes : TLS_MAX;
	r = add_auxv(c);
	/* The crashing thread comes first: should the bounds be reached, it is in. */
	c->most_bytes = c->stack_bytes > CRASHED_MIN ? c->stack_bytes : CRASHED_MIN;
	for (size_t i = 0; r == 0 && i < c->core->threads; i++) {
		r = add_thread(c, &c->core->thread[i]);
		c->most_bytes = c->stack_bytes;
	}
	return r;
}

int threads_ranges(const struct elfcore *core, const struct memory *memory,
		   uint64_t stack_bytes, struct pagemap *ret_ranges)
{
	struct collect c = {
		.core = core,
		.memory = memory,
		.stack_bytes = stack_share(core, stack_bytes),
		.word = core->elf_class == ELFCLASS64 ? 8 : 4,
	};
	int r;

	c.stack = malloc(c.stack_bytes + PAGE_BYTES);
	if (!c.stack)
		return -ENOMEM;
	r = collect(&c);
	if (r == 0)
		r = spans_merge(&c.spans, MERGE_GAP, ret_ranges);
	spans_done(&c.spans);
	free(c.stack);
	return r;
}
