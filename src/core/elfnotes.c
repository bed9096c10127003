/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/elfnotes.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Offsets inside notes differ by class only, on every architecture we know of. */
struct note_layout {
	size_t prstatus_pid, prpsinfo_uid, uid_bytes, prpsinfo_pid, fname, psargs, si_fields;
};

#define THREADS_FIRST 16u /* a power of two */

static const struct note_layout layout64 = { 32, 16, 4, 24, 40, 56, 16 };
static const struct note_layout layout32 = { 24, 8, 2, 12, 28, 44, 12 };

static const struct note_layout *layout_of(const struct elfcore *core)
{
	return core->elf_class == ELFCLASS64 ? &layout64 : &layout32;
}

/* There is room for 16 threads, and whenever that is used up, for twice as many. */
static bool is_full(size_t threads)
{
	return threads == 0 || (threads >= THREADS_FIRST && (threads & (threads - 1)) == 0);
}

static int add_thread(struct elfcore *core, const unsigned char *p, size_t n)
{
	size_t at = layout_of(core)->prstatus_pid;

	if (n < at + 4 || core->threads == ELFCORE_THREADS_MAX)
		return 0;
	if (is_full(core->threads)) {
		size_t room = core->threads ? core->threads * 2 : THREADS_FIRST;
		struct elfcore_thread *larger = reallocarray(core->thread, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		core->thread = larger;
	}
	core->thread[core->threads++] = (struct elfcore_thread){
		.tid = (int32_t)elfcore_load(core, p + at, 4),
		.prstatus = p,
		.prstatus_bytes = n,
	};
	return 0;
}

static void take_prpsinfo(struct elfcore *core, const unsigned char *p, size_t n)
{
	const struct note_layout *l = layout_of(core);

	if (n < l->psargs + 80)
		return;
	core->uid = (uint32_t)elfcore_load(core, p + l->prpsinfo_uid, l->uid_bytes);
	core->gid = (uint32_t)elfcore_load(core, p + l->prpsinfo_uid + l->uid_bytes,
					   l->uid_bytes);
	core->pid = (int32_t)elfcore_load(core, p + l->prpsinfo_pid, 4);
	memcpy(core->comm, p + l->fname, 16);
	memcpy(core->psargs, p + l->psargs, 80);
	core->has_prpsinfo = true;
}

static void take_siginfo(struct elfcore *core, const unsigned char *p, size_t n)
{
	const struct note_layout *l = layout_of(core);

	if (n < l->si_fields + 8)
		return;
	core->has_siginfo = true;
	core->signal = (int32_t)elfcore_load(core, p, 4);
	core->si_code = (int32_t)elfcore_load(core, p + 8, 4);
	if (core->si_code <= 0)
		core->sender_pid = (int32_t)elfcore_load(core, p + l->si_fields, 4);
	else if (core->signal == SIGSEGV || core->signal == SIGBUS ||
		 core->signal == SIGILL || core->signal == SIGFPE || core->signal == SIGTRAP)
		core->fault_address = elfcore_load(core, p + l->si_fields, elfcore_word_bytes(core));
}

/* NT_FILE: count, page size, count times (start, end, page offset), count names. */
static int take_files(struct elfcore *core, const unsigned char *p, size_t n)
{
	size_t word = elfcore_word_bytes(core);
	const char *name, *end = (const char *)p + n;
	uint64_t count, page;

	if (n < 2 * word || core->mapping)
		return 0;
	count = elfcore_load(core, p, word);
	page = elfcore_load(core, p + word, word);
	if (count == 0 || count > ELFCORE_MAPPINGS_MAX || count > (n - 2 * word) / (3 * word))
		return 0;
	core->mapping = calloc(count, sizeof(*core->mapping));
	if (!core->mapping)
		return -ENOMEM;
	core->files = p;
	core->files_bytes = n;
	name = (const char *)p + (2 + 3 * count) * word;
	for (uint64_t i = 0; i < count; i++) {
		const unsigned char *entry = p + (2 + 3 * i) * word;
		const char *nul = name < end ? memchr(name, '\0', (size_t)(end - name)) : NULL;
		struct elfcore_mapping m = {
			.start = elfcore_load(core, entry, word),
			.end = elfcore_load(core, entry + word, word),
			.path = name,
		};

		if (!nul)
			break;
		name = nul + 1;
		if (__builtin_mul_overflow(elfcore_load(core, entry + 2 * word, word), page,
					   &m.file_offset) ||
		    m.start >= m.end)
			continue;
		core->mapping[core->mappings++] = m;
	}
	return 0;
}

/* Notes of a thread follow its NT_PRSTATUS, also those of a thread that was left out. */
static void take_machine_note(struct elfcore *core, uint32_t type, const unsigned char *p,
			      size_t n)
{
	struct elfcore_thread *last;

	if ((type != NT_386_TLS && type != NT_ARM_TLS) || core->threads == 0)
		return;
	last = &core->thread[core->threads - 1];
	if (last->tls)
		return;
	last->tls = p;
	last->tls_bytes = n;
}

static int take_note(struct elfcore *core, uint32_t type, const unsigned char *p, size_t n)
{
	switch (type) {
	case NT_PRSTATUS:
		return add_thread(core, p, n);
	case NT_PRPSINFO:
		take_prpsinfo(core, p, n);
		return 0;
	case NT_SIGINFO:
		if (!core->has_siginfo)
			take_siginfo(core, p, n);
		return 0;
	case NT_AUXV:
		core->auxv = p;
		core->auxv_bytes = n;
		return 0;
	case NT_FILE:
		return take_files(core, p, n);
	default:
		return 0;
	}
}

/* NT_SIGINFO is younger than NT_PRSTATUS (pr_cursig), and behind it where a core was cut. */
static void take_signal_of_thread(struct elfcore *core)
{
	const struct elfcore_thread *first = core->thread;

	if (core->signal == 0 && core->threads > 0 && first->prstatus_bytes >= 14)
		core->signal = (int)elfcore_load(core, (const char *)first->prstatus + 12, 2);
}

/*
 * The note walker is ours and not libelf's: it must hand out pointers into the caller's
 * bytes, whose translation (registers!) only the consumer knows.
 */
int elfnotes_parse(const unsigned char *p, struct elfcore *core)
{
	while (core->note_bytes >= core->notes_parsed + sizeof(Elf64_Nhdr)) {
		const unsigned char *note = p + core->notes_parsed;
		uint64_t left = core->note_bytes - core->notes_parsed;
		uint64_t name_bytes = elfcore_load(core, note, 4);
		uint64_t desc_bytes = elfcore_load(core, note + 4, 4);
		uint32_t type = (uint32_t)elfcore_load(core, note + 8, 4);
		uint64_t desc_at = sizeof(Elf64_Nhdr) + (name_bytes + 3) / 4 * 4;
		const unsigned char *desc;
		int r = 0;

		if (desc_at > left || desc_bytes > left - desc_at)
			break;
		desc = note + desc_at;
		if (name_bytes == 5 && memcmp(note + sizeof(Elf64_Nhdr), "CORE", 5) == 0)
			r = take_note(core, type, desc, desc_bytes);
		else if (name_bytes == 6 && memcmp(note + sizeof(Elf64_Nhdr), "LINUX", 6) == 0)
			take_machine_note(core, type, desc, desc_bytes);
		if (r < 0)
			return r;
		core->notes_parsed += desc_at + (desc_bytes + 3) / 4 * 4;
	}
	take_signal_of_thread(core);
	return 0;
}
