/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What bugs pass through and are not in. */

#include <stdbool.h>

/*
 * By the name of its file: libc, the loader, an allocator, a sanitizer? NULL is none. Why
 * by module: a stripped libc exports none of the functions between abort() and a bug.
 */
bool runtime_module(const char *module);

/*
 * May the executable hold a runtime that is in no module of its own? So it is where no C
 * library is mapped, and where what unwinds is, but not the C++ library that brings it.
 */
struct runtime_seen {
	bool libc, cxx, unwinder;
};

void runtime_see(struct runtime_seen *seen, const char *module);
bool runtime_within(const struct runtime_seen *seen);

/*
 * Rust and Go link their runtime into the program, where no module tells it apart: all
 * panics of a program would share five frames. There the names have to do. NULL is none.
 */
bool runtime_name(const char *symbol);
