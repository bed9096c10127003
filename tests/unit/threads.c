/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the notes of each machine say of its threads, which memory they are worth, and what
 * is put aside of a core that goes by.
 */

#include "core/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/machine.h"
#include "core/registers.h"
#include "core/stash.h"
#include "unit.h"

#define PAGE 4096ULL

static void put(unsigned char *at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

/* ---- where thread-local storage is ---- */

static const struct tls_row {
	const char *claim;
	uint16_t machine;
	int elf_class;
	size_t prstatus_bytes;
	size_t at; /* in NT_PRSTATUS ... */
	uint64_t value; /* ... is this */
	uint64_t note[12]; /* 32-bit words of its own note */
	size_t note_words;
	uint64_t tls;
	bool above;
} tls_rows[] = {
	{ "x86-64: fs_base", EM_X86_64, ELFCLASS64, 336, 112 + 21 * 8, 0x7f0000001740, { 0 }, 0,
	  0x7f0000001740, false },
	{ "x86-64: a note too short", EM_X86_64, ELFCLASS64, 112 + 21 * 8, 0, 0, { 0 }, 0, 0,
	  false },
	{ "i386: gs selects a descriptor", EM_386, ELFCLASS32, 144, 72 + 10 * 4, 12 << 3 | 3,
	  { 11, 0x1111, 0, 0, 12, 0xf7d01740, 0xfffff, 0x51 }, 8, 0xf7d01740, false },
	{ "i386: what gs holds above 16 bits says nothing", EM_386, ELFCLASS32, 144, 72 + 10 * 4,
	  0xabcd0000 | 6 << 3 | 3, { 6, 0xf7d01740, 0xfffff, 0x51 }, 4, 0xf7d01740, false },
	{ "i386: gs selects none of them", EM_386, ELFCLASS32, 144, 72 + 10 * 4, 13 << 3 | 3,
	  { 12, 0xf7d01740, 0xfffff, 0x51 }, 4, 0, false },
	{ "i386: no note", EM_386, ELFCLASS32, 144, 72 + 10 * 4, 12 << 3 | 3, { 0 }, 0, 0, false },
	{ "i386: half a descriptor", EM_386, ELFCLASS32, 144, 72 + 10 * 4, 12 << 3 | 3,
	  { 12, 0xf7d01740 }, 2, 0, false },
	{ "aarch64: NT_ARM_TLS", EM_AARCH64, ELFCLASS64, 392, 0, 0, { 0xf7ff0100, 0xffff }, 2,
	  0xfffff7ff0100, true },
	{ "aarch64: with tpidr2 behind it", EM_AARCH64, ELFCLASS64, 392, 0, 0,
	  { 0xf7ff0100, 0xffff, 7, 7 }, 4, 0xfffff7ff0100, true },
	{ "aarch64: no note", EM_AARCH64, ELFCLASS64, 392, 0, 0, { 0 }, 0, 0, true },
	{ "arm: its cores do not say", EM_ARM, ELFCLASS32, 148, 0, 0, { 1, 2 }, 2, 0, true },
	{ "another machine", EM_SPARC, ELFCLASS32, 300, 0, 0, { 1, 2 }, 2, 0, false },
};

START_TEST(tls)
{
	const struct tls_row *row = &tls_rows[_i];
	unsigned char prstatus[400] = { 0 }, note[48];
	const struct elfcore core = { .elf_class = row->elf_class,
				      .byte_order = ELFDATA2LSB,
				      .machine = row->machine };
	struct elfcore_thread thread = { .prstatus = prstatus,
					 .prstatus_bytes = row->prstatus_bytes,
					 .tls = row->note_words ? note : NULL,
					 .tls_bytes = row->note_words * 4 };

	put(prstatus + row->at, row->value, row->elf_class == ELFCLASS64 ? 8 : 4);
	for (size_t i = 0; i < row->note_words; i++)
		put(note + 4 * i, row->note[i], 4);
	claim_int_eq(row->claim, (int64_t)machine_tls(&core, &thread), (int64_t)row->tls);
	claim_int_eq(row->claim, machine_tls_above(&core), row->above);
}
END_TEST

static const struct register_row {
	const char *claim;
	uint16_t machine;
	int elf_class;
	size_t pc_at, sp_at;
} register_rows[] = {
	{ "x86-64", EM_X86_64, ELFCLASS64, 112 + 16 * 8, 112 + 19 * 8 },
	{ "i386", EM_386, ELFCLASS32, 72 + 12 * 4, 72 + 15 * 4 },
	{ "aarch64", EM_AARCH64, ELFCLASS64, 112 + 32 * 8, 112 + 31 * 8 },
	{ "arm", EM_ARM, ELFCLASS32, 72 + 15 * 4, 72 + 13 * 4 },
};

START_TEST(registers)
{
	const struct register_row *row = &register_rows[_i];
	unsigned char prstatus[400] = { 0 };
	const struct elfcore core = { .elf_class = row->elf_class,
				      .byte_order = ELFDATA2LSB,
				      .machine = row->machine };
	const struct elfcore_thread thread = { .prstatus = prstatus,
					       .prstatus_bytes = sizeof(prstatus) };
	struct registers r;

	put(prstatus + row->pc_at, 0x401234, 4);
	put(prstatus + row->sp_at, 0x7ff000, 4);
	claim_int_eq(row->claim, registers_read(&core, &thread, &r), 0);
	claim_int_eq(row->claim, (int64_t)registers_pc(&r), 0x401234);
	claim_int_eq(row->claim, (int64_t)registers_sp(&r), 0x7ff000);
}
END_TEST

/* ---- a process of a few pages ---- */

/*
 * Pages of the core: a file's header, a large heap, a small mapping, constants, a stack
 * whose pointer is in its third page. Every byte of page p is p, those of ZERO pages 0.
 */
static struct elfcore_segment segments[] = {
	{ .type = PT_NOTE },
	{ PT_LOAD, PF_R, 16 * PAGE, 0x100 * PAGE, 1 * PAGE, 4 * PAGE, PAGE },
	{ PT_LOAD, PF_R | PF_W, 17 * PAGE, 0x200 * PAGE, 64 * PAGE, 64 * PAGE, PAGE },
	{ PT_LOAD, PF_R | PF_W, 81 * PAGE, 0x300 * PAGE, 2 * PAGE, 2 * PAGE, PAGE },
	{ PT_LOAD, PF_R, 83 * PAGE, 0x400 * PAGE, 2 * PAGE, 2 * PAGE, PAGE },
	{ PT_LOAD, PF_R | PF_W, 85 * PAGE, 0x500 * PAGE, 4 * PAGE, 4 * PAGE, PAGE },
};
#define CORE_PAGES 89
#define ZERO_PAGE 18 /* the second of the heap */

static unsigned char prstatus[336];
static struct elfcore_thread thread = { .prstatus = prstatus,
					.prstatus_bytes = sizeof(prstatus) };

static struct elfcore make_core(void)
{
	put(prstatus + 112 + 19 * 8, 0x502 * PAGE + 256, 8);
	put(prstatus + 112 + 16 * 8, 0x100 * PAGE, 8);
	return (struct elfcore){ .elf_class = ELFCLASS64,
				 .byte_order = ELFDATA2LSB,
				 .machine = EM_X86_64,
				 .segment = segments,
				 .segments = ROWS(segments),
				 .thread = &thread,
				 .threads = 1,
				 .head_bytes = 16 * PAGE,
				 .end = CORE_PAGES * PAGE };
}

/* ---- which memory is taken ---- */

#define SP (0x502 * PAGE + 256)

static const struct range_row {
	const char *claim;
	uint64_t sp;
	uint64_t word; /* on the stack, above sp */
	uint64_t rbx;
	uint64_t address; /* is it taken? */
	bool taken;
} range_rows[] = {
	{ "the page of a stack's pointer", SP, 0, 0, 0x502 * PAGE, true },
	{ "not the page below", SP, 0, 0, 0x501 * PAGE, false },
	{ "but for the red zone", 0x502 * PAGE + 64, 0, 0, 0x501 * PAGE, true },
	{ "up to the stack's other end", SP, 0, 0, 0x504 * PAGE - 1, true },
	{ "a pointer that ran into the guard: all of the stack above", 0x4ff * PAGE, 0, 0,
	  0x500 * PAGE, true },
	{ "nothing of a heap to which nothing points", SP, 0, 0, 0x210 * PAGE, false },
	{ "what a word on the stack points to", SP, 0x210 * PAGE + 1000, 0, 0x210 * PAGE + 1000,
	  true },
	{ "a little before it", SP, 0x210 * PAGE + 1000, 0, 0x210 * PAGE + 1000 - 64, true },
	{ "more behind it", SP, 0x210 * PAGE + 1000, 0, 0x210 * PAGE + 1000 + 255, true },
	{ "and no more", SP, 0x210 * PAGE + 1000, 0, 0x210 * PAGE + 1000 + 256, false },
	{ "no constants", SP, 0x401 * PAGE + 1000, 0, 0x401 * PAGE + 1000, false },
	{ "around what a register holds", SP, 0, 0x220 * PAGE + 1000, 0x220 * PAGE + 1000 - 512,
	  true },
	{ "on both sides", SP, 0, 0x220 * PAGE + 1000, 0x220 * PAGE + 1000 + 511, true },
	{ "and no further", SP, 0, 0x220 * PAGE + 1000, 0x220 * PAGE + 1000 + 512, false },
};

static bool has(const struct pagemap *ranges, uint64_t address)
{
	size_t i = pagemap_find(ranges, address);

	return i < ranges->runs && ranges->run[i].start <= address;
}

START_TEST(ranges)
{
	const struct range_row *row = &range_rows[_i];
	const struct elfcore core = make_core();
	const struct memory memory = { .fd = memfd_create("memory", MFD_CLOEXEC) };
	struct pagemap taken = PAGEMAP_NULL;
	unsigned char word[8];

	put(prstatus + 112 + 19 * 8, row->sp, 8);
	put(prstatus + 112 + 5 * 8, row->rbx, 8);
	put(word, row->word, 8);
	ck_assert_int_eq(ftruncate(memory.fd, 0x504 * PAGE), 0);
	ck_assert_int_eq(pwrite(memory.fd, word, 8, SP + 8), 8);
	ck_assert_int_eq(threads_ranges(&core, &memory, 65536, &taken), 0);
	claim_int_eq(row->claim, has(&taken, row->address), row->taken);
	pagemap_done(&taken);
	(void)close(memory.fd);
}
END_TEST

/* ---- what modules have of their own ---- */

/* Each a header, data of its file and what it has beyond it; the last one is large. */
#define MODULES 61u
#define LARGE (MODULES - 1)
#define MODULE(i) (0x10000 * PAGE + (i) * 0x1000 * PAGE)
#define DATA_PAGES(i) ((i) == LARGE ? 600u : 12u)
#define DATA(i) (MODULE(i) + PAGE)
#define BSS_PAGES(i) ((i) == LARGE ? 256u : 4u)
#define BSS(i) (DATA(i) + DATA_PAGES(i) * PAGE)

static const struct module_row {
	const char *claim;
	uint64_t address;
	bool taken;
	bool dynamic; /* there is a dynamic linker */
} module_rows[] = {
	{ "of sixty modules: the first one's data", DATA(0), true },
	{ "the last one's", DATA(59) + 12 * PAGE - 1, true },
	{ "and what it has beyond its file", BSS(59) + 4 * PAGE - 1, true },
	{ "of a large one of a static program the end", DATA(LARGE) + 592 * PAGE, true },
	{ "and no more", DATA(LARGE) + 592 * PAGE - 1, false },
	{ "and that of what it has beyond its file", BSS(LARGE) + 248 * PAGE, true },
	{ "and no more of it", BSS(LARGE) + 248 * PAGE - 1, false },
	{ "where libc is a module: nothing of a large one", DATA(LARGE) + 599 * PAGE, false, true },
	{ "nor of what it has beyond its file", BSS(LARGE) + 255 * PAGE, false, true },
	{ "but of the small ones", DATA(59), true, true },
};

static void make_module(struct elfcore *core, uint64_t i)
{
	static char path[MODULES][8];
	const struct elfcore_segment parts[] = {
		{ PT_LOAD, PF_R, 0, MODULE(i), PAGE, PAGE, PAGE },
		{ PT_LOAD, PF_R | PF_W, 0, DATA(i), DATA_PAGES(i) * PAGE, DATA_PAGES(i) * PAGE, PAGE },
		{ PT_LOAD, PF_R | PF_W, 0, BSS(i), BSS_PAGES(i) * PAGE, BSS_PAGES(i) * PAGE, PAGE },
	};

	(void)snprintf(path[i], sizeof(path[i]), "/%u", (unsigned int)i);
	memcpy(core->segment + core->segments, parts, sizeof(parts));
	core->segments += ROWS(parts);
	core->mapping[core->mappings++] =
		(struct elfcore_mapping){ MODULE(i), DATA(i), 0, path[i] };
	core->mapping[core->mappings++] =
		(struct elfcore_mapping){ DATA(i), BSS(i), PAGE, path[i] };
}

START_TEST(modules)
{
	static struct elfcore_segment segment[1 + 3 * MODULES];
	static struct elfcore_mapping mapping[2 * MODULES];
	const struct module_row *row = &module_rows[_i];
	const struct pagemap nothing = PAGEMAP_NULL;
	const struct memory unknown = { .fd = -1, .present = &nothing };
	const uint64_t auxv[] = { AT_BASE, 0x7000 * PAGE, AT_NULL, 0 };
	struct elfcore core = make_core();
	struct pagemap taken = PAGEMAP_NULL;

	core.auxv = row->dynamic ? auxv : NULL;
	core.auxv_bytes = row->dynamic ? sizeof(auxv) : 0;
	segment[0].type = PT_NOTE;
	core.segment = segment;
	core.segments = 1;
	core.mapping = mapping;
	for (uint64_t i = 0; i < MODULES; i++)
		make_module(&core, i);
	ck_assert_int_eq(threads_ranges(&core, &unknown, 65536, &taken), 0);
	claim_int_eq(row->claim, has(&taken, row->address), row->taken);
	pagemap_done(&taken);
}
END_TEST

/* ---- a core that goes by ---- */

/* All of the core, in pieces of that size. */
static void go_by(struct stash *stash, size_t piece)
{
	unsigned char *bytes = malloc(CORE_PAGES * PAGE);

	for (size_t page = 0; page < CORE_PAGES; page++)
		memset(bytes + page * PAGE, page == ZERO_PAGE ? 0 : (int)page, PAGE);
	for (size_t at = 0; at < CORE_PAGES * PAGE; at += piece) {
		size_t left = CORE_PAGES * PAGE - at;

		stash_put(stash, at, bytes + at, left < piece ? left : piece);
	}
	free(bytes);
}

static const struct stash_row {
	const char *claim;
	uint64_t spare_pages;
	uint64_t address; /* page */
	int byte; /* that is there; -1: it is absent */
} stash_rows[] = {
	{ "the page of a stack's pointer", 0, 0x502, 87 },
	{ "and what is above it", 0, 0x503, 88 },
	{ "not what is below", 0, 0x500, -1 },
	{ "what a register points to, if the kernel dumps it", 0, 0x100, 16 },
	{ "nothing of a heap without room to spare", 0, 0x200, -1 },
	{ "not even its zeros", 0, 0x201, -1 },
	{ "with room, its beginning", 16, 0x200, 17 },
	{ "zeros cost nothing", 16, 0x201, 0 },
	{ "a quarter of the room", 16, 0x204, 21 },
	{ "and no more", 16, 0x205, -1 },
	{ "so that something is left for small mappings", 16, 0x300, 81 },
	{ "but not for constants", 16, 0x400, -1 },
	{ "with room for all", 1024, 0x23f, 80 },
	{ "there is all that can be written to", 1024, 0x500, 85 },
	{ "and no more than that", 1024, 0x401, -1 },
	{ "what is in no segment is absent", 1024, 0x700, -1 },
};

START_TEST(stashed)
{
	static const size_t pieces[] = { 1 << 20, PAGE, 100, 5000 };
	const struct stash_row *row = &stash_rows[_i];
	const struct elfcore core = make_core();

	for (size_t i = 0; i < ROWS(pieces); i++) {
		struct stash stash = STASH_NULL;
		struct memory memory;
		unsigned char byte[2] = { 0x55, 0x55 };
		int r;

		/* Pieces that are no pages may cost more room. */
		if (PAGE % pieces[i] != 0 && pieces[i] < PAGE * 4 && row->spare_pages == 16)
			continue;
		ck_assert(stash_possible(&core));
		ck_assert_int_eq(stash_begin(&stash, &core, 65536, row->spare_pages * PAGE), 0);
		go_by(&stash, pieces[i]);
		memory = stash_as_memory(&stash);
		r = memory_peek(&memory, row->address * PAGE + 77, byte, 2);
		claim_int_eq(row->claim, r == 0 ? byte[0] : -1, row->byte);
		claim_int_eq(row->claim, r == 0 ? byte[1] : -1, row->byte);
		stash_done(&stash);
	}
}
END_TEST

START_TEST(not_in_order)
{
	struct elfcore core = make_core();

	segments[3].offset = 17 * PAGE;
	ck_assert(!stash_possible(&core));
	segments[3].offset = 81 * PAGE;
	core.threads = 0;
	ck_assert(!stash_possible(&core));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *machine = unit_case(suite, "machine"), *stash = unit_case(suite, "stash"),
	      *memory = unit_case(suite, "memory");

	tcase_add_loop_test(machine, tls, 0, ROWS(tls_rows));
	tcase_add_loop_test(machine, registers, 0, ROWS(register_rows));
	tcase_add_loop_test(memory, ranges, 0, ROWS(range_rows));
	tcase_add_loop_test(memory, modules, 0, ROWS(module_rows));
	tcase_add_loop_test(stash, stashed, 0, ROWS(stash_rows));
	tcase_add_test(stash, not_in_order);
	return unit_main(suite);
}
