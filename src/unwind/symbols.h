/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which function an address is in. The image's own .dynsym comes first: it is in memory and
 * says which names are exported. Then .symtab of the module's file, when the caller gave
 * one, or the small one in .gnu_debugdata.
 *
 * An address beyond a symbol's size is in no function that we know: a wrong name is worse
 * than none.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/memory.h"
#include "unwind/module.h"

#define SYMBOLS_NAME_MAX 1024

struct symbol {
	char name[SYMBOLS_NAME_MAX]; /* as in the file: mangled, hostile */
	uint64_t offset; /* of the address in the function */
	bool exported; /* found in .dynsym */
};

/* False when no function is known there. */
bool symbols_find(struct module *module, const struct elfcore *core,
		  struct memory *memory, uint64_t address, struct symbol *ret_symbol);

/* Address and size of an exported object by name (__abort_msg). */
bool symbols_find_object(struct module *module, const struct elfcore *core,
			 struct memory *memory, const char *name, uint64_t *ret_address,
			 uint64_t *ret_bytes);

void symbols_free(struct symbols *symbols);
