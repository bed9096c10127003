/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/unlisted.h"

#include <elf.h>
#include <gelf.h>
#include <string.h>

/* Of an image, up to its code: headers and constants, perhaps cut by mprotect(). */
#define IMAGE_SEGMENTS 8u
#define PHDRS_MAX 128u
#define PAGE_BYTES 4096u

static bool begins_image(struct memory *memory, const struct elfcore_segment *s)
{
	char magic[SELFMAG];

	return memory_read(memory, s->vaddr, magic, sizeof(magic)) == 0 &&
	       memcmp(magic, ELFMAG, SELFMAG) == 0;
}

const struct elfcore_segment *unlisted_image(const struct space *space, size_t code,
					     struct memory *memory)
{
	for (size_t i = code; code - i < IMAGE_SEGMENTS; i--) {
		const struct elfcore_segment *s = &space->segment[i];

		if (begins_image(memory, s))
			return s;
		if (i == 0 || s[-1].vaddr + s[-1].memory_bytes != s->vaddr)
			break;
	}
	return NULL;
}

void unlisted_back(const struct module *m, struct memory *memory)
{
	size_t phdrs = 0;
	GElf_Phdr phdr;
	Elf *elf;

	(void)elf_version(EV_CURRENT);
	elf = elf_begin(m->fd, ELF_C_READ, NULL);
	if (elf && elf_getphdrnum(elf, &phdrs) != 0)
		phdrs = 0;
	for (size_t i = 0; i < phdrs && i < PHDRS_MAX; i++) {
		uint64_t start, skipped;

		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD ||
		    (phdr.p_flags & PF_W))
			continue;
		start = m->bias + phdr.p_vaddr;
		skipped = start % PAGE_BYTES;
		if (start - skipped < m->base || start >= m->end ||
		    phdr.p_filesz > m->end - start || skipped > phdr.p_offset)
			continue;
		(void)memory_add_file(memory, m->fd, start - skipped, start + phdr.p_filesz,
				      phdr.p_offset - skipped);
	}
	(void)elf_end(elf);
}
