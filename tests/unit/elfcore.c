/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The head of a core: right ones of each form, cut ones, and one lie at a time. */

#include "core/elfcore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "elfbuild.h"
#include "unit.h"

static const struct {
	const char *claim;
	int elf_class;
	int byte_order;
	size_t empty_loads;
} forms[] = {
	{ "64 bits, little end first", ELFCLASS64, ELFDATA2LSB, 0 },
	{ "64 bits, big end first", ELFCLASS64, ELFDATA2MSB, 0 },
	{ "32 bits, little end first", ELFCLASS32, ELFDATA2LSB, 0 },
	{ "32 bits, big end first", ELFCLASS32, ELFDATA2MSB, 0 },
	{ "65,534 segments and one", ELFCLASS64, ELFDATA2LSB, 65532 },
	{ "more than e_phnum holds", ELFCLASS64, ELFDATA2LSB, 65533 },
	{ "far more", ELFCLASS64, ELFDATA2MSB, 200000 },
	{ "far more of 32 bits", ELFCLASS32, ELFDATA2LSB, 70000 },
	{ "far more of 32 bits, big end first", ELFCLASS32, ELFDATA2MSB, 70000 },
};

static struct elfbuild usual(int elf_class, int byte_order)
{
	struct elfbuild build = { .elf_class = elf_class, .byte_order = byte_order };

	elfbuild_usual_notes(&build);
	elfbuild_load(&build, 0x400000, 4096, 8192);
	elfbuild_load(&build, 0x7f0000, 100, 100);
	return build;
}

static void check_notes(const char *claim, const struct elfcore *core)
{
	uint64_t value = 0;

	claim_int_eq(claim, core->threads, 2);
	claim_int_eq(claim, core->thread[0].tid, 4243);
	claim_int_eq(claim, core->thread[1].tid, 4242);
	claim_int_eq(claim, core->has_prpsinfo, true);
	claim_int_eq(claim, core->uid, 1000);
	claim_int_eq(claim, core->gid, 1001);
	claim_int_eq(claim, core->pid, 4242);
	claim_str_eq(claim, core->comm, "cccccccccccccccc");
	claim_int_eq(claim, strlen(core->psargs), 80);
	claim_int_eq(claim, core->signal, SIGSEGV);
	claim_int_eq(claim, core->has_siginfo, true);
	claim_int_eq(claim, core->si_code, 1);
	claim_int_eq(claim, core->fault_address, 0xdead000);
	claim_int_eq(claim, core->sender_pid, 0);
	claim_int_eq(claim, core->mappings, 2);
	claim_str_eq(claim, core->mapping[0].path, "/bin/a");
	claim_int_eq(claim, core->mapping[1].start, 0x7f0000);
	claim_int_eq(claim, core->mapping[1].end, 0x7f8000);
	claim_int_eq(claim, core->mapping[1].file_offset, 3 * 4096);
	claim_str_eq(claim, core->mapping[1].path, "/lib/b.so");
	ck_assert(elfcore_auxv(core, AT_ENTRY, &value));
	claim_int_eq(claim, value, 0x401000);
	ck_assert(!elfcore_auxv(core, AT_BASE, &value));
}

