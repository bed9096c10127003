/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * NT_FILE of a core that holds less than the kernel would have written. What a core leaves out
 * gdb takes from the file that NT_FILE names: right for code, and for variables what they were
 * before the program ran, without a word. So a mapping that was written to is listed as far as
 * its memory is in the core without a gap, and gdb says of the rest that it cannot access it.
 */

#include "core/elfcore.h"
#include "core/image.h"
#include "core/pagemap.h"

/* `image` is of that core and holds of its memory what was captured. 0 or -ENOMEM. */
int filenote_shorten(const struct elfcore *core, const struct pagemap *captured,
		     struct image *image);
