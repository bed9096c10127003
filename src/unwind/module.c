/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/module.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "unwind/debugframe.h"
#include "unwind/ehindex.h"
#include "unwind/symbols.h"
#include "unwind/unlisted.h"

#define PHDRS_MAX 128u
#define NOTES_MAX 4096u
#define PAGE_BYTES 4096u

/* ---- one image ---- */

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
	if (image->phdrs == 0 || image->phdrs > PHDRS_MAX || phoff > UINT32_MAX)
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

static void scan_notes(struct module *module, const struct elfcore *core,
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
	unsigned char notes[NOTES_MAX];
	size_t n = bytes < sizeof(notes) ? (size_t)bytes : sizeof(notes);

	if (!module->build_id[0] && memory_read(image->memory, address, notes, n) == 0)
		scan_notes(module, image->core, notes, n);
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

static void examine(struct module *module, const struct elfcore *core,
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

/* ---- all of them ---- */

static struct module *add_module(struct modules *modules, uint64_t base, uint64_t end,
				 const char *path)
{
	struct module *m;

	if (modules->n == MODULE_MAX) {
		modules->truncated = true;
		return NULL;
	}
	m = &modules->module[modules->n++];
	*m = (struct module){
		.base = base, .end = end, .path = path, .fd = -1, .debug_fd = -1
	};
	return m;
}

/*
 * A file's mappings follow each other. It begins anew where its first byte is mapped
 * again, unless that still lies inside the image (a data segment so small that it shares
 * the file's first page).
 */
static bool continues(const struct module *m, const struct elfcore_mapping *map)
{
	return m && m->path && strcmp(m->path, map->path) == 0 &&
	       (map->file_offset != 0 || map->start == m->end);
}

static void group_mappings(struct modules *modules, const struct elfcore *core)
{
	struct module *last = NULL;

	for (size_t i = 0; i < core->mappings; i++) {
		const struct elfcore_mapping *map = &core->mapping[i];

		if (continues(last, map)) {
			if (map->end > last->end)
				last->end = map->end;
			continue;
		}
		last = NULL;
		if (map->file_offset == 0)
			last = add_module(modules, map->start, map->end, map->path);
	}
}

/*
 * Without NT_FILE an image still shows by its first bytes, before its code. That list is left
 * out of a core with very many mappings: most of them are no images and are not looked at.
 */
static void guess_modules(struct modules *modules, const struct space *space,
			  struct memory *memory)
{
	size_t looks = 0;

	for (size_t i = 0; i < space->segments; i++) {
		const struct elfcore_segment *s = &space->segment[i], *first = NULL;
		struct module *last =
			modules->n > 0 ? &modules->module[modules->n - 1] : NULL;
		bool goes_on = last && last->end == s->vaddr;

		if ((s->flags & PF_X) && looks++ < 4 * MODULE_MAX)
			first = unlisted_image(space, i, memory);
		if (first && (!last || first->vaddr > last->base)) {
			if (last && last->end > first->vaddr)
				last->end = first->vaddr;
			(void)add_module(modules, first->vaddr, s->vaddr + s->memory_bytes,
					 NULL);
		} else if (goes_on) {
			last->end += s->memory_bytes;
		}
	}
}

static void add_vdso(struct modules *modules, const struct elfcore *core,
		     const struct space *space)
{
	const struct elfcore_segment *s;
	struct module *m;
	uint64_t base;

	if (!elfcore_auxv(core, AT_SYSINFO_EHDR, &base))
		return;
	s = space_find(space, base);
	m = modules_find(modules, base);
	if (!m && s)
		m = add_module(modules, base, s->vaddr + s->memory_bytes, NULL);
	if (m && !m->path)
		m->is_vdso = true;
}

static int compare(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

/* Data files are mapped too: only images count. */
static void keep_images(struct modules *modules)
{
	size_t kept = 0;

	for (size_t i = 0; i < modules->n; i++)
		if (modules->module[i].is_elf || modules->module[i].path)
			modules->module[kept++] = modules->module[i];
	modules->n = kept;
}

static void find_executable(struct modules *modules, const struct elfcore *core)
{
	const struct module *m;
	uint64_t phdr;

	if (!elfcore_auxv(core, AT_PHDR, &phdr) && !elfcore_auxv(core, AT_ENTRY, &phdr))
		return;
	m = modules_find(modules, phdr);
	if (m)
		modules->executable = (size_t)(m - modules->module);
}

int modules_read(struct modules *modules, const struct elfcore *core,
		 struct memory *memory, const struct space *space)
{
	*modules = (struct modules)MODULES_NULL;
	modules->module = calloc(MODULE_MAX, sizeof(*modules->module));
	if (!modules->module)
		return -ENOMEM;
	if (core->mappings > 0)
		group_mappings(modules, core);
	else
		guess_modules(modules, space, memory);
	qsort(modules->module, modules->n, sizeof(*modules->module), compare);
	add_vdso(modules, core, space);
	qsort(modules->module, modules->n, sizeof(*modules->module), compare);
	for (size_t i = 0; i < modules->n; i++)
		examine(&modules->module[i], core, memory);
	keep_images(modules);
	find_executable(modules, core);
	return 0;
}

void modules_done(struct modules *modules)
{
	for (size_t i = 0; i < modules->n; i++) {
		symbols_free(modules->module[i].symbols);
		debug_frame_free(modules->module[i].debug_frame);
		eh_index_free(modules->module[i].eh_index);
	}
	free(modules->module);
	*modules = (struct modules)MODULES_NULL;
}

struct module *modules_find(const struct modules *modules, uint64_t address)
{
	size_t low = 0, high = modules->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (modules->module[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= modules->module[low - 1].end)
		return NULL;
	return &modules->module[low - 1];
}

bool modules_code(const struct modules *modules, uint64_t address)
{
	const struct module *m = modules_find(modules, address);

	return m && address >= m->code && address - m->code < m->code_bytes;
}

/* ---- files offered by the caller ---- */

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
	    ehdr.e_phnum <= PHDRS_MAX)
		offered->headers_bytes =
			ehdr.e_phoff + (size_t)ehdr.e_phnum * ehdr.e_phentsize;
	while (elf && !offered->module.build_id[0] && (section = elf_nextscn(elf, section))) {
		GElf_Shdr shdr;
		Elf_Data *data;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_NOTE ||
		    shdr.sh_size > NOTES_MAX)
			continue;
		data = elf_rawdata(section, NULL);
		if (data && data->d_buf)
			scan_notes(&offered->module, core, data->d_buf, data->d_size);
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
		examine(m, core, memory); /* its notes may have been out of reach */
		return true;
	}
	if (m->debug_fd >= 0 || !same_build_id(m, &offered))
		return false;
	m->debug_fd = fd;
	return true;
}

const char *module_name(const struct module *module)
{
	const char *slash;

	if (module->is_vdso)
		return "[vdso]";
	if (!module->path)
		return "";
	slash = strrchr(module->path, '/');
	return slash ? slash + 1 : module->path;
}
