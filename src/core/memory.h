/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The memory of the held process, through its already open /proc/PID/mem. Large reads by
 * several threads are the fastest way that is left when the privileges are gone:
 * process_vm_readv() asks for the right at every call. Or what was put aside of it (stash.h).
 */

#include <stddef.h>
#include <stdint.h>

#include "core/pagemap.h"

struct memory {
	int fd; /* borrowed */
	const struct pagemap *present; /* borrowed: what can be read of it; NULL: ask it */
};

/*
 * Reads n bytes at the address. A page that cannot be read is zeros, as in the kernel's
 * own dump, and adds to *unreadable_bytes: it costs itself, not what is around it.
 * 0, or -ESRCH: the process is gone. Any thread may call.
 */
int memory_read(const struct memory *memory, uint64_t address, void *bytes, size_t n,
		_Atomic uint64_t *unreadable_bytes);

/* All or nothing: 0, -EFAULT, -ESRCH. */
int memory_peek(const struct memory *memory, uint64_t address, void *bytes, size_t n);
