/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/symbols.h"

#include <elf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "io/cleanup.h"
#include "unwind/minidebug.h"

#define SYMBOLS_MAX (1u << 20) /* of one table */
#define BUCKETS_MAX (1u << 20)
#define DYNAMIC_MAX 512u
#define MEMO 256u

struct entry {
	uint64_t value;
	uint64_t size;
	uint32_t name;
	uint8_t type;
	uint8_t bind;
};

struct table {
	struct entry *entry;
	size_t n;
};

struct memo {
	uint64_t address; /* plus 1 */
	const struct entry *entry;
	bool exported;
};

struct symbols {
	struct table dynamic;
	uint64_t strings; /* address of .dynstr */
	uint64_t strings_bytes;
	struct table file;
	Elf *elf; /* holds the names of `file` */
	size_t file_strings; /* section index */
	char *unpacked; /* .gnu_debugdata */
	struct memo memo[MEMO];
};

/* ---- .dynsym, in memory ---- */

struct dynamic {
	uint64_t symtab, strtab, strsz, hash, gnu_hash;
};

/* ld.so writes addresses over the file's offsets, except where it may not (vdso). */
static uint64_t relocate(const struct module *m, uint64_t value)
{
	return value >= m->base && value < m->end ? value : value + m->bias;
}

static bool read_dynamic(const struct module *m, const struct elfcore *core,
			 struct memory *memory, struct dynamic *ret_dynamic)
{
	size_t word = m->wide ? 8 : 4;
	struct dynamic d = { 0 };

	for (uint64_t i = 0; i < DYNAMIC_MAX && (i + 1) * 2 * word <= m->dynamic_bytes;
	     i++) {
		unsigned char pair[16];
		uint64_t tag, value;

		if (memory_read(memory, m->dynamic + i * 2 * word, pair, 2 * word) != 0)
			break;
		tag = elfcore_load(core, pair, word);
		value = elfcore_load(core, pair + word, word);
		if (tag == DT_NULL)
			break;
		if (tag == DT_SYMTAB)
			d.symtab = relocate(m, value);
		else if (tag == DT_STRTAB)
			d.strtab = relocate(m, value);
		else if (tag == DT_STRSZ)
			d.strsz = value;
		else if (tag == DT_HASH)
			d.hash = relocate(m, value);
		else if (tag == DT_GNU_HASH)
			d.gnu_hash = relocate(m, value);
	}
	*ret_dynamic = d;
	return d.symtab != 0 && d.strtab != 0;
}

static uint32_t read_u32(const struct elfcore *core, struct memory *memory,
			 uint64_t address)
{
	unsigned char bytes[4];

	return memory_read(memory, address, bytes, 4) == 0
		       ? (uint32_t)elfcore_load(core, bytes, 4)
		       : 0;
}

/* .gnu.hash does not say how many symbols there are: the last chain's end does. */
static size_t count_gnu_hash(const struct module *m, const struct elfcore *core,
			     struct memory *memory, uint64_t at)
{
	uint32_t buckets = read_u32(core, memory, at);
	uint32_t first = read_u32(core, memory, at + 4);
	uint64_t bucket =
		at + 16 + (uint64_t)read_u32(core, memory, at + 8) * (m->wide ? 8 : 4);
	uint64_t chain = bucket + (uint64_t)buckets * 4;
	uint32_t last = 0;

	if (buckets == 0 || buckets > BUCKETS_MAX)
		return 0;
	for (uint32_t i = 0; i < buckets; i++) {
		uint32_t index = read_u32(core, memory, bucket + (uint64_t)i * 4);

		if (index > last)
			last = index;
	}
	if (last < first)
		return first;
	while (last < SYMBOLS_MAX &&
	       !(read_u32(core, memory, chain + (uint64_t)(last - first) * 4) & 1))
		last++;
	return (size_t)last + 1;
}

static void take_entry(struct table *table, const struct entry *entry, uint16_t section)
{
	bool code = entry->type == STT_FUNC || entry->type == STT_GNU_IFUNC ||
		    (entry->type == STT_NOTYPE && entry->size > 0);

	if (section == SHN_UNDEF || (!code && entry->type != STT_OBJECT))
		return;
	table->entry[table->n++] = *entry;
}

