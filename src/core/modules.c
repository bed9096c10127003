/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/modules.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/layout.h"

#define NAMESPACES_MAX 16u /* dlmopen() */
#define NAME_MAX_BYTES 4096u
#define NAME_CHUNK 64u
#define PHDRS_MAX 128u
#define DYNAMIC_MAX 512u /* entries */
#define NOTE_MAX 4096u
/* Of one segment of one module, and of all modules. */
#define DATA_MAX (64u << 10)
#define DATA_ALL_MAX (4u << 20)
/* Of a larger one of a static program its end: more than libc has there. */
#define END_BYTES (32u << 10)
#define PAGE_BYTES 4096u
#define TLS_UNKNOWN 256u
#define PAGES_MAX 16u /* pointed to from all modules' data */
#define LINK_MAP_WORDS 5u
/* With what glibc has behind them: libthread_db finds thread-local variables by it. */
#define LINK_MAP_BYTES 1280u
#define R_DEBUG_WORDS 6u

struct collect {
	const struct elfcore *core;
	const struct memory *memory;
	struct spans *spans;
	size_t word;
	uint64_t tls_bytes;
	uint64_t data_bytes; /* of all modules */
	unsigned int pages;
	uint64_t linker; /* where the dynamic linker begins; 0: it is a static program */
	bool in_linker; /* this module is it */
};

struct phdr {
	uint64_t type, offset, address, bytes;
};

/* Reads n words; -EFAULT when they are not there. */
static int read_words(const struct collect *c, uint64_t address, uint64_t *words, size_t n)
{
	unsigned char bytes[8 * 8];
	int r;

	r = memory_peek(c->memory, address, bytes, n * c->word);
	for (size_t i = 0; r == 0 && i < n; i++)
		words[i] = elfcore_load(c->core, bytes + i * c->word, c->word);
	return r;
}

/* What cannot be read is left out; only a process that has gone ends the collecting. */
static int unless_gone(int r)
{
	return r == -EFAULT ? 0 : r;
}

static int add(const struct collect *c, uint64_t address, uint64_t bytes)
{
	return spans_add(c->spans, address, bytes);
}

/* ---- program headers ---- */

static size_t phdr_bytes(const struct collect *c)
{
	return c->word == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}

static int read_phdr(const struct collect *c, uint64_t at, struct phdr *phdr)
{
	union {
		Elf64_Phdr wide;
		Elf32_Phdr narrow;
	} raw;
	int r;

	r = memory_peek(c->memory, at, &raw, phdr_bytes(c));
	if (r < 0)
		return r;
#define LOAD(field) elfcore_load(c->core, &raw.field, sizeof(raw.field))
	if (c->word == 8)
		*phdr = (struct phdr){ LOAD(wide.p_type), LOAD(wide.p_offset),
				       LOAD(wide.p_vaddr), LOAD(wide.p_memsz) };
	else
		*phdr = (struct phdr){ LOAD(narrow.p_type), LOAD(narrow.p_offset),
				       LOAD(narrow.p_vaddr), LOAD(narrow.p_memsz) };
#undef LOAD
	return 0;
}

/* ---- the list that the dynamic linker keeps ---- */

static int add_name(const struct collect *c, uint64_t address)
{
	char chunk[NAME_CHUNK];

	for (uint64_t n = 0; n < NAME_MAX_BYTES; n += NAME_CHUNK) {
		int r = memory_peek(c->memory, address + n, chunk, sizeof(chunk));

		if (r == 0)
			r = add(c, address + n, NAME_CHUNK);
		if (r < 0)
			return unless_gone(r);
		if (memchr(chunk, '\0', sizeof(chunk)))
			break;
	}
	return 0;
}

/* A list that never ends, or runs in a circle, ends at the bound. */
static int add_link_maps(const struct collect *c, uint64_t at)
{
	uint64_t map[LINK_MAP_WORDS]; /* l_addr, l_name, l_ld, l_next, l_prev */

	for (unsigned int n = 0; at != 0 && n < MODULES_MAX; n++) {
		int r = read_words(c, at, map, LINK_MAP_WORDS);

		if (r == 0)
			r = add(c, at, LINK_MAP_BYTES);
		if (r == 0)
			r = add_name(c, map[1]);
		if (r < 0)
			return unless_gone(r);
		at = map[3];
	}
	return 0;
}

