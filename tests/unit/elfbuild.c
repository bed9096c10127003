/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "elfbuild.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

unsigned char elfbuild_byte(uint64_t address)
{
	return (unsigned char)((address * 0x9e3779b97f4a7c15u) >> 37);
}

static bool wide(const struct elfbuild *build)
{
	return build->elf_class == ELFCLASS64;
}

size_t elfbuild_word(const struct elfbuild *build)
{
	return wide(build) ? 8 : 4;
}

void elfbuild_put(const struct elfbuild *build, unsigned char *at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[build->byte_order == ELFDATA2MSB ? bytes - 1 - i : i] =
			(unsigned char)(value >> (8 * i));
}

void elfbuild_note(struct elfbuild *build, const char *name, uint32_t type, const void *desc,
		   size_t n)
{
	size_t name_bytes = strlen(name) + 1, desc_at = 12 + (name_bytes + 3) / 4 * 4;
	size_t bytes = desc_at + (n + 3) / 4 * 4;
	unsigned char *p = realloc(build->notes, build->note_bytes + bytes);

	ck_assert_ptr_nonnull(p);
	build->notes = p;
	p += build->note_bytes;
	memset(p, 0, bytes);
	elfbuild_put(build, p, name_bytes, 4);
	elfbuild_put(build, p + 4, n, 4);
	elfbuild_put(build, p + 8, type, 4);
	memcpy(p + 12, name, name_bytes);
	memcpy(p + desc_at, desc, n);
	build->note_bytes += bytes;
}

void elfbuild_load(struct elfbuild *build, uint64_t vaddr, uint64_t file_bytes,
		   uint64_t memory_bytes)
{
	build->load[build->loads++] = (struct elfbuild_load){ .vaddr = vaddr,
							      .file_bytes = file_bytes,
							      .memory_bytes = memory_bytes,
							      .there_bytes = file_bytes };
	ck_assert_uint_le(build->loads, 16);
}

static void put_header(struct elfbuild *build, size_t phnum)
{
	unsigned char *p = build->bytes;

	memcpy(p, ELFMAG, SELFMAG);
	p[EI_CLASS] = (unsigned char)build->elf_class;
	p[EI_DATA] = (unsigned char)build->byte_order;
	p[EI_VERSION] = EV_CURRENT;
	elfbuild_put(build, p + 16, ET_CORE, 2);
	elfbuild_put(build, p + 18, wide(build) ? EM_X86_64 : EM_386, 2);
	elfbuild_put(build, p + 20, EV_CURRENT, 4);
	if (phnum > 0xfffe)
		phnum = 0xffff; /* PN_XNUM */
	if (wide(build)) {
		elfbuild_put(build, p + 32, 64, 8);
		elfbuild_put(build, p + 52, 64, 2);
		elfbuild_put(build, p + 54, 56, 2);
		elfbuild_put(build, p + 56, phnum, 2);
	} else {
		elfbuild_put(build, p + 28, 52, 4);
		elfbuild_put(build, p + 40, 52, 2);
		elfbuild_put(build, p + 42, 32, 2);
		elfbuild_put(build, p + 44, phnum, 2);
	}
}

static void put_phdr(struct elfbuild *build, size_t index, uint32_t type, uint64_t offset,
		     const struct elfbuild_load *load)
{
	unsigned char *p = build->bytes + (wide(build) ? 64 + 56 * index : 52 + 32 * index);

	elfbuild_put(build, p, type, 4);
	if (wide(build)) {
		elfbuild_put(build, p + 4, PF_R, 4);
		elfbuild_put(build, p + 8, offset, 8);
		elfbuild_put(build, p + 16, load->vaddr, 8);
		elfbuild_put(build, p + 32, load->file_bytes, 8);
		elfbuild_put(build, p + 40, load->memory_bytes, 8);
		elfbuild_put(build, p + 48, 4096, 8);
	} else {
		elfbuild_put(build, p + 4, offset, 4);
		elfbuild_put(build, p + 8, load->vaddr, 4);
		elfbuild_put(build, p + 16, load->file_bytes, 4);
		elfbuild_put(build, p + 20, load->memory_bytes, 4);
		elfbuild_put(build, p + 24, PF_R, 4);
		elfbuild_put(build, p + 28, 4096, 4);
	}
}