START_TEST(test_form)
{
	struct elfbuild build = usual(forms[_i].elf_class, forms[_i].byte_order);
	struct elfcore core = ELFCORE_NULL;
	const char *claim = forms[_i].claim;

	build.empty_loads = forms[_i].empty_loads;
	elfbuild_finish(&build);
	claim_int_eq(claim, elfcore_parse(build.bytes, build.head_bytes, &core), 0);
	claim_int_eq(claim, core.elf_class, forms[_i].elf_class);
	claim_int_eq(claim, core.byte_order, forms[_i].byte_order);
	claim_int_eq(claim, core.segments, 3 + forms[_i].empty_loads);
	claim_int_eq(claim, core.segment[0].type, PT_NOTE);
	claim_int_eq(claim, core.segment[1].type, PT_LOAD);
	claim_int_eq(claim, core.segment[1].vaddr, 0x400000);
	claim_int_eq(claim, core.segment[1].offset, build.head_bytes);
	claim_int_eq(claim, core.segment[1].file_bytes, 4096);
	claim_int_eq(claim, core.segment[1].memory_bytes, 8192);
	claim_int_eq(claim, core.segment[1].flags, PF_R);
	claim_int_eq(claim, core.segment[1].align, 4096);
	claim_int_eq(claim, core.head_bytes, build.head_bytes);
	claim_int_eq(claim, core.note_bytes, build.note_bytes);
	claim_int_eq(claim, core.end, build.n);
	check_notes(claim, &core);
	elfcore_done(&core);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

/* A reader that starts with 64 bytes is led to the whole head in few steps. */
START_TEST(test_head_size)
{
	struct elfbuild build = usual(forms[_i].elf_class, forms[_i].byte_order);
	uint64_t needed = 0, n = 0;
	int steps = 0;

	build.empty_loads = forms[_i].empty_loads;
	elfbuild_finish(&build);
	for (;;) {
		ck_assert_int_eq(elfcore_head_size(build.bytes, n, &needed), 0);
		ck_assert_uint_le(needed, build.head_bytes);
		if (needed <= n)
			break;
		n = needed;
		steps++;
	}
	claim_int_eq(forms[_i].claim, needed, build.head_bytes);
	ck_assert_int_le(steps, 4);
	elfbuild_done(&build);
}
END_TEST

/* Exact copies, so that a sanitizer sees the first byte beyond. */
static void parse_exactly(const void *bytes, size_t n, int *ret_r, struct elfcore *core)
{
	void *copy = malloc(n ? n : 1);
	uint64_t needed;
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, n);
	r = elfcore_head_size(copy, n, &needed);
	ck_assert_int_ge(r, 0);
	*ret_r = elfcore_parse(copy, n, core);
	if (*ret_r == 0) {
		if (core->note_bytes > 0)
			ck_assert_uint_le(core->note_offset + core->note_bytes, n);
		ck_assert_uint_le(core->head_bytes, n);
		for (size_t i = 0; i < core->mappings; i++)
			ck_assert_uint_lt(strlen(core->mapping[i].path), n);
		for (size_t i = 0; i < core->threads; i++)
			ck_assert_uint_le(core->thread[i].prstatus_bytes, n);
		(void)elfcore_auxv(core, AT_ENTRY, &needed);
		elfcore_done(core);
	}
	free(copy);
}

START_TEST(test_cut)
{
	struct elfbuild build = usual(forms[_i].elf_class, forms[_i].byte_order);
	size_t table_end;
	int r;

	elfbuild_finish(&build);
	table_end = build.head_bytes - build.note_bytes;
	for (size_t n = 0; n <= build.head_bytes; n++) {
		struct elfcore core = ELFCORE_NULL;

		parse_exactly(build.bytes, n, &r, &core);
		ck_assert_int_eq(r, n < table_end ? ELFCORE_E_SHORT : 0);
	}
	elfbuild_done(&build);
}
END_TEST

/* Any bytes in any place: an answer, within bounds. */
START_TEST(test_mutated)
{
	struct unit_random random = unit_random(_i);
	struct elfbuild build = usual(forms[_i % 4].elf_class, forms[_i % 4].byte_order);
	unsigned char *good;
	int r;

	elfbuild_finish(&build);
	good = memcpy(malloc(build.n), build.bytes, build.n);
	for (int round = 0; round < 4000; round++) {
		struct elfcore core = ELFCORE_NULL;

		for (uint64_t n = 1 + unit_below(&random, 6); n > 0; n--) {
			size_t at = unit_below(&random, unit_below(&random, 2) ? 250 :
								build.head_bytes);

			build.bytes[at] = unit_below(&random, 2) ?
						  (unsigned char)unit_next(&random) : 0xff;
		}
		parse_exactly(build.bytes, unit_below(&random, 4) ? build.head_bytes :
			      unit_below(&random, build.head_bytes), &r, &core);
		ck_assert_int_ge(r, 0);
		memcpy(build.bytes, good, build.n);
	}
	free(good);
	elfbuild_done(&build);
}
END_TEST

/* ---- one lie at a time (64 bits, little end first) ---- */

#define PHDR(i) (64 + 56 * (i))
#define NOTES PHDR(3)

