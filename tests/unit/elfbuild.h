/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Builds ELF cores in memory as the kernel lays them out: header, table, notes, segments. */

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct elfbuild_load {
	uint64_t vaddr;
	uint64_t file_bytes; /* as the header says */
	uint64_t memory_bytes;
	uint64_t there_bytes; /* that follow in the file, of pattern elfbuild_byte() */
	uint64_t offset; /* 0: chosen; else a lie */
};

struct elfbuild {
	int elf_class;
	int byte_order;
	unsigned char *notes; /* free()d by elfbuild_done() */
	size_t note_bytes;
	struct elfbuild_load load[16];
	size_t loads;
	size_t empty_loads; /* more of them, without bytes: for PN_XNUM */
	size_t no_notes; /* bool: no PT_NOTE at all */

	unsigned char *bytes; /* the core; free()d by elfbuild_done() */
	size_t n;
	size_t head_bytes; /* of it to the end of the notes */
};

/* The content of memory at an address. */
unsigned char elfbuild_byte(uint64_t address);

/* Stores an unsigned integer in the core's byte order. */
void elfbuild_put(const struct elfbuild *build, unsigned char *at, uint64_t value, size_t bytes);
size_t elfbuild_word(const struct elfbuild *build); /* 4 or 8 */

void elfbuild_note(struct elfbuild *build, const char *name, uint32_t type, const void *desc,
		   size_t n);
void elfbuild_load(struct elfbuild *build, uint64_t vaddr, uint64_t file_bytes,
		   uint64_t memory_bytes);
void elfbuild_finish(struct elfbuild *build);
void elfbuild_done(struct elfbuild *build);

/* The notes of a process: two threads, SIGSEGV at 0xdead000, uid 1000, auxv, two files. */
void elfbuild_usual_notes(struct elfbuild *build);
