/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Files that the caller has opened: is one what is mapped there, or the debug file of it?
 * It decides by what is in memory and in the file, never by a name.
 */

#include "unwind/module_internal.h"

#include <gelf.h>
#include <string.h>
#include <unistd.h>

#include "unwind/unlisted.h"

#define PAGE_BYTES 4096u

static bool same_first_bytes(const struct module *m, struct memory *memory, int fd, size_t n)
{
	unsigned char ours[PAGE_BYTES], theirs[PAGE_BYTES] = { 0 };
	ssize_t got = pread(fd, theirs, n, 0);

	return got >= (ssize_t)sizeof(Elf64_Ehdr) &&
	       memory_read(memory, m->base, ours, n) == 0 &&
	       memcmp(ours, theirs, (size_t)got) == 0;
}

/* What was never written is in the file as it was in memory. */
static void back_by_file(const struct module *m, const struct elfcore *core,
			 struct memory *memory, const struct space *space)
{
	for (size_t i = 0; i < core->mappings; i++) {
		const struct elfcore_mapping *map = &core->mapping[i];

		if (map->start < m->base || map->end > m->end ||
		    space_writable(space, map->start))
			continue;
		(void)memory_add_file(memory, m->fd, map->start, map->end,
				      map->file_offset);
	}
}

struct offered {
	struct module module; /* its build-id */
	size_t headers_bytes; /* file header to program headers, 0: unknown */
};

static void read_offered(struct offered *offered, const struct elfcore *core, int fd)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr ehdr;
	Elf *elf;

	*offered = (struct offered){ 0 };
	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && gelf_getehdr(elf, &ehdr) && ehdr.e_phoff <= PAGE_BYTES &&
	    ehdr.e_phnum <= MODULE_PHDRS_MAX)
		offered->headers_bytes =
			ehdr.e_phoff + (size_t)ehdr.e_phnum * ehdr.e_phentsize;
	while (elf && !offered->module.build_id[0] && (section = elf_nextscn(elf, section))) {
		GElf_Shdr shdr;
		Elf_Data *data;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_NOTE ||
		    shdr.sh_size > MODULE_NOTES_MAX)
			continue;
		data = elf_rawdata(section, NULL);
		if (data && data->d_buf)
			module_scan_notes(&offered->module, core, data->d_buf, data->d_size);
	}
	(void)elf_end(elf);
}

/*
 * The first page holds file header, program headers and, nearly always, the build-id. A
 * small core may have the headers and the build-id only; together they say as much. Where
 * neither has one, the headers must do: nobody finds such a file but by its mapping.
 */
static bool same_headers(const struct module *m, struct memory *memory,
			 const struct offered *offered, int fd)
{
	return offered->headers_bytes > 0 && offered->headers_bytes <= PAGE_BYTES &&
	       same_first_bytes(m, memory, fd, offered->headers_bytes) &&
	       strcmp(m->build_id, offered->module.build_id) == 0;
}

/* A debug file has another layout, but the build-id of what it was taken from. */
static bool same_build_id(const struct module *m, const struct offered *offered)
{
	return m->build_id[0] && strcmp(m->build_id, offered->module.build_id) == 0;
}

bool modules_offer_file(struct modules *modules, const struct elfcore *core,
			struct memory *memory, const struct space *space, uint64_t start,
			int fd)
{
	struct module *m = modules_find(modules, start);
	struct offered offered;
	bool same;

	if (!m)
		return false;
	same = m->fd < 0 && same_first_bytes(m, memory, fd, PAGE_BYTES);
	if (!same) {
		read_offered(&offered, core, fd);
		same = m->fd < 0 && same_headers(m, memory, &offered, fd);
	}
	if (same) {
		m->fd = fd;
		if (core->mappings > 0)
			back_by_file(m, core, memory, space);
		else
			unlisted_back(m, memory);
		module_examine(m, core, memory); /* its notes may have been out of reach */
		return true;
	}
	if (m->debug_fd >= 0 || !same_build_id(m, &offered))
		return false;
	m->debug_fd = fd;
	return true;
}