static const struct {
	const char *claim;
	size_t at;
	size_t bytes;
	uint64_t value;
	int result;
	size_t threads; /* that are still found */
} lies[] = {
	{ "no lie", 0, 1, 0x7f, 0, 2 },
	{ "another magic", 0, 1, 0x7e, ELFCORE_E_NOT_CORE, 0 },
	{ "no class", EI_CLASS, 1, 0, ELFCORE_E_NOT_CORE, 0 },
	{ "no such class", EI_CLASS, 1, 3, ELFCORE_E_NOT_CORE, 0 },
	{ "no byte order", EI_DATA, 1, 0, ELFCORE_E_NOT_CORE, 0 },
	{ "an executable", 16, 2, ET_EXEC, ELFCORE_E_NOT_CORE, 0 },
	{ "no program headers", 56, 2, 0, ELFCORE_E_NOT_CORE, 0 },
	{ "more of them than there are bytes", 56, 2, 0xfffe, ELFCORE_E_SHORT, 0 },
	{ "headers of another size", 54, 2, 57, ELFCORE_E_NOT_CORE, 0 },
	{ "the table inside the header", 32, 8, 63, ELFCORE_E_NOT_CORE, 0 },
	{ "the table at 2^63", 32, 8, 1ULL << 63, ELFCORE_E_NOT_CORE, 0 },
	{ "the table behind the end", 32, 8, 1 << 20, ELFCORE_E_SHORT, 0 },
	{ "PN_XNUM with a number that fits", 56, 2, 0xffff, 0, 2 },
	{ "a segment of 2^63 bytes", PHDR(1) + 32, 8, 1ULL << 63, 0, 2 },
	{ "a segment that ends behind 2^64", PHDR(1) + 32, 8, UINT64_MAX, ELFCORE_E_NOT_CORE, 0 },
	{ "a segment at the end of all offsets", PHDR(1) + 8, 8, UINT64_MAX - 4096, 0, 2 },
	{ "a segment of 2^64 - 1 bytes of memory", PHDR(1) + 40, 8, UINT64_MAX, 0, 2 },
	{ "notes of 2^63 bytes", PHDR(0) + 32, 8, 1ULL << 63, ELFCORE_E_LIMIT, 0 },
	{ "notes at 2^63", PHDR(0) + 8, 8, 1ULL << 63, ELFCORE_E_LIMIT, 0 },
	{ "notes behind the end", PHDR(0) + 8, 8, 1 << 20, 0, 0 },
	{ "notes of more than there is", PHDR(0) + 32, 8, 1 << 20, 0, 2 },
	{ "notes of a few bytes", PHDR(0) + 32, 8, 11, 0, 0 },
	{ "no notes", PHDR(0), 4, PT_NULL, 0, 0 },
	{ "a note's name of 2^32 bytes", NOTES, 4, UINT32_MAX, 0, 0 },
	{ "a note of 2^32 bytes", NOTES + 4, 4, UINT32_MAX, 0, 0 },
	{ "a thread without registers", NOTES + 4, 4, 20, 0, 0 },
	{ "a note of another name", NOTES + 12, 4, 0x45524f44, 0, 1 },
};

START_TEST(test_lie)
{
	struct elfbuild build = usual(ELFCLASS64, ELFDATA2LSB);
	struct elfcore core = ELFCORE_NULL;
	int r;

	elfbuild_finish(&build);
	elfbuild_put(&build, build.bytes + lies[_i].at, lies[_i].value, lies[_i].bytes);
	parse_exactly(build.bytes, build.head_bytes, &r, &core);
	claim_int_eq(lies[_i].claim, r, lies[_i].result);
	if (r == 0) {
		ck_assert_int_eq(elfcore_parse(build.bytes, build.head_bytes, &core), 0);
		claim_int_eq(lies[_i].claim, core.threads, lies[_i].threads);
		elfcore_done(&core);
	}
	elfbuild_done(&build);
}
END_TEST

static const struct {
	const char *claim;
	uint64_t words[8];
	size_t n;
	const char *tail;
	size_t tail_bytes;
	size_t mappings;
} files[] = {
	{ "one file", { 1, 4096, 0x1000, 0x2000, 0 }, 5, "/a", 3, 1 },
	{ "no file", { 0, 4096 }, 2, "", 0, 0 },
	{ "one file and no entry", { 1, 4096 }, 2, "", 0, 0 },
	{ "too short for a count", { 1 }, 1, "", 0, 0 },
	{ "more files than entries", { 2, 4096, 0x1000, 0x2000, 0 }, 5, "/a", 3, 0 },
	{ "2^63 files", { 1ULL << 63, 4096, 0x1000, 0x2000, 0 }, 5, "/a", 3, 0 },
	{ "2^64 - 1 files", { UINT64_MAX, 4096, 0x1000, 0x2000, 0 }, 5, "/a", 3, 0 },
	{ "fewer names than files", { 2, 4096, 1, 2, 0, 3, 4, 0 }, 8, "/a", 3, 1 },
	{ "a name without its end", { 1, 4096, 0x1000, 0x2000, 0 }, 5, "/a", 2, 0 },
	{ "no name", { 1, 4096, 0x1000, 0x2000, 0 }, 5, "", 0, 0 },
	{ "an empty name", { 1, 4096, 0x1000, 0x2000, 0 }, 5, "", 1, 1 },
	{ "an end before its start", { 1, 4096, 0x2000, 0x1000, 0 }, 5, "/a", 3, 0 },
	{ "of no length", { 1, 4096, 0x2000, 0x2000, 0 }, 5, "/a", 3, 0 },
	{ "an offset beyond 2^64", { 1, 4096, 0x1000, 0x2000, 1ULL << 52 }, 5, "/a", 3, 0 },
	{ "pages of 2^64 - 1", { 1, UINT64_MAX, 0x1000, 0x2000, 1 }, 5, "/a", 3, 1 },
};

