/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <gelf.h>
#include <stdint.h>

/*
 * The first section of that name with content of at most so many bytes in the file. NULL if
 * there is none. It belongs to elf.
 */
Elf_Scn *section_find(Elf *elf, const char *name, uint64_t bytes_max);
