/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The memory of the crashed process, from wherever it can be read: /proc/PID/mem, or a core
 * and the files that were mapped. What cannot be read is absent, never zeros.
 *
 * Everything that reads here follows pointers a hostile process laid out, so reads are
 * counted: when the budget or the time is spent every read fails, and whatever loop was
 * being led in circles ends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/corefile.h"

enum {
	MEMORY_E_ABSENT = 1,
};

struct memory;

/* Reads through an open /proc/PID/mem. The descriptor is borrowed. */
int memory_new_live(int fd, struct memory **ret_memory);
/* Reads from a core. The core is borrowed. */
int memory_new_core(struct corefile *core, struct memory **ret_memory);
void memory_free(struct memory *memory);

/*
 * What is absent in [start, end) is read from the file at offset + (address - start). For
 * mappings that were never written only. -ENOSPC when there are too many.
 */
int memory_add_file(struct memory *memory, int fd, uint64_t start, uint64_t end,
		    uint64_t offset);

/* From now on reads fail when CLOCK_MONOTONIC has passed this. */
void memory_set_deadline(struct memory *memory, int64_t deadline_ms);
bool memory_time_over(const struct memory *memory);

/* n bytes, all or nothing: 0 or MEMORY_E_ABSENT. */
int memory_read(struct memory *memory, uint64_t address, void *bytes, size_t n);

/* As many of the n bytes as there are from the address on, in whole pages. */
size_t memory_read_some(struct memory *memory, uint64_t address, void *bytes, size_t n);

/* A string of less than size bytes; false when it is longer or absent. */
bool memory_read_string(struct memory *memory, uint64_t address, char *text, size_t size);