static void decode(const struct elfcore *core, const unsigned char *p, bool wide,
		   struct table *table)
{
	struct entry e;
	uint8_t info;
	uint16_t section;

#define SYM(name)                                                                        \
	(wide ? elfcore_load(core, p + offsetof(Elf64_Sym, name),                        \
			     sizeof(((Elf64_Sym *)0)->name))                             \
	      : elfcore_load(core, p + offsetof(Elf32_Sym, name),                        \
			     sizeof(((Elf32_Sym *)0)->name)))
	info = (uint8_t)SYM(st_info);
	section = (uint16_t)SYM(st_shndx);
	e = (struct entry){
		.value = SYM(st_value),
		.size = SYM(st_size),
		.name = (uint32_t)SYM(st_name),
		.type = info & 15,
		.bind = info >> 4,
	};
#undef SYM
	take_entry(table, &e, section);
}

static void load_dynamic(struct symbols *s, const struct module *m,
			 const struct elfcore *core, struct memory *memory)
{
	size_t entry_bytes = m->wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	_cleanup_free_ unsigned char *raw = NULL;
	struct dynamic d;
	size_t n, got;

	if (m->dynamic == 0 || !read_dynamic(m, core, memory, &d))
		return;
	n = d.gnu_hash ? count_gnu_hash(m, core, memory, d.gnu_hash) : 0;
	if (n == 0 && d.hash)
		n = read_u32(core, memory, d.hash + 4);
	if (n == 0 || n > SYMBOLS_MAX)
		return;
	raw = malloc(n * entry_bytes);
	s->dynamic.entry = calloc(n, sizeof(*s->dynamic.entry));
	if (!raw || !s->dynamic.entry)
		return;
	got = memory_read_some(memory, d.symtab, raw, n * entry_bytes) / entry_bytes;
	for (size_t i = 0; i < got; i++)
		decode(core, raw + i * entry_bytes, m->wide, &s->dynamic);
	s->strings = d.strtab;
	s->strings_bytes = d.strsz;
}

/* ---- .symtab, in a file ---- */

static void load_section(struct symbols *s, Elf_Scn *section, const GElf_Shdr *shdr)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t n = shdr->sh_entsize ? shdr->sh_size / shdr->sh_entsize : 0;

	if (!data || n == 0 || n > SYMBOLS_MAX * 4u)
		return;
	s->file.entry = calloc(n, sizeof(*s->file.entry));
	if (!s->file.entry)
		return;
	s->file_strings = shdr->sh_link;
	for (size_t i = 0; i < n; i++) {
		GElf_Sym sym;
		struct entry e;

		if (!gelf_getsym(data, (int)i, &sym))
			break;
		e = (struct entry){
			.value = sym.st_value,
			.size = sym.st_size,
			.name = sym.st_name,
			.type = GELF_ST_TYPE(sym.st_info),
			.bind = GELF_ST_BIND(sym.st_info),
		};
		take_entry(&s->file, &e, sym.st_shndx);
	}
}

static void load_symtab(struct symbols *s, Elf *elf)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_SYMTAB)
			continue;
		load_section(s, section, &shdr);
		return;
	}
}

/* The full table; else the one that distributions leave in stripped files. */
static void load_file(struct symbols *s, int fd)
{
	Elf *inner;

	(void)elf_version(EV_CURRENT);
	(void)elf_end(s->elf);
	s->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!s->elf)
		return;
	load_symtab(s, s->elf);
	if (s->file.n > 0)
		return;
	inner = minidebug_open(s->elf, &s->unpacked);
	if (!inner)
		return;
	(void)elf_end(s->elf);
	s->elf = inner;
	load_symtab(s, s->elf);
}

/* ---- looking up ---- */

static struct symbols *load(struct module *m, const struct elfcore *core,
			    struct memory *memory)
{
	if (m->symbols)
		return m->symbols;
	m->symbols = calloc(1, sizeof(*m->symbols));
	if (!m->symbols)
		return NULL;
	load_dynamic(m->symbols, m, core, memory);
	if (m->debug_fd >= 0)
		load_file(m->symbols, m->debug_fd);
	if (m->fd >= 0 && m->symbols->file.n == 0)
		load_file(m->symbols, m->fd);
	return m->symbols;
}

