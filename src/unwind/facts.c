/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/facts.h"

#include <stdio.h>
#include <string.h>

#include "io/cleanup.h"
#include "policy/name.h"
#include "unwind/symbols.h"

#define NULL_PAGE (64u << 10)
/* How far from the stack pointer a fault still is the stack's growth. */
#define GUARD_DISTANCE (64u << 10)
/* The kernel's own gap below a growing stack: 256 pages. */
#define GUARD_GAP (1u << 20)

bool facts_stack_overflow(const struct space *space, uint64_t address, uint64_t sp)
{
	uint64_t distance = address > sp ? address - sp : sp - address;
	const struct elfcore_segment *above;

	if (distance > GUARD_DISTANCE || space_writable(space, address))
		return false;
	above = space_next(space, address);
	return above && (above->flags & PF_W) && above->vaddr - address <= GUARD_GAP;
}

/* push and call, of registers and of numbers: all that faults before sp has moved. */
static bool pushes(const struct walk_process *process, uint64_t pc)
{
	unsigned char p[3];
	size_t n = 0;

	if ((process->core->machine != EM_X86_64 && process->core->machine != EM_386) ||
	    memory_read(process->memory, pc, p, sizeof(p)) != 0)
		return false;
	if (process->core->machine == EM_X86_64 && (p[0] & 0xf0) == 0x40) /* REX */
		n = 1;
	return (p[n] & 0xf8) == 0x50 || p[n] == 0x68 || p[n] == 0x6a || p[n] == 0xe8 ||
	       (p[n] == 0xff && ((p[n + 1] & 0xf8) == 0xd0 || (p[n + 1] & 0xf8) == 0xf0));
}

bool facts_stack_ended(const struct walk_process *process, uint64_t pc, uint64_t sp)
{
	unsigned int word = process->core->elf_class == ELFCLASS64 ? 8 : 4;

	return facts_stack_overflow(process->space, sp, sp) ||
	       (pushes(process, pc) && facts_stack_overflow(process->space, sp - word, sp));
}

static void describe_mapping(const struct walk_process *process,
			     const struct elfcore_segment *s, uint64_t address,
			     uint64_t sp, char text[static FACTS_TEXT])
{
	const struct module *m = modules_find(process->modules, address);
	char name[FACTS_TEXT - 32];
	const char *raw = "anonymous memory";

	if (m)
		raw = module_name(m);
	else if (s == space_find(process->space, sp))
		raw = "stack";
	(void)name_escape(raw, strlen(raw), name, sizeof(name));
	(void)snprintf(text, FACTS_TEXT, "%s (%c%c%c)", name, s->flags & PF_R ? 'r' : '-',
		       s->flags & PF_W ? 'w' : '-', s->flags & PF_X ? 'x' : '-');
}

void facts_address(const struct walk_process *process, uint64_t address, uint64_t sp,
		   char text[static FACTS_TEXT])
{
	const struct elfcore_segment *s = space_find(process->space, address);

	if (facts_stack_overflow(process->space, address, sp))
		(void)snprintf(text, FACTS_TEXT, "stack guard");
	else if (s)
		describe_mapping(process, s, address, sp, text);
	else
		(void)snprintf(text, FACTS_TEXT,
			       address < NULL_PAGE ? "null page" : "unmapped");
}

static bool is_libc(const struct module *m)
{
	const char *name = module_name(m);

	return strncmp(name, "libc.so", 7) == 0 || strncmp(name, "libc-2", 6) == 0;
}

/* struct abort_msg_s: the size of the mapping, then the text. */
static bool read_message(const struct walk_process *process, uint64_t address,
			 char text[static FACTS_MESSAGE])
{
	char raw[FACTS_MESSAGE / 4];
	size_t n;

	n = memory_read_some(process->memory, address + 4, raw, sizeof(raw));
	n = strnlen(raw, n);
	while (n > 0 && raw[n - 1] == '\n')
		n--;
	(void)name_escape(raw, n, text, FACTS_MESSAGE);
	return n > 0;
}

bool facts_abort_message(const struct walk_process *process,
			 char text[static FACTS_MESSAGE])
{
	for (size_t i = 0; i < process->modules->n; i++) {
		struct module *m = &process->modules->module[i];
		unsigned char pointer[8];
		uint64_t at, bytes;

		if (!is_libc(m) || !symbols_find_object(m, process->core, process->memory,
							"__abort_msg", &at, &bytes))
			continue;
		if (memory_read(process->memory, at, pointer, m->wide ? 8 : 4) != 0)
			return false;
		at = elfcore_load(process->core, pointer, m->wide ? 8 : 4);
		return at != 0 && read_message(process, at, text);
	}
	return false;
}