static void put_segments(struct elfbuild *build, size_t index)
{
	size_t at = build->head_bytes;

	for (size_t i = 0; i < build->loads; i++) {
		const struct elfbuild_load *load = &build->load[i];

		put_phdr(build, index++, PT_LOAD, load->offset ? load->offset : at, load);
		for (uint64_t byte = 0; byte < load->there_bytes; byte++)
			build->bytes[at++] = elfbuild_byte(load->vaddr + byte);
	}
	for (size_t i = 0; i < build->empty_loads; i++)
		put_phdr(build, index++, PT_LOAD, at,
			 &(struct elfbuild_load){ .vaddr = 0x10000000 + i * 4096,
						  .memory_bytes = 4096 });
}

void elfbuild_finish(struct elfbuild *build)
{
	size_t phnum = build->loads + build->empty_loads + !build->no_notes;
	size_t table_end = wide(build) ? 64 + 56 * phnum : 52 + 32 * phnum;

	build->head_bytes = table_end + (build->no_notes ? 0 : build->note_bytes);
	build->n = build->head_bytes;
	for (size_t i = 0; i < build->loads; i++)
		build->n += build->load[i].there_bytes;
	build->bytes = calloc(1, build->n);
	ck_assert_ptr_nonnull(build->bytes);
	put_header(build, phnum);
	if (!build->no_notes) {
		put_phdr(build, 0, PT_NOTE, table_end,
			 &(struct elfbuild_load){ .file_bytes = build->note_bytes });
		if (build->note_bytes > 0)
			memcpy(build->bytes + table_end, build->notes, build->note_bytes);
	}
	put_segments(build, !build->no_notes);
}

void elfbuild_done(struct elfbuild *build)
{
	free(build->bytes);
	free(build->notes);
	build->bytes = build->notes = NULL;
}

/* ---- the usual notes ---- */

static void note_thread(struct elfbuild *build, uint32_t tid)
{
	unsigned char prstatus[336] = { 0 };

	elfbuild_put(build, prstatus + (wide(build) ? 32 : 24), tid, 4);
	elfbuild_note(build, "CORE", NT_PRSTATUS, prstatus, wide(build) ? 336 : 144);
}

static void note_prpsinfo(struct elfbuild *build)
{
	unsigned char info[136] = { 0 };
	size_t id = wide(build) ? 4 : 2, uid = wide(build) ? 16 : 8;

	elfbuild_put(build, info + uid, 1000, id);
	elfbuild_put(build, info + uid + id, 1001, id);
	elfbuild_put(build, info + (wide(build) ? 24 : 12), 4242, 4);
	memset(info + (wide(build) ? 40 : 28), 'c', 16); /* no NUL: sixteen of sixteen */
	memset(info + (wide(build) ? 56 : 44), 'a', 80);
	elfbuild_note(build, "CORE", NT_PRPSINFO, info, wide(build) ? 136 : 124);
}

static void note_siginfo(struct elfbuild *build)
{
	unsigned char info[128] = { 0 };

	elfbuild_put(build, info, SIGSEGV, 4);
	elfbuild_put(build, info + 8, 1, 4);
	elfbuild_put(build, info + (wide(build) ? 16 : 12), 0xdead000, elfbuild_word(build));
	elfbuild_note(build, "CORE", NT_SIGINFO, info, sizeof(info));
}

static void note_words(struct elfbuild *build, uint32_t type, const uint64_t *words, size_t n,
		       const char *tail, size_t tail_bytes)
{
	unsigned char desc[512];
	size_t word = elfbuild_word(build);

	for (size_t i = 0; i < n; i++)
		elfbuild_put(build, desc + i * word, words[i], word);
	memcpy(desc + n * word, tail, tail_bytes);
	elfbuild_note(build, "CORE", type, desc, n * word + tail_bytes);
}

void elfbuild_usual_notes(struct elfbuild *build)
{
	static const uint64_t auxv[] = { AT_PHDR, 0x400040, AT_ENTRY, 0x401000, AT_NULL, 0 };
	static const uint64_t files[] = { 2,	    4096, 0x400000, 0x401000, 0,
					  0x7f0000, 0x7f8000, 3 };

	note_thread(build, 4243);
	note_prpsinfo(build);
	note_siginfo(build);
	note_words(build, NT_AUXV, auxv, 6, "", 0);
	note_words(build, NT_FILE, files, 8, "/bin/a\0/lib/b.so", 17);
	elfbuild_note(build, "LINUX", NT_PRSTATUS, "other notes", 11);
	note_thread(build, 4242);
}
