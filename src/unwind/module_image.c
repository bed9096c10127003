/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a mapped ELF file says of itself: its headers and notes, read from memory. */

#include "unwind/module_internal.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

struct image {
	const struct elfcore *core; /* for its byte order */
	struct memory *memory;
	unsigned char *phdr;
	size_t phdrs;
	size_t phentsize;
	bool wide;
};

static uint64_t field(const struct image *image, const unsigned char *p, size_t at64,
		      size_t at32, size_t bytes64, size_t bytes32)
{
	return image->wide ? elfcore_load(image->core, p + at64, bytes64)
			   : elfcore_load(image->core, p + at32, bytes32);
}

#define PHDR(image, p, name)                                                             \
	field(image, p, offsetof(Elf64_Phdr, name), offsetof(Elf32_Phdr, name),          \
	      sizeof(((Elf64_Phdr *)0)->name), sizeof(((Elf32_Phdr *)0)->name))

/* Reads the program headers at base; false when no ELF file is mapped there. */
static bool read_image(struct image *image, uint64_t base)
{
	unsigned char ehdr[sizeof(Elf64_Ehdr)] = { 0 };
	uint64_t phoff;

	if (memory_read(image->memory, base, ehdr, sizeof(ehdr)) != 0 ||
	    memcmp(ehdr, ELFMAG, SELFMAG) != 0 ||
	    ehdr[EI_DATA] != image->core->byte_order)
		return false;
	image->wide = ehdr[EI_CLASS] == ELFCLASS64;
	image->phentsize = image->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	phoff = field(image, ehdr, offsetof(Elf64_Ehdr, e_phoff),
		      offsetof(Elf32_Ehdr, e_phoff), 8, 4);
	image->phdrs = field(image, ehdr, offsetof(Elf64_Ehdr, e_phnum),
			     offsetof(Elf32_Ehdr, e_phnum), 2, 2);
	if (image->phdrs == 0 || image->phdrs > MODULE_PHDRS_MAX || phoff > UINT32_MAX)
		return false;
	image->phdr = calloc(image->phdrs, image->phentsize);
	if (!image->phdr || memory_read(image->memory, base + phoff, image->phdr,
					image->phdrs * image->phentsize) != 0) {
		free(image->phdr);
		image->phdr = NULL;
		return false;
	}
	return true;
}

static void set_build_id(struct module *module, const unsigned char *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";

	if (n == 0 || n > MODULE_BUILD_ID_MAX)
		return;
	for (size_t i = 0; i < n; i++) {
		module->build_id[2 * i] = digit[p[i] >> 4];
		module->build_id[2 * i + 1] = digit[p[i] & 15];
	}
	module->build_id[2 * n] = '\0';
}

void module_scan_notes(struct module *module, const struct elfcore *core,
		       const unsigned char *p, size_t n)
{
	while (n >= sizeof(Elf32_Nhdr)) {
		uint64_t name = elfcore_load(core, p, 4);
		uint64_t desc = elfcore_load(core, p + 4, 4);
		uint64_t desc_at = sizeof(Elf32_Nhdr) + (name + 3) / 4 * 4;
		uint64_t next = desc_at + (desc + 3) / 4 * 4;

		if (desc_at > n || desc > n - desc_at)
			return;
		if (elfcore_load(core, p + 8, 4) == NT_GNU_BUILD_ID && name == 4 &&
		    memcmp(p + sizeof(Elf32_Nhdr), "GNU", 4) == 0) {
			set_build_id(module, p + desc_at, desc);
			return;
		}
		if (next > n)
			return;
		p += next;
		n -= next;
	}
}

static void find_build_id(struct module *module, const struct image *image,
			  uint64_t address, uint64_t bytes)
{
	unsigned char notes[MODULE_NOTES_MAX];
	size_t n = bytes < sizeof(notes) ? (size_t)bytes : sizeof(notes);

	if (!module->build_id[0] && memory_read(image->memory, address, notes, n) == 0)
		module_scan_notes(module, image->core, notes, n);
}

static void take_phdr(struct module *module, const struct image *image,
		      const unsigned char *p)
{
	uint64_t address = module->bias + PHDR(image, p, p_vaddr);
	uint64_t bytes = PHDR(image, p, p_memsz);

	switch (PHDR(image, p, p_type)) {
	case PT_NOTE:
		find_build_id(module, image, address, bytes);
		break;
	case PT_GNU_EH_FRAME:
		module->eh_frame_hdr = address;
		module->eh_frame_hdr_bytes = bytes;
		break;
	case PT_LOAD:
		if (module->code_bytes > 0 || !(PHDR(image, p, p_flags) & PF_X))
			break;
		module->code = address;
		module->code_bytes = bytes;
		break;
	case PT_DYNAMIC:
		module->dynamic = address;
		module->dynamic_bytes = bytes;
		break;
	default:
		break;
	}
}

/* The bias comes from the segment that maps the file's first byte. */
static void find_bias(struct module *module, const struct image *image)
{
	module->bias = module->base;
	for (size_t i = 0; i < image->phdrs; i++) {
		const unsigned char *p = image->phdr + i * image->phentsize;

		if (PHDR(image, p, p_type) != PT_LOAD || PHDR(image, p, p_offset) >= 4096)
			continue;
		module->bias = module->base -
			       (PHDR(image, p, p_vaddr) - PHDR(image, p, p_offset));
		return;
	}
}

void module_examine(struct module *module, const struct elfcore *core,
		    struct memory *memory)
{
	struct image image = { .core = core, .memory = memory };

	module->is_elf = false;
	if (!read_image(&image, module->base))
		return;
	module->is_elf = true;
	module->wide = image.wide;
	module->build_id[0] = '\0';
	module->code_bytes = 0;
	find_bias(module, &image);
	for (size_t i = 0; i < image.phdrs; i++)
		take_phdr(module, &image, image.phdr + i * image.phentsize);
	free(image.phdr);
}