static int add_r_debug(const struct collect *c, uint64_t at)
{
	uint64_t debug[R_DEBUG_WORDS]; /* version, map, brk, state, ldbase, next */

	for (unsigned int n = 0; at != 0 && n < NAMESPACES_MAX; n++) {
		int r = read_words(c, at, debug, R_DEBUG_WORDS);

		if (r == 0)
			r = add(c, at, R_DEBUG_WORDS * c->word);
		if (r == 0)
			r = add_link_maps(c, debug[1]);
		if (r < 0)
			return unless_gone(r);
		at = (uint32_t)debug[0] >= 2 ? debug[5] : 0;
	}
	return 0;
}

static int add_dynamic(const struct collect *c, uint64_t address, uint64_t bytes)
{
	uint64_t entry[2] = { DT_DEBUG + 1, 0 };
	unsigned int n = 0;
	int r;

	for (; n < DYNAMIC_MAX && n * sizeof(entry) < bytes && entry[0] != DT_NULL; n++) {
		r = read_words(c, address + 2 * n * c->word, entry, 2);
		if (r == 0 && entry[0] == DT_DEBUG)
			r = add_r_debug(c, entry[1]);
		if (r < 0)
			return unless_gone(r);
	}
	return add(c, address, 2 * n * c->word);
}

/* ---- the program ---- */

static int add_program(const struct collect *c)
{
	uint64_t phdrs = 0, n = 0, bias = 0;
	struct phdr phdr, dynamic = { 0 };
	int r = 0;

	if (!elfcore_auxv(c->core, AT_PHDR, &phdrs) || !elfcore_auxv(c->core, AT_PHNUM, &n))
		return 0;
	for (uint64_t i = 0; r == 0 && i < n && i < PHDRS_MAX; i++) {
		r = read_phdr(c, phdrs + i * phdr_bytes(c), &phdr);
		if (r < 0)
			return unless_gone(r);
		if (phdr.type == PT_PHDR)
			bias = phdrs - phdr.address;
		if (phdr.type == PT_DYNAMIC)
			dynamic = phdr;
	}
	r = add(c, phdrs, (n < PHDRS_MAX ? n : PHDRS_MAX) * phdr_bytes(c));
	if (r == 0 && dynamic.type == PT_DYNAMIC)
		r = add_dynamic(c, dynamic.address + bias, dynamic.bytes);
	return r;
}

/* ---- every module: who it is ---- */

/* Its build-id, and how large its thread-local variables are. */
static int look_at_phdr(struct collect *c, uint64_t start, const struct phdr *phdr,
			uint64_t first)
{
	if (phdr->type == PT_TLS && phdr->bytes < 1 << 20)
		c->tls_bytes += phdr->bytes + 64;
	if (phdr->type != PT_NOTE)
		return 0;
	return add(c, start + (phdr->address - first),
		   phdr->bytes < NOTE_MAX ? phdr->bytes : NOTE_MAX);
}

static int look_at_phdrs(struct collect *c, uint64_t start, uint64_t phdrs, uint64_t n)
{
	uint64_t first = UINT64_MAX;
	struct phdr phdr;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < n; i++) {
		r = read_phdr(c, phdrs + i * phdr_bytes(c), &phdr);
		if (r == 0 && phdr.type == PT_LOAD && first == UINT64_MAX)
			first = (phdr.address - phdr.offset) & ~4095ULL;
		if (r == 0)
			r = look_at_phdr(c, start, &phdr, first == UINT64_MAX ? 0 : first);
	}
	return r;
}

static int add_header(struct collect *c, uint64_t start, bool *ret_module)
{
	union {
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
		unsigned char bytes[sizeof(Elf64_Ehdr)];
	} e;
	uint64_t n, phoff;
	int r;

	r = memory_peek(c->memory, start, &e, sizeof(e));
	if (r == -EFAULT) {
		/* Perhaps one: its header may still come, and say more. */
		*ret_module = true;
		c->tls_bytes += TLS_UNKNOWN;
		return add(c, start, PAGE_BYTES);
	}
	if (r < 0 || memcmp(e.bytes, ELFMAG, SELFMAG) != 0)
		return r;
	*ret_module = true;
#define LOAD(field) elfcore_load(c->core, &e.field, sizeof(e.field))
	n = c->word == 8 ? LOAD(wide.e_phnum) : LOAD(narrow.e_phnum);
	phoff = c->word == 8 ? LOAD(wide.e_phoff) : LOAD(narrow.e_phoff);
#undef LOAD
	if (n > PHDRS_MAX || phoff > 4096)
		return 0;
	r = add(c, start, phoff + n * phdr_bytes(c));
	if (r == 0)
		r = look_at_phdrs(c, start, start + phoff, n);
	return unless_gone(r);
}

