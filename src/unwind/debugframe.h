/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* .debug_frame of a module's file: for code that has no .eh_frame (Go, some assembly). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/module.h"

struct debug_frame;

/*
 * A one-row unwind table for the address, in the form of .eh_frame, to be laid at `at` in
 * the process's address space: first a CIE, then the FDE at *ret_fde_at. The bytes are
 * valid until the next call. False when there is no row.
 */
bool debug_frame_row(struct module *module, uint64_t address, const void **ret_bytes,
		     size_t *ret_size, size_t *ret_fde_at, uint64_t *ret_start,
		     uint64_t *ret_end);

void debug_frame_free(struct debug_frame *frame);
