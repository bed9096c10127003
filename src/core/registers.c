/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/registers.h"

#include <stddef.h>

#include "io/cleanup.h"

/* Where a machine's elf_gregset_t lies in its elf_prstatus, and which entry is which register. */
struct register_map {
	uint16_t machine;
	int elf_class;
	uint8_t word_bytes;
	uint8_t gregs_at;
	uint8_t count;
	uint8_t pc, sp, fp;
	uint8_t entry[REGISTERS_MAX]; /* by register number: index into elf_gregset_t */
};

static const struct register_map maps[] = {
	{ EM_X86_64,
	  ELFCLASS64,
	  8,
	  112,
	  17,
	  16,
	  7,
	  6,
	  { 10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16 } },
	/* libunwind: eax edx ecx ebx esi edi ebp esp eip */
	{ EM_386, ELFCLASS32, 4, 72, 9, 8, 7, 6, { 6, 2, 1, 0, 3, 4, 5, 15, 12 } },
	/* r0 to r15, the last three sp, lr, pc; r11 is the frame pointer of ARM code */
	{ EM_ARM, ELFCLASS32, 4, 72, 16, 15, 13, 11, { 0, 1, 2,	 3,  4,	 5,  6,  7,
						       8, 9, 10, 11, 12, 13, 14, 15 } },
	/* x0 to x30, sp, pc: in order */
	{ EM_AARCH64, ELFCLASS64, 8, 112, 33, 32, 31, 29, { 0,	1,  2,	3,  4,	5,  6,
							    7,	8,  9,	10, 11, 12, 13,
							    14, 15, 16, 17, 18, 19, 20,
							    21, 22, 23, 24, 25, 26, 27,
							    28, 29, 30, 31, 32 } },
};

static const struct register_map *find_map(const struct elfcore *core)
{
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		if (maps[i].machine == core->machine &&
		    maps[i].elf_class == core->elf_class)
			return &maps[i];
	return NULL;
}

int registers_read(const struct elfcore *core, const struct elfcore_thread *thread,
		   struct registers *ret_registers)
{
	const struct register_map *map = find_map(core);
	const unsigned char *p = thread->prstatus;
	struct registers r = { 0 };

	if (!map)
		return REGISTERS_E_UNKNOWN;
	r.count = map->count;
	r.pc = map->pc;
	r.sp = map->sp;
	r.fp = map->fp;
	r.word_bytes = map->word_bytes;
	for (unsigned int i = 0; i < map->count; i++) {
		size_t at = map->gregs_at + (size_t)map->entry[i] * map->word_bytes;

		if (at + map->word_bytes > thread->prstatus_bytes)
			return REGISTERS_E_UNKNOWN;
		r.value[i] = elfcore_load(core, p + at, map->word_bytes);
	}
	*ret_registers = r;
	return 0;
}
