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

/* The kernel writes a segment for each mapping, in order of addresses. */
static bool is_code(const struct elfcore *core, uint64_t address)
{
	size_t low = 0, high = core->segments;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (core->segment[middle].type != PT_LOAD ||
		    core->segment[middle].vaddr <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && (core->segment[low - 1].flags & PF_X) &&
	       address - core->segment[low - 1].vaddr <
		       core->segment[low - 1].memory_bytes;
}

static struct cheaphash_place place_of(const struct elfcore *core, uint64_t address)
{
	const struct elfcore_mapping *m = find_mapping(core, address);
	const char *slash;

	if (!m)
		return (struct cheaphash_place){ 0 };
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

static void take_addresses(const struct elfcore *core, const unsigned char *stack,
			   size_t n, size_t word_bytes, struct cheaphash_crash *crash)
{
	for (size_t i = 0; i + word_bytes <= n && i < STACKTOP_BYTES &&
			   crash->addresses < CHEAPHASH_ADDRESSES;
	     i += word_bytes) {
		uint64_t address = elfcore_load(core, stack + i, word_bytes);
		struct cheaphash_place place;

		if (!is_code(core, address))
			continue;
		place = place_of(core, address);
		if (place.module && !runtime_module(place.module))
			crash->address[crash->addresses++] = place;
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
