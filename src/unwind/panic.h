/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Where a panic of Rust that ended the process says that it began. Its text is put
 * together while it is printed and is nowhere afterwards; the place is in the program.
 */

#include <stdbool.h>

#include "unwind/walk.h"

#define PANIC_PLACE 768

/* "src/main.rs:12:21", escaped. False when there is no panic, or no name to know it by. */
bool panic_find(const struct walk_process *process, const struct walk *walk,
		char place[static PANIC_PLACE]);
