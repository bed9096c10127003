/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The head of an ELF core: file header, program headers and notes, as the kernel writes
 * them first. Parsed from bytes that a hostile process may have shaped: every access is
 * bounded, every addition checked. Any ELF class and byte order (libelf translates).
 *
 * Layout facts (Linux 6.x): the crashing thread's NT_PRSTATUS comes first; PT_NOTE is the
 * first program header and its data follow the table, so with PN_XNUM (more than 65,534
 * segments) the true number of headers shows in PT_NOTE's offset, long before the section
 * header that also holds it goes through the pipe.
 */

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds on what a process can make us hold. */
#define ELFCORE_SEGMENTS_MAX (1u << 20)
#define ELFCORE_HEAD_MAX (192u << 20) /* headers and notes together; said in elfcore_strerror() */
#define ELFCORE_THREADS_MAX 65536u
#define ELFCORE_MAPPINGS_MAX (1u << 18)

enum {
	ELFCORE_E_SHORT = 1, /* the bytes end before the head does */
	ELFCORE_E_NOT_CORE = 2, /* not an ELF core */
	ELFCORE_E_LIMIT = 3, /* larger than our bounds */
};

struct elfcore_segment {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t vaddr;
	uint64_t file_bytes;
	uint64_t memory_bytes;
	uint64_t align;
};

struct elfcore_thread {
	int64_t tid;
	const void *prstatus; /* borrowed from the head: the note's bytes, host byte order not applied */
	size_t prstatus_bytes;
	const void *tls; /* borrowed: its note on where thread-local storage is; NULL: none */
	size_t tls_bytes;
};

/* A file mapping named by NT_FILE. */
struct elfcore_mapping {
	uint64_t start;
	uint64_t end;
	uint64_t file_offset; /* bytes */
	const char *path; /* borrowed from the head; the victim's text, never a name to open */
};

struct elfcore {
	int elf_class; /* ELFCLASS32 or ELFCLASS64 */
	int byte_order; /* ELFDATA2LSB or ELFDATA2MSB */
	uint16_t machine;
	struct elfcore_segment *segment; /* PT_NOTE included, in file order */
	size_t segments;
	uint64_t head_bytes; /* file header to the end of the notes */
	uint64_t note_offset;
	uint64_t note_bytes; /* there so far */
	uint64_t notes_promised; /* bytes, by the program header */
	uint64_t notes_parsed; /* bytes */
	uint64_t end; /* where the file must end: max(offset + file_bytes) */

	/* From the notes; zero where there was no such note. */
	struct elfcore_thread *thread; /* the crashing one first */
	size_t threads;
	struct elfcore_mapping *mapping;
	size_t mappings;
	const void *files; /* all of NT_FILE, of which these are what is possible; borrowed from the head */
	size_t files_bytes;
	const void *auxv; /* borrowed from the head */
	size_t auxv_bytes;
	int signal; /* of siginfo; without one, what the crashing thread was given */
	bool has_siginfo; /* or there is no code, address and sender */
	int si_code;
	uint64_t fault_address; /* si_addr, for signals that have one */
	int64_t sender_pid; /* si_pid, for signals sent by somebody */
	int64_t pid;
	uint32_t uid;
	uint32_t gid;
	char comm[17];
	char psargs[81];
	bool has_prpsinfo;
};

#define ELFCORE_NULL { 0 }

/*
 * How many bytes from the start are needed to parse the head, judged from the first n
 * (n >= 64 is enough for a first answer; the answer may grow once, for PN_XNUM and the
 * notes). 0 or ELFCORE_E_*.
 */
int elfcore_head_size(const void *bytes, size_t n, uint64_t *ret_needed);

/*
 * Parses a head of n bytes, which must stay until elfcore_done(). Wrong notes are left out,
 * they fail nothing: a core with a broken note is still a core.
 */
int elfcore_parse(const void *head, size_t n, struct elfcore *ret_core);

/*
 * More of the head is there, at the same address, n bytes by now: takes the notes that are
 * new. 0 or -ENOMEM.
 */
int elfcore_parse_more(struct elfcore *core, const void *head, size_t n);

void elfcore_done(struct elfcore *core);

/* Value of an auxiliary vector entry (AT_PHDR ...), false when there is none. */
bool elfcore_auxv(const struct elfcore *core, uint64_t type, uint64_t *ret_value);

/* Of a long of the process: 4 or 8. */
static inline size_t elfcore_word_bytes(const struct elfcore *core)
{
	return core->elf_class == ELFCLASS64 ? 8 : 4;
}

/* Unsigned integer of the core's byte order and the given size (1, 2, 4, 8) at p. */
uint64_t elfcore_load(const struct elfcore *core, const void *p, size_t bytes);

/* Puts one there. */
void elfcore_store(const struct elfcore *core, void *p, size_t bytes, uint64_t value);

const char *elfcore_strerror(int r);
