/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/stacktop.h"

#include <string.h>

#include "core/registers.h"
#include "policy/runtime.h"

/* Mappings are in order of addresses, as the kernel writes them; a hostile order finds less. */
static const struct elfcore_mapping *find_mapping(const struct elfcore *core,
						  uint64_t address)
{
	size_t low = 0, high = core->mappings;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (core->mapping[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= core->mapping[low - 1].end)
		return NULL;
	return &core->mapping[low - 1];
}

static struct cheaphash_place place_of(const struct elfcore *core, uint64_t address)
{
	const struct elfcore_mapping *m = find_mapping(core, address);
	const char *slash;

	if (!m)
		return (struct cheaphash_place){ .null = address == 0 };
	slash = strrchr(m->path, '/');
	return (struct cheaphash_place){
		.module = slash ? slash + 1 : m->path,
		.offset = m->file_offset + (address - m->start),
	};
}

int stacktop_range(const struct elfcore *core, uint64_t *ret_address)
{
	struct registers r;

	if (core->threads == 0 || registers_read(core, &core->thread[0], &r) != 0)
		return STACKTOP_E_UNKNOWN;
	*ret_address = registers_sp(&r) - registers_sp(&r) % r.word_bytes;
	return 0;
}

/*
 * Code that says something of the bug: files that are no runtime. A stack has thousands of
 * words and few of them are code, so what is no code is told by two comparisons.
 */
#define CODE_MAX 64

struct code {
	struct {
		uint64_t start, end;
	} range[CODE_MAX];
	size_t n;
	uint64_t low, high; /* of all of them */
};

static void add_code(struct code *code, uint64_t start, uint64_t end)
{
	if (code->n == CODE_MAX)
		return;
	code->range[code->n].start = start;
	code->range[code->n].end = end;
	code->low = code->n == 0 || start < code->low ? start : code->low;
	code->high = end > code->high ? end : code->high;
	code->n++;
}

static void find_code(const struct elfcore *core, struct code *ret_code)
{
	ret_code->n = 0;
	ret_code->low = ret_code->high = 0;
	for (size_t i = 0; i < core->segments; i++) {
		const struct elfcore_segment *s = &core->segment[i];
		struct cheaphash_place place;

		if (s->type != PT_LOAD || !(s->flags & PF_X) ||
		    s->memory_bytes > UINT64_MAX - s->vaddr)
			continue;
		place = place_of(core, s->vaddr);
		if (place.module && !runtime_module(place.module))
			add_code(ret_code, s->vaddr, s->vaddr + s->memory_bytes);
	}
}

static bool is_code(const struct code *code, uint64_t address)
{
	if (address < code->low || address >= code->high)
		return false;
	for (size_t i = 0; i < code->n; i++)
		if (address >= code->range[i].start && address < code->range[i].end)
			return true;
	return false;
}

static void take_addresses(const struct elfcore *core, const unsigned char *stack,
			   size_t n, size_t word_bytes, struct cheaphash_crash *crash)
{
	struct code code;

	find_code(core, &code);
	for (size_t i = 0; i + word_bytes <= n && i < STACKTOP_BYTES &&
			   crash->addresses < CHEAPHASH_ADDRESSES;
	     i += word_bytes) {
		uint64_t address = elfcore_load(core, stack + i, word_bytes);

		if (is_code(&code, address))
			crash->address[crash->addresses++] = place_of(core, address);
	}
}

int stacktop_look(const struct elfcore *core, const void *stack, size_t n,
		  struct cheaphash_crash *ret_crash)
{
	struct cheaphash_crash crash = { .signal = core->signal,
					 .si_code = core->si_code };
	struct registers r;

	if (core->threads == 0 || registers_read(core, &core->thread[0], &r) != 0)
		return STACKTOP_E_UNKNOWN;
	crash.pc = place_of(core, registers_pc(&r));
	take_addresses(core, stack, n, r.word_bytes, &crash);
	*ret_crash = crash;
	return 0;
}