static bool name_of(const struct symbols *s, struct memory *memory, const struct entry *e,
		    bool exported, char name[static SYMBOLS_NAME_MAX])
{
	const char *text;

	if (exported)
		return e->name < s->strings_bytes &&
		       memory_read_string(memory, s->strings + e->name, name,
					  SYMBOLS_NAME_MAX) &&
		       name[0] != '\0';
	text = elf_strptr(s->elf, s->file_strings, e->name);
	if (!text || text[0] == '\0' || strlen(text) >= SYMBOLS_NAME_MAX)
		return false;
	memcpy(name, text, strlen(text) + 1);
	return true;
}

static bool covers(const struct entry *e, uint64_t address)
{
	if (e->type == STT_OBJECT || address < e->value)
		return false;
	return address - e->value < e->size || address == e->value;
}

/* Of several names for one place the same one in every build: no order of the table counts. */
static bool better(const char *name, uint8_t bind, const char *than, uint8_t than_bind)
{
	size_t dashes = strspn(name, "_"), than_dashes = strspn(than, "_");

	if (bind != than_bind)
		return bind == STB_GLOBAL || (bind == STB_WEAK && than_bind == STB_LOCAL);
	if (dashes != than_dashes)
		return dashes < than_dashes;
	if (strlen(name) != strlen(than))
		return strlen(name) < strlen(than);
	return strcmp(name, than) < 0;
}

static const struct entry *find_in(const struct symbols *s, const struct table *table,
				   struct memory *memory, uint64_t address, bool exported)
{
	char name[SYMBOLS_NAME_MAX], best_name[SYMBOLS_NAME_MAX];
	const struct entry *best = NULL;

	for (size_t i = 0; i < table->n; i++) {
		const struct entry *e = &table->entry[i];

		if (!covers(e, address) || (best && e->value < best->value))
			continue;
		if (!name_of(s, memory, e, exported, name))
			continue;
		if (best && e->value == best->value &&
		    !better(name, e->bind, best_name, best->bind))
			continue;
		best = e;
		memcpy(best_name, name, sizeof(name));
	}
	return best;
}

static struct memo *look_up(struct symbols *s, struct memory *memory, uint64_t address)
{
	struct memo *memo = &s->memo[address % MEMO];

	if (memo->address == address + 1)
		return memo;
	memo->address = address + 1;
	memo->entry = find_in(s, &s->dynamic, memory, address, true);
	memo->exported = memo->entry != NULL;
	if (!memo->entry && s->elf)
		memo->entry = find_in(s, &s->file, memory, address, false);
	return memo;
}

bool symbols_find(struct module *module, const struct elfcore *core,
		  struct memory *memory, uint64_t address, struct symbol *ret_symbol)
{
	struct symbols *s = load(module, core, memory);
	const struct memo *memo;

	if (!s)
		return false;
	memo = look_up(s, memory, address - module->bias);
	if (!memo->entry ||
	    !name_of(s, memory, memo->entry, memo->exported, ret_symbol->name))
		return false;
	ret_symbol->offset = address - module->bias - memo->entry->value;
	ret_symbol->exported = memo->exported;
	return true;
}

bool symbols_find_object(struct module *module, const struct elfcore *core,
			 struct memory *memory, const char *name, uint64_t *ret_address,
			 uint64_t *ret_bytes)
{
	struct symbols *s = load(module, core, memory);
	char text[SYMBOLS_NAME_MAX];

	for (size_t i = 0; s && i < s->dynamic.n; i++) {
		const struct entry *e = &s->dynamic.entry[i];

		if (e->type != STT_OBJECT || !name_of(s, memory, e, true, text) ||
		    strcmp(text, name) != 0)
			continue;
		*ret_address = module->bias + e->value;
		*ret_bytes = e->size;
		return true;
	}
	return false;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->dynamic.entry);
	free(symbols->file.entry);
	(void)elf_end(symbols->elf);
	free(symbols->unpacked);
	free(symbols);
}
