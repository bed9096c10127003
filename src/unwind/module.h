/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The ELF files a process had mapped, seen through its memory: name from NT_FILE, build-id,
 * unwind table and dynamic symbols from the loaded image itself. No file is opened; one
 * that the caller opened is believed only when its first page is the one in memory, or what
 * of it there is in a small core and says whose it is.
 *
 * `base` is where the file's first byte is mapped, `bias` what is added to the addresses
 * inside the file. Offsets in answers are relative to base.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "unwind/space.h"
#include "unwind/memory.h"

#define MODULE_MAX 2048
#define MODULE_BUILD_ID_MAX 64 /* bytes; real ones have 8, 16 or 20 */
#define MODULE_TEXT_NAME 4096

struct symbols;
struct debug_frame;
struct eh_index;

struct module {
	uint64_t base;
	uint64_t end; /* of its last mapping */
	uint64_t bias;
	const char *
		path; /* borrowed from the head, NULL for the vdso; never a name to open */
	char build_id[2 * MODULE_BUILD_ID_MAX + 1]; /* hex, empty: none */
	bool is_vdso;
	bool is_elf;
	bool wide; /* 64 bits */
	int fd; /* of the file itself; borrowed, -1: none */
	int debug_fd; /* of its separate debug file; borrowed, -1: none */

	/* Addresses in memory; 0 when not there. */
	uint64_t eh_frame_hdr;
	uint64_t eh_frame_hdr_bytes;
	uint64_t dynamic;
	uint64_t dynamic_bytes;
	uint64_t code; /* the first segment of it that is */
	uint64_t code_bytes;

	struct symbols *symbols; /* made when first asked for */
	struct debug_frame *debug_frame;
	bool debug_frame_tried;
	struct eh_index *eh_index;
};

struct modules {
	struct module *module; /* by address */
	size_t n;
	size_t executable; /* index, or SIZE_MAX */
	bool truncated;
};

#define MODULES_NULL                                                                     \
	{                                                                                \
		.executable = SIZE_MAX                                                   \
	}

int modules_read(struct modules *modules, const struct elfcore *core,
		 struct memory *memory, const struct space *space);
void modules_done(struct modules *modules);

/* The module whose mappings enclose the address, or NULL. */
struct module *modules_find(const struct modules *modules, uint64_t address);

/*
 * Does the module that encloses the address say that it is code? For where the core has no
 * segment to ask: some debuggers' cores leave out what a file has.
 */
bool modules_code(const struct modules *modules, uint64_t address);

/* Offers a file for the module that start lies in. Takes it only if it is that file. */
bool modules_offer_file(struct modules *modules, const struct elfcore *core,
			struct memory *memory, const struct space *space, uint64_t start,
			int fd);

/* Last component of the path, "[vdso]", or "" (borrowed). */
const char *module_name(const struct module *module);
