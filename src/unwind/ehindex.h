/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * .eh_frame without the search table that .eh_frame_hdr would be: what `gcc -static`
 * leaves. Nothing loaded says where it is, so the image is searched for its first entry;
 * its form, and that of the entry behind it, hardly occur by chance.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "unwind/memory.h"
#include "unwind/module.h"

struct eh_index;

/* The row that covers the address: where its FDE lies and which code it is for. */
bool eh_index_find(struct module *module, struct memory *memory, uint64_t address,
		   uint64_t *ret_fde, uint64_t *ret_start, uint64_t *ret_end);

void eh_index_free(struct eh_index *index);
