/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/module_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "unwind/debugframe.h"
#include "unwind/ehindex.h"
#include "unwind/symbols.h"
#include "unwind/unlisted.h"

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
		module_examine(&modules->module[i], core, memory);
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
