/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the kernel says of a crash, one field for each specifier of core_pattern. */

#include <stdbool.h>
#include <stdint.h>

struct request {
	int64_t pid; /* %P, of the process, in the initial pid namespace */
	int64_t tid; /* %I, of the thread that crashed */
	uint32_t uid; /* %u, real, in the initial user namespace */
	uint32_t gid; /* %g */
	int signal; /* %s */
	int64_t time_ns; /* %t, wall clock; 0: not given */
	uint64_t rlimit_core; /* %c */
	int dumpable; /* %d */
	int pidfd; /* %F; -1: the kernel has none */
};

#define REQUEST_NULL { .pidfd = -1, .rlimit_core = UINT64_MAX }
