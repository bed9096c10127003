/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/elfcore.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "core/elfnotes.h"
#include "io/cleanup.h"

#ifndef PN_XNUM
#define PN_XNUM 0xffff
#endif

/* ---- integers of a foreign byte order ---- */

static uint64_t load(const unsigned char *p, size_t bytes, int byte_order)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | p[byte_order == ELFDATA2MSB ? i : bytes - 1 - i];
	return value;
}

uint64_t elfcore_load(const struct elfcore *core, const void *p, size_t bytes)
{
	return load(p, bytes, core->byte_order);
}

static void store(unsigned char *p, size_t bytes, int byte_order, uint64_t value)
{
	for (size_t i = 0; i < bytes; i++)
		p[byte_order == ELFDATA2MSB ? bytes - 1 - i : i] =
			(unsigned char)(value >> (8 * i));
}

void elfcore_store(const struct elfcore *core, void *p, size_t bytes, uint64_t value)
{
	store(p, bytes, core->byte_order, value);
}

/* ---- how much to read ---- */

/* What of the file header and the first program header decides the head's size. */
struct outline {
	int elf_class;
	int byte_order;
	uint64_t phoff;
	uint64_t phentsize;
	uint64_t phnum;
};

static int read_outline(const unsigned char *p, size_t n, struct outline *ret_outline)
{
	struct outline o;
	bool wide;

	if (n >= SELFMAG && memcmp(p, ELFMAG, SELFMAG) != 0)
		return ELFCORE_E_NOT_CORE;
	if (n < sizeof(Elf64_Ehdr))
		return ELFCORE_E_SHORT;
	o.elf_class = p[EI_CLASS];
	o.byte_order = p[EI_DATA];
	if ((o.elf_class != ELFCLASS32 && o.elf_class != ELFCLASS64) ||
	    (o.byte_order != ELFDATA2LSB && o.byte_order != ELFDATA2MSB) ||
	    load(p + offsetof(Elf64_Ehdr, e_type), 2, o.byte_order) != ET_CORE)
		return ELFCORE_E_NOT_CORE;
	wide = o.elf_class == ELFCLASS64;
	o.phoff = wide ? load(p + offsetof(Elf64_Ehdr, e_phoff), 8, o.byte_order) :
			 load(p + offsetof(Elf32_Ehdr, e_phoff), 4, o.byte_order);
	o.phnum = load(p + (wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum)),
		       2, o.byte_order);
	o.phentsize = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	if (load(p + (wide ? offsetof(Elf64_Ehdr, e_phentsize) :
			     offsetof(Elf32_Ehdr, e_phentsize)),
		 2, o.byte_order) != o.phentsize)
		return ELFCORE_E_NOT_CORE;
	if (o.phnum == 0 || o.phoff < (wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)) ||
	    o.phoff > ELFCORE_HEAD_MAX)
		return ELFCORE_E_NOT_CORE;
	*ret_outline = o;
	return 0;
}

/* Offset and size of the i-th program header's data. */
static void read_phdr_extent(const unsigned char *p, const struct outline *o, uint64_t i,
			     uint32_t *ret_type, uint64_t *ret_offset, uint64_t *ret_bytes)
{
	const unsigned char *phdr = p + o->phoff + i * o->phentsize;
	bool wide = o->elf_class == ELFCLASS64;

	*ret_type = (uint32_t)load(phdr, 4, o->byte_order);
	*ret_offset = wide ? load(phdr + offsetof(Elf64_Phdr, p_offset), 8, o->byte_order) :
			     load(phdr + offsetof(Elf32_Phdr, p_offset), 4, o->byte_order);
	*ret_bytes = wide ? load(phdr + offsetof(Elf64_Phdr, p_filesz), 8, o->byte_order) :
			    load(phdr + offsetof(Elf32_Phdr, p_filesz), 4, o->byte_order);
}

