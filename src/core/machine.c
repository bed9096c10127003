/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/machine.h"

#include "io/cleanup.h"

/* What an alternate stack can sensibly have; other words are no signal frame. */
#define SIGNAL_STACK_MIN 1024u
#define SIGNAL_STACK_MAX (256u << 20)

struct machine {
	uint16_t machine;
	int elf_class;
	uint8_t word_bytes;
	uint8_t registers_at; /* in NT_PRSTATUS */
	int8_t tls; /* which of them; -1: elsewhere */
	uint8_t signal_sp; /* which word of struct ucontext */
};

static const struct machine machines[] = {
	{ EM_X86_64, ELFCLASS64, 8, 112, 21, 20 }, /* fs_base; gregs[REG_RSP] */
	{ EM_386, ELFCLASS32, 4, 72, -1, 12 }, /* gregs[REG_ESP] */
	{ EM_AARCH64, ELFCLASS64, 8, 112, -1, 54 }, /* uc_mcontext.sp, on a multiple of 16 */
};

static const struct machine *find_machine(const struct elfcore *core)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (machines[i].machine == core->machine &&
		    machines[i].elf_class == core->elf_class)
			return &machines[i];
	return NULL;
}

uint64_t machine_tls(const struct elfcore *core, const struct elfcore_thread *thread)
{
	const struct machine *m = find_machine(core);
	size_t at;

	if (!m || m->tls < 0)
		return 0;
	at = m->registers_at + (size_t)m->tls * m->word_bytes;
	if (at + m->word_bytes > thread->prstatus_bytes)
		return 0;
	return elfcore_load(core, (const char *)thread->prstatus + at, m->word_bytes);
}

/* struct ucontext: flags, link, { stack start, stack flags, stack size }, then registers. */
bool machine_signal_frame(const struct elfcore *core, uint64_t address, const void *words,
			  size_t bytes, uint64_t *ret_sp)
{
	const struct machine *m = find_machine(core);
	const char *p = words;
	uint64_t start, size, sp;

	if (!m || bytes < (m->signal_sp + 1u) * m->word_bytes ||
	    elfcore_load(core, p, m->word_bytes) > 0xffff ||
	    elfcore_load(core, p + m->word_bytes, m->word_bytes) != 0)
		return false;
	start = elfcore_load(core, p + 2 * m->word_bytes, m->word_bytes);
	size = elfcore_load(core, p + 4 * m->word_bytes, m->word_bytes);
	sp = elfcore_load(core, p + m->signal_sp * m->word_bytes, m->word_bytes);
	if (start == 0 || address < start || address - start >= size ||
	    size < SIGNAL_STACK_MIN || size > SIGNAL_STACK_MAX || sp == 0 ||
	    (sp >= start && sp - start < size))
		return false;
	*ret_sp = sp;
	return true;
}
