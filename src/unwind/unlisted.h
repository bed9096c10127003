/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Images and their files where the core does not list what is mapped: the kernel leaves
 * NT_FILE out when it would be larger than 4 MiB.
 */

#include "unwind/memory.h"
#include "unwind/module.h"
#include "unwind/space.h"

/*
 * Where the image begins whose code is the segment of that number: there, or in one of the
 * few before it that touch. NULL: it has none.
 */
const struct elfcore_segment *unlisted_image(const struct space *space, size_t code,
					     struct memory *memory);

/* What of the module was never written is in its file, as that says where it is loaded. */
void unlisted_back(const struct module *m, struct memory *memory);