/* With PN_XNUM the notes' offset tells where the table ends. */
static int true_phnum(const unsigned char *p, size_t n, struct outline *o)
{
	uint64_t offset, bytes;
	uint32_t type;

	if (o->phnum != PN_XNUM)
		return 0;
	if (n < o->phoff + o->phentsize)
		return ELFCORE_E_SHORT;
	read_phdr_extent(p, o, 0, &type, &offset, &bytes);
	if (type != PT_NOTE || offset <= o->phoff)
		return ELFCORE_E_NOT_CORE;
	o->phnum = (offset - o->phoff) / o->phentsize;
	return o->phnum > ELFCORE_SEGMENTS_MAX ? ELFCORE_E_LIMIT : 0;
}

/* Where PT_NOTE lies, if the table is there to be read. */
static int find_notes(const unsigned char *p, size_t n, const struct outline *o,
		      uint64_t *ret_offset, uint64_t *ret_bytes)
{
	if (n < o->phoff + o->phnum * o->phentsize)
		return ELFCORE_E_SHORT;
	*ret_offset = *ret_bytes = 0;
	for (uint64_t i = 0; i < o->phnum; i++) {
		uint64_t offset, bytes;
		uint32_t type;

		read_phdr_extent(p, o, i, &type, &offset, &bytes);
		if (type != PT_NOTE)
			continue;
		if (offset > ELFCORE_HEAD_MAX || bytes > ELFCORE_HEAD_MAX - offset)
			return ELFCORE_E_LIMIT;
		*ret_offset = offset;
		*ret_bytes = bytes;
		break; /* the kernel writes one */
	}
	return 0;
}

int elfcore_head_size(const void *bytes, size_t n, uint64_t *ret_needed)
{
	struct outline o;
	uint64_t offset, note_bytes, table_end;
	int r;

	*ret_needed = sizeof(Elf64_Ehdr);
	r = read_outline(bytes, n, &o);
	if (r == ELFCORE_E_SHORT)
		return 0; /* asks for the file header */
	if (r != 0)
		return r;
	*ret_needed = o.phoff + o.phentsize;
	r = true_phnum(bytes, n, &o);
	if (r != 0)
		return r == ELFCORE_E_SHORT ? 0 : r;
	table_end = o.phoff + o.phnum * o.phentsize;
	*ret_needed = table_end;
	r = find_notes(bytes, n, &o, &offset, &note_bytes);
	if (r != 0)
		return r == ELFCORE_E_SHORT ? 0 : r;
	if (offset + note_bytes > table_end)
		*ret_needed = offset + note_bytes;
	return 0;
}

/* ---- program headers, by libelf ---- */

/*
 * libelf finds the number of headers beyond PN_XNUM in section header 0, which the kernel
 * writes at the very end of the core. A copy of the head gets one of its own.
 */
static void plant_section(unsigned char *image, size_t head_bytes, const struct outline *o)
{
	if (o->elf_class == ELFCLASS64) {
		memset(image + head_bytes, 0, sizeof(Elf64_Shdr));
		store(image + offsetof(Elf64_Ehdr, e_shoff), 8, o->byte_order, head_bytes);
		store(image + offsetof(Elf64_Ehdr, e_shnum), 2, o->byte_order, 1);
		store(image + offsetof(Elf64_Ehdr, e_shentsize), 2, o->byte_order,
		      sizeof(Elf64_Shdr));
		store(image + head_bytes + offsetof(Elf64_Shdr, sh_info), 4, o->byte_order,
		      o->phnum);
	} else {
		memset(image + head_bytes, 0, sizeof(Elf32_Shdr));
		store(image + offsetof(Elf32_Ehdr, e_shoff), 4, o->byte_order, head_bytes);
		store(image + offsetof(Elf32_Ehdr, e_shnum), 2, o->byte_order, 1);
		store(image + offsetof(Elf32_Ehdr, e_shentsize), 2, o->byte_order,
		      sizeof(Elf32_Shdr));
		store(image + head_bytes + offsetof(Elf32_Shdr, sh_info), 4, o->byte_order,
		      o->phnum);
	}
}

