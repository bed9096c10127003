/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a debugger reads of a process to find its modules: program headers, .dynamic,
 * r_debug, the list of link_map and their names; and what identifies them: ELF headers and
 * build-id notes. All of it lies in memory that a hostile process has written: every count
 * is bounded, every address only ever a range to capture.
 */

#include "core/elfcore.h"
#include "core/memory.h"
#include "core/spans.h"

#define MODULES_MAX 4096u

struct modules {
	uint64_t tls_bytes; /* sum of what the modules want for each thread */
};

/* Adds the ranges. 0, -ENOMEM, -ESRCH (the process is gone). */
int modules_collect(const struct elfcore *core, const struct memory *memory,
		    struct spans *spans, struct modules *ret_modules);