/*
 * Pointers to whole pages are what mmap() gave: libc keeps the text of a failed assertion
 * in such a page, and without it the same crash would have another signature.
 */
static int add_pages(struct collect *c, const unsigned char *bytes, size_t n)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at + c->word <= n && c->pages < PAGES_MAX; at += c->word) {
		uint64_t address = elfcore_load(c->core, bytes + at, c->word);
		const struct elfcore_segment *s;

		if (address == 0 || address % PAGE_BYTES != 0)
			continue;
		s = layout_segment(c->core, address);
		if (!s || !(s->flags & PF_W))
			continue;
		c->pages++;
		r = add(c, address, PAGE_BYTES);
	}
	return r;
}

/* Of the dynamic linker all it points to: which modules have thread-local variables. */
static int add_linked(struct collect *c, const unsigned char *bytes, size_t n)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at + c->word <= n; at += c->word) {
		uint64_t address = elfcore_load(c->core, bytes + at, c->word);
		const struct elfcore_segment *s = layout_segment(c->core, address);

		if (s && s->flags & PF_W)
			r = add(c, address, LINK_MAP_BYTES);
	}
	return r;
}

static bool take_data(struct collect *c, uint64_t bytes)
{
	if (bytes > DATA_ALL_MAX - c->data_bytes)
		return false;
	c->data_bytes += bytes;
	return true;
}

/* A whole segment of data, and the pages it points to. */
static int add_all(struct collect *c, const struct elfcore_segment *s)
{
	unsigned char bytes[PAGE_BYTES];
	int r;

	if (!take_data(c, s->memory_bytes))
		return 0;
	r = add(c, s->vaddr, s->memory_bytes);
	for (uint64_t at = 0; r == 0 && at < s->memory_bytes; at += PAGE_BYTES) {
		r = memory_peek(c->memory, s->vaddr + at, bytes, sizeof(bytes));
		if (r == 0)
			r = add_pages(c, bytes, sizeof(bytes));
		if (r == 0 && c->in_linker)
			r = add_linked(c, bytes, sizeof(bytes));
		r = unless_gone(r);
	}
	return r;
}

/* In a static program libc's data lie at the end of all, and libthread_db reads them. */
static int add_segment(struct collect *c, const struct elfcore_segment *s)
{
	if (s->memory_bytes <= DATA_MAX)
		return add_all(c, s);
	return c->linker == 0 && take_data(c, END_BYTES) ?
		       add(c, s->vaddr + s->memory_bytes - END_BYTES, END_BYTES) : 0;
}

/* What a module's data have beyond its file begins where the file's mappings end. */
static int add_bss(struct collect *c, uint64_t end)
{
	const struct elfcore_segment *s = layout_segment(c->core, end);

	return s && s->vaddr == end && (s->flags & PF_W) ? add_segment(c, s) : 0;
}

/* A module's own data, as far as they are small: the dynamic linker's hold the list of threads. */
static int add_data(struct collect *c, size_t first)
{
	const struct elfcore_mapping *m = c->core->mapping;
	uint64_t end = m[first].end;
	int r = 0;

	for (size_t i = first + 1; r == 0 && i < c->core->mappings; i++) {
		const struct elfcore_segment *s = layout_segment(c->core, m[i].start);

		if (m[i].file_offset == 0 || strcmp(m[i].path, m[first].path) != 0)
			break;
		end = m[i].end;
		if (s && s->file_bytes >= s->memory_bytes)
			r = add_segment(c, s);
	}
	return r == 0 ? add_bss(c, end) : r;
}

static int add_headers(struct collect *c)
{
	unsigned int modules = 0;
	int r = 0;

	(void)elfcore_auxv(c->core, AT_BASE, &c->linker);
	for (size_t i = 0; r == 0 && i < c->core->mappings && modules < MODULES_MAX; i++) {
		bool is_module = false;

		if (c->core->mapping[i].file_offset != 0)
			continue;
		modules++;
		c->in_linker = c->linker != 0 && c->core->mapping[i].start == c->linker;
		r = add_header(c, c->core->mapping[i].start, &is_module);
		if (r == 0 && is_module)
			r = add_data(c, i);
	}
	return r;
}

int modules_collect(const struct elfcore *core, const struct memory *memory,
		    struct spans *spans, struct modules *ret_modules)
{
	struct collect c = { .core = core,
			     .memory = memory,
			     .spans = spans,
			     .word = core->elf_class == ELFCLASS64 ? 8 : 4 };
	int r;

	r = add_program(&c);
	if (r == 0)
		r = add_headers(&c);
	if (r == 0)
		ret_modules->tls_bytes = c.tls_bytes;
	return r;
}
