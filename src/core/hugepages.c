/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/hugepages.h"

#include <stdlib.h>
#include <sys/mman.h>

void *hugepages_alloc(size_t n)
{
	void *p;

	if (n < HUGEPAGES_BYTES)
		return malloc(n);
	if (posix_memalign(&p, HUGEPAGES_BYTES, n) != 0)
		return NULL;
	(void)madvise(p, n / HUGEPAGES_BYTES * HUGEPAGES_BYTES, MADV_HUGEPAGE);
	return p;
}
