/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * C++ and Rust names as people wrote them. libiberty does it: binutils' and gdb's own code,
 * static, bounded in depth, and it knows both Rust schemes; __cxa_demangle would bring
 * libstdc++ and no Rust.
 */

#include <stddef.h>

/*
 * The readable form, cut to size, or the name itself. Escaped: printable UTF-8. A Rust
 * name loses its hash, which changes with every build.
 */
void demangle(const char *name, char *text, size_t size);

/* The same for the name of a type, as in type_info: "St12out_of_range". */
void demangle_type(const char *name, char *text, size_t size);