START_TEST(test_file_note)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };
	struct elfcore core = ELFCORE_NULL;
	unsigned char desc[128];

	for (size_t i = 0; i < files[_i].n; i++)
		elfbuild_put(&build, desc + 8 * i, files[_i].words[i], 8);
	memcpy(desc + 8 * files[_i].n, files[_i].tail, files[_i].tail_bytes);
	elfbuild_note(&build, "CORE", NT_FILE, desc, 8 * files[_i].n + files[_i].tail_bytes);
	elfbuild_finish(&build);
	ck_assert_int_eq(elfcore_parse(build.bytes, build.head_bytes, &core), 0);
	claim_int_eq(files[_i].claim, core.mappings, files[_i].mappings);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

START_TEST(test_no_notes)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB,
				  .no_notes = 1 };
	struct elfcore core = ELFCORE_NULL;
	uint64_t value;

	elfbuild_load(&build, 0x1000, 16, 16);
	elfbuild_finish(&build);
	ck_assert_int_eq(elfcore_parse(build.bytes, build.head_bytes, &core), 0);
	ck_assert_uint_eq(core.segments, 1);
	ck_assert_uint_eq(core.threads, 0);
	ck_assert_uint_eq(core.head_bytes, build.head_bytes);
	ck_assert(!core.has_prpsinfo);
	ck_assert(!elfcore_auxv(&core, AT_PHDR, &value));
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

START_TEST(test_sent_signal)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };
	struct elfcore core = ELFCORE_NULL;
	unsigned char info[128] = { 0 };

	elfbuild_put(&build, info, SIGABRT, 4);
	elfbuild_put(&build, info + 8, (uint64_t)-6, 4);
	elfbuild_put(&build, info + 16, 321, 4);
	elfbuild_note(&build, "CORE", NT_SIGINFO, info, sizeof(info));
	elfbuild_finish(&build);
	ck_assert_int_eq(elfcore_parse(build.bytes, build.head_bytes, &core), 0);
	ck_assert_int_eq(core.signal, SIGABRT);
	ck_assert_int_eq(core.si_code, -6);
	ck_assert_int_eq(core.sender_pid, 321);
	ck_assert_uint_eq(core.fault_address, 0);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

/* A core that was cut behind its first note: the signal is known, and nothing else of it. */
START_TEST(test_no_siginfo)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };
	struct elfcore core = ELFCORE_NULL;
	unsigned char prstatus[336] = { 0 };

	elfbuild_put(&build, prstatus + 12, SIGSEGV, 2);
	elfbuild_note(&build, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	elfbuild_finish(&build);
	ck_assert_int_eq(elfcore_parse(build.bytes, build.head_bytes, &core), 0);
	ck_assert(!core.has_siginfo);
	ck_assert_int_eq(core.signal, SIGSEGV);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

/* Too short, or one too many: what follows it is not of the thread before. */
START_TEST(test_thread_left_out)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };
	unsigned char status[336] = { 0 }, tls[2] = { 1, 2 };
	struct elfcore core = ELFCORE_NULL;

	elfbuild_note(&build, "CORE", NT_PRSTATUS, status, sizeof(status));
	elfbuild_note(&build, "LINUX", NT_ARM_TLS, &tls[0], 1);
	elfbuild_note(&build, "CORE", NT_PRSTATUS, status, 8);
	elfbuild_note(&build, "LINUX", NT_ARM_TLS, &tls[1], 1);
	elfbuild_finish(&build);
	ck_assert_int_eq(elfcore_parse(build.bytes, build.n, &core), 0);
	ck_assert_uint_eq(core.threads, 1);
	ck_assert_int_eq(*(const unsigned char *)core.thread[0].tls, 1);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

START_TEST(test_strerror)
{
	ck_assert_str_eq(elfcore_strerror(ELFCORE_E_NOT_CORE), "not an ELF core");
	ck_assert_str_eq(elfcore_strerror(-EIO), strerror(EIO));
	ck_assert_str_eq(elfcore_strerror(0), "no error");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("elfcore");
	TCase *form = unit_case(suite, "forms");
	TCase *lie = unit_case(suite, "lies");

	tcase_add_loop_test(form, test_form, 0, ROWS(forms));
	tcase_add_loop_test(form, test_head_size, 0, ROWS(forms));
	tcase_add_test(form, test_no_notes);
	tcase_add_test(form, test_sent_signal);
	tcase_add_test(form, test_no_siginfo);
	tcase_add_test(form, test_thread_left_out);
	tcase_add_test(form, test_strerror);
	tcase_add_loop_test(lie, test_cut, 0, 4);
	tcase_add_loop_test(lie, test_lie, 0, ROWS(lies));
	tcase_add_loop_test(lie, test_file_note, 0, ROWS(files));
	tcase_add_loop_test(lie, test_mutated, 0, 8);
	return unit_main(suite);
}
