/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The C++ exception that nobody caught, if that is what a thread died of. */

#include <stdbool.h>

#include "unwind/walk.h"

#define EXCEPTION_TYPE 256
#define EXCEPTION_MESSAGE 1024

struct exception {
	char type[EXCEPTION_TYPE]; /* readable, escaped */
	char message
		[EXCEPTION_MESSAGE]; /* of the standard library's own types; may be empty */
};

/* False when there is no sign of one. Looks at a few pages of the thread's stack. */
bool exception_find(const struct walk_process *process, const struct walk *walk,
		    struct exception *ret_exception);
