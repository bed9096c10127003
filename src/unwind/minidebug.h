/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* .gnu_debugdata: a stripped file's own small symbol table, compressed with xz. */

#include <libelf.h>

/* The ELF image inside, NULL when there is none. *ret_bytes holds it; free it after elf_end(). */
Elf *minidebug_open(Elf *elf, char **ret_bytes);