static int take_segments(Elf *elf, const struct outline *o, struct elfcore *core)
{
	core->segment = calloc(o->phnum, sizeof(*core->segment));
	if (!core->segment)
		return -ENOMEM;
	for (uint64_t i = 0; i < o->phnum; i++) {
		struct elfcore_segment *s = &core->segment[i];
		GElf_Phdr phdr;
		uint64_t end;

		if (!gelf_getphdr(elf, (int)i, &phdr))
			return ELFCORE_E_NOT_CORE;
		*s = (struct elfcore_segment){
			.type = phdr.p_type,
			.flags = phdr.p_flags,
			.offset = phdr.p_offset,
			.vaddr = phdr.p_vaddr,
			.file_bytes = phdr.p_filesz,
			.memory_bytes = phdr.p_memsz,
			.align = phdr.p_align,
		};
		if (__builtin_add_overflow(s->offset, s->file_bytes, &end))
			return ELFCORE_E_NOT_CORE;
		if (end > core->end)
			core->end = end;
	}
	core->segments = o->phnum;
	return 0;
}

static int parse_headers(const unsigned char *head, size_t n, const struct outline *o,
			 struct elfcore *core)
{
	size_t table_end = o->phoff + o->phnum * o->phentsize;
	_cleanup_free_ unsigned char *image = NULL;
	size_t image_bytes;
	Elf *elf;
	int r;

	if (table_end > n)
		return ELFCORE_E_SHORT;
	image_bytes = (table_end + 7) / 8 * 8;
	image = calloc(1, image_bytes + sizeof(Elf64_Shdr));
	if (!image)
		return -ENOMEM;
	memcpy(image, head, table_end);
	plant_section(image, image_bytes, o);
	(void)elf_version(EV_CURRENT);
	elf = elf_memory((char *)image, image_bytes + sizeof(Elf64_Shdr));
	if (!elf)
		return ELFCORE_E_NOT_CORE;
	r = take_segments(elf, o, core);
	(void)elf_end(elf);
	return r;
}

/* ---- all of it ---- */

int elfcore_parse_more(struct elfcore *core, const void *head, size_t n)
{
	uint64_t there;

	if (n <= core->note_offset)
		return 0;
	there = n - core->note_offset;
	core->note_bytes = there < core->notes_promised ? there : core->notes_promised;
	if (core->note_offset + core->note_bytes > core->head_bytes)
		core->head_bytes = core->note_offset + core->note_bytes;
	return elfnotes_parse((const unsigned char *)head + core->note_offset, core);
}

int elfcore_parse(const void *head, size_t n, struct elfcore *ret_core)
{
	const unsigned char *p = head;
	struct elfcore core = ELFCORE_NULL;
	struct outline o;
	int r;

	r = read_outline(p, n, &o);
	if (r == 0)
		r = true_phnum(p, n, &o);
	if (r != 0)
		return r;
	core.elf_class = o.elf_class;
	core.byte_order = o.byte_order;
	core.machine = (uint16_t)load(p + offsetof(Elf64_Ehdr, e_machine), 2, o.byte_order);
	core.head_bytes = o.phoff + o.phnum * o.phentsize;
	r = parse_headers(p, n, &o, &core);
	if (r == 0)
		r = find_notes(p, n, &o, &core.note_offset, &core.notes_promised);
	if (r == 0)
		r = elfcore_parse_more(&core, head, n);
	if (r != 0)
		elfcore_done(&core);
	else
		*ret_core = core;
	return r;
}

void elfcore_done(struct elfcore *core)
{
	free(core->segment);
	free(core->thread);
	free(core->mapping);
	*core = (struct elfcore)ELFCORE_NULL;
}

bool elfcore_auxv(const struct elfcore *core, uint64_t type, uint64_t *ret_value)
{
	size_t word = elfcore_word_bytes(core);
	const unsigned char *p = core->auxv;

	for (size_t at = 0; at + 2 * word <= core->auxv_bytes; at += 2 * word) {
		if (elfcore_load(core, p + at, word) != type)
			continue;
		*ret_value = elfcore_load(core, p + at + word, word);
		return true;
	}
	return false;
}

const char *elfcore_strerror(int r)
{
	switch (r) {
	case ELFCORE_E_SHORT:
		return "ends inside its headers";
	case ELFCORE_E_NOT_CORE:
		return "not an ELF core";
	case ELFCORE_E_LIMIT:
		return "its headers and notes end behind the first 192 MiB";
	default:
		return r < 0 ? strerror(-r) : "no error";
	}
}
