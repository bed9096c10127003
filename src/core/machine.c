/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/machine.h"

#include "io/cleanup.h"

/* What an alternate stack can sensibly have; other words are no signal frame. */
#define SIGNAL_STACK_MIN 1024u
#define SIGNAL_STACK_MAX (256u << 20)

/* Where a thread's notes say what its thread pointer is. */
enum tls_place {
	TLS_NOWHERE,
	TLS_REGISTER, /* entry of NT_PRSTATUS */
	TLS_WORD, /* first word of a note */
	TLS_DESCRIPTOR, /* struct user_desc of a note; the entry of NT_PRSTATUS selects it */
};

struct machine {
	uint16_t machine;
	int elf_class;
	uint8_t word_bytes;
	uint8_t registers_at; /* in NT_PRSTATUS */
	enum tls_place tls;
	uint8_t tls_entry;
	bool tls_above;
	uint8_t signal_sp; /* which word of struct ucontext */
};

static const struct machine machines[] = {
	/* fs_base; gregs[REG_RSP] */
	{ EM_X86_64, ELFCLASS64, 8, 112, TLS_REGISTER, 21, false, 20 },
	/* the selector in gs; gregs[REG_ESP] */
	{ EM_386, ELFCLASS32, 4, 72, TLS_DESCRIPTOR, 10, false, 12 },
	/* NT_ARM_TLS; uc_mcontext.sp, on a multiple of 16 */
	{ EM_AARCH64, ELFCLASS64, 8, 112, TLS_WORD, 0, true, 54 },
	/* its kernel writes no such note; uc_mcontext.arm_sp */
	{ EM_ARM, ELFCLASS32, 4, 72, TLS_NOWHERE, 0, true, 21 },
};

/* struct user_desc: entry number, base, limit, flags. */
#define DESCRIPTOR_BYTES 16u

static const struct machine *find_machine(const struct elfcore *core)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (machines[i].machine == core->machine &&
		    machines[i].elf_class == core->elf_class)
			return &machines[i];
	return NULL;
}

/* An entry of elf_gregset_t; 0 when the note is too short for it. */
static uint64_t load_register(const struct machine *m, const struct elfcore *core,
			      const struct elfcore_thread *thread)
{
	size_t at = m->registers_at + (size_t)m->tls_entry * m->word_bytes;

	if (at + m->word_bytes > thread->prstatus_bytes)
		return 0;
	return elfcore_load(core, (const char *)thread->prstatus + at, m->word_bytes);
}

static uint64_t load_descriptor(const struct elfcore *core,
				const struct elfcore_thread *thread, uint64_t selector)
{
	const char *p = thread->tls;

	for (size_t at = 0; at + DESCRIPTOR_BYTES <= thread->tls_bytes; at += DESCRIPTOR_BYTES)
		if (elfcore_load(core, p + at, 4) == selector >> 3)
			return elfcore_load(core, p + at + 4, 4);
	return 0;
}

uint64_t machine_tls(const struct elfcore *core, const struct elfcore_thread *thread)
{
	const struct machine *m = find_machine(core);

	switch (m ? m->tls : TLS_NOWHERE) {
	case TLS_NOWHERE:
		break;
	case TLS_REGISTER:
		return load_register(m, core, thread);
	case TLS_WORD:
		return thread->tls_bytes >= m->word_bytes ?
			       elfcore_load(core, thread->tls, m->word_bytes) :
			       0;
	case TLS_DESCRIPTOR:
		return load_descriptor(core, thread, load_register(m, core, thread) & 0xffff);
	}
	return 0;
}

bool machine_tls_above(const struct elfcore *core)
{
	const struct machine *m = find_machine(core);

	return m && m->tls_above;
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
