/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a stored core consists of: which ranges of the process's memory, under which
 * program headers, at which file offsets. Pure: from the kernel's headers and the map of
 * existing pages to an image.
 *
 * Three kinds of page:
 *  - captured: in the file;
 *  - never existed: zeros by truth. Small holes are zeros in the file; a large one is the
 *    part of a segment beyond its p_filesz, and the segment then carries
 *    LAYOUT_ZEROS_BEHIND in its p_flags. Debuggers show such a tail as zeros;
 *  - not captured, or not dumped by the kernel (clean pages of files): a tail without that
 *    flag, as the kernel writes it, or in no segment at all. Not known, never zeros.
 *
 * The flag is of the range ELF leaves to operating systems (PF_MASKOS); no debugger looks
 * at it. Without large holes the full core is the kernel's own, byte for byte.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "core/image.h"
#include "core/pagemap.h"

#define LAYOUT_ZEROS_BEHIND 0x00100000u

/*
 * Holes from LARGE on are left out, and as long as the others come to no more than
 * ZEROS_MAX they stay: the core of a small process is the kernel's, byte for byte. If they
 * come to more, holes from MIN on are left out, too. Below it a program header and its
 * section in gdb cost more than the zeros.
 */
#define LAYOUT_HOLE_LARGE (1u << 20)
#define LAYOUT_HOLE_MIN (64u << 10)
#define LAYOUT_ZEROS_MAX (8u << 20)
/* That many segments may be added; holes are made to be larger until it fits. */
#define LAYOUT_MORE_SEGMENTS 50000u

struct layout_load {
	uint64_t address;
	uint64_t file_bytes;
	uint64_t memory_bytes; /* >= file_bytes */
	uint64_t align;
	uint32_t flags;
};

struct layout {
	struct layout_load *load; /* by address */
	size_t loads;
	size_t load_room;
	struct pagemap captured; /* what is read of the process */
};

#define LAYOUT_NULL { 0 }

void layout_done(struct layout *layout);

/* Can this core be put together? Not if it has segments that only the pipe delivers. */
bool layout_possible(const struct elfcore *core);

/*
 * All that the kernel would dump and that exists. `exists` speaks for private anonymous
 * memory; the ranges of `whole` (files, shared memory, the vdso) are taken as the kernel
 * takes them.
 */
int layout_full(struct layout *layout, const struct elfcore *core,
		const struct pagemap *exists, const struct pagemap *whole);

/*
 * These ranges and nothing else; sorted, apart. What of them is in no segment, or in one
 * that the kernel would not dump and that may be written, is left out: MADV_DONTDUMP
 * keeps its promise. Code and constants of files keep their segments, as the kernel
 * writes them.
 */
int layout_ranges(struct layout *layout, const struct elfcore *core,
		  const struct pagemap *ranges);

/* The segment that holds the address, or the first one behind it; NULL if there is none. */
const struct elfcore_segment *layout_segment(const struct elfcore *core, uint64_t address);
const struct elfcore_segment *layout_segment_behind(const struct elfcore *core,
						    uint64_t address);

/* Up to where memory of a segment may be captured; its start if not at all. */
uint64_t layout_captures_to(const struct elfcore_segment *segment);

/*
 * Headers and offsets for it. `head` is what came through the pipe; its notes stay where
 * they are, so it must outlive the image. -ENOMEM, or ELFCORE_E_LIMIT when it would be
 * larger than a file can be.
 */
int layout_image(const struct layout *layout, const struct elfcore *core, const void *head,
		 size_t head_bytes, struct image *ret_image);

/* Of ranges, or of none: what is left out is not said to be in a file either (core/filenote.h). */
int layout_part_image(const struct layout *layout, const struct elfcore *core, const void *head,
		      size_t head_bytes, struct image *ret_image);
