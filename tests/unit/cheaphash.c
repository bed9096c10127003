/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Crashes that are alike have one cheap hash, wherever the process was loaded. */

#include "core/stacktop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

/*
 * A process of three mappings at a base that address space randomisation chose: its own
 * code, libc's code, its stack. Words on the stack are given as a line: a10 is 0x10 in our
 * code, l10 in libc's, 7 is a number.
 */
#define APP 0x100000UL
#define LIBC 0x200000UL
#define STACK 0x300000UL
#define SPAN 0x10000UL
/* Registers are those of x86_64 whatever this runs on: pc is entry 16, sp entry 19. */
#define REGISTERS_AT 112
#define PRSTATUS (REGISTERS_AT + 27 * 8 + 8)
/* As many of our addresses as are looked at. */
#define DEEP                                                                             \
	"a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af a11 a12 a13 a14 a15 a16 a17 a18 a19"

struct process {
	struct elfcore core;
	struct elfcore_segment segment[3];
	struct elfcore_mapping mapping[2];
	struct elfcore_thread thread;
	_Alignas(uint64_t) char prstatus[PRSTATUS];
	uint64_t word[64];
	size_t words;
};

static uint64_t word_of(const char *text, uint64_t base)
{
	uint64_t value = strtoull(text + (*text == 'a' || *text == 'l'), NULL, 16);

	return *text == 'a'   ? base + APP + value
	       : *text == 'l' ? base + LIBC + value
			      : value;
}

static void make(struct process *p, uint64_t base, const char *line)
{
	char copy[256], *save = NULL;
	uint64_t *gregs = (uint64_t *)(p->prstatus + REGISTERS_AT);

	memset(p, 0, sizeof(*p));
	p->segment[0] = (struct elfcore_segment){ PT_LOAD, PF_R | PF_X, 0, base + APP,
						  0,	   SPAN,	0 };
	p->segment[1] = (struct elfcore_segment){ PT_LOAD, PF_R | PF_X, 0, base + LIBC,
						  0,	   SPAN,	0 };
	p->segment[2] = (struct elfcore_segment){ PT_LOAD, PF_R | PF_W, 0, base + STACK,
						  0,	   SPAN,	0 };
	p->mapping[0] = (struct elfcore_mapping){ base + APP, base + APP + SPAN, 0x1000,
						  "/bin/app" };
	p->mapping[1] = (struct elfcore_mapping){ base + LIBC, base + LIBC + SPAN, 0,
						  "/lib/libc.so.6" };
	strcpy(copy, line);
	gregs[16] = word_of(strtok_r(copy, " ", &save), base);
	gregs[19] = base + STACK + 0x100;
	for (char *word; (word = strtok_r(NULL, " ", &save));)
		p->word[p->words++] = word_of(word, base);
	p->thread = (struct elfcore_thread){ 1, p->prstatus, REGISTERS_AT + 27 * 8 };
	p->core = (struct elfcore){ .elf_class = ELFCLASS64,
				    .byte_order = ELFDATA2LSB,
				    .machine = EM_X86_64,
				    .segment = p->segment,
				    .segments = 3,
				    .thread = &p->thread,
				    .threads = 1,
				    .mapping = p->mapping,
				    .mappings = 2,
				    .signal = SIGSEGV,
				    .si_code = 1 };
}

static uint64_t hash(uint64_t base, const char *line)
{
	struct cheaphash_crash crash;
	struct process p;
	uint64_t address;

	make(&p, base, line);
	ck_assert_int_eq(stacktop_range(&p.core, &address), 0);
	ck_assert_uint_eq(address, base + STACK + 0x100);
	ck_assert_int_eq(stacktop_look(&p.core, p.word, p.words * 8, &crash), 0);
	return cheaphash(&crash);
}

static const struct {
	const char *claim;
	const char *a, *b; /* pc, then the stack */
	bool same;
} pairs[] = {
	{ "the same bug", "a10 1 a20 a30", "a10 1 a20 a30", true },
	{ "numbers on the stack say nothing", "a10 1 a20 a30", "a10 2 3 a20 a30", true },
	{ "another place", "a10 1 a20 a30", "a11 1 a20 a30", false },
	{ "another caller", "a10 1 a20 a30", "a10 1 a21 a30", false },
	{ "libc on the stack is everybody's", "a10 l40 a20 a30", "a10 l50 a20 a30",
	  true },
	{ "two callers of abort()", "l10 l20 l30 7 a20 a30", "l10 l20 l30 7 a21 a30",
	  false },
	{ "the caller behind a linked-in runtime", "l10 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac",
	  "l10 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ad", false },
	{ "as deep as matters", "a10 " DEEP " a31", "a10 " DEEP " a32", true },
	{ "libc or ours", "a10 a1", "l10 a1", false },
	{ "nowhere is nowhere", "7 a1 a2", "8 a1 a2", true },
	{ "... however far away", "7 a1 a2", "12345000 a1 a2", true },
	{ "a call of null is not one of garbage", "0 a1 a2", "12345000 a1 a2", false },
	{ "... nor one of nearly null", "0 a1 a2", "8 a1 a2", false },
	{ "a call of null is a call of null", "0 7 a1 a2", "0 8 a1 a2", true },
	{ "no stack to read", "a10", "a10", true },
};

START_TEST(test_pair)
{
	bool same =
		hash(0x7f0000000000, pairs[_i].a) == hash(0x550000000000, pairs[_i].b);

	ck_assert_msg(same == pairs[_i].same, "%s", pairs[_i].claim);
}
END_TEST

START_TEST(test_signal)
{
	struct cheaphash_crash a = { .signal = SIGSEGV, .si_code = 1 }, b = a, c = a;

	b.signal = SIGBUS;
	c.si_code = 2;
	ck_assert_uint_ne(cheaphash(&a), cheaphash(&b));
	ck_assert_uint_ne(cheaphash(&a), cheaphash(&c));
	ck_assert_uint_ne(cheaphash(&a), 0);
}
END_TEST

START_TEST(test_unknown)
{
	struct cheaphash_crash crash;
	struct process p;
	uint64_t address;

	make(&p, 0, "a10");
	p.core.machine = EM_S390;
	ck_assert_int_eq(stacktop_range(&p.core, &address), STACKTOP_E_UNKNOWN);
	p.core.machine = EM_X86_64;
	p.core.threads = 0;
	ck_assert_int_eq(stacktop_look(&p.core, NULL, 0, &crash), STACKTOP_E_UNKNOWN);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cheaphash");
	TCase *tc = unit_case(suite, "cheaphash");

	tcase_add_loop_test(tc, test_pair, 0, ROWS(pairs));
	tcase_add_test(tc, test_signal);
	tcase_add_test(tc, test_unknown);
	return unit_main(suite);
}
