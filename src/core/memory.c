/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/memory.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES 4096u /* the smallest there is: larger ones fail in more steps */

/*
 * pread() refuses offsets that are negative as a loff_t, which the kernel's own half of the
 * address space is (the vsyscall page lies there); read() after lseek() does not. The
 * position belongs to all threads, so one at a time.
 */
static ssize_t read_high(int fd, void *bytes, size_t n, uint64_t address)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	ssize_t got;

	(void)pthread_mutex_lock(&lock);
	errno = 0;
	if (lseek(fd, (off_t)address, SEEK_SET) == -1 && errno != 0)
		got = -1;
	else
		got = read(fd, bytes, n);
	(void)pthread_mutex_unlock(&lock);
	return got;
}

/* How many of the n bytes are there, from the first on. */
static size_t count_present(const struct pagemap *present, uint64_t address, size_t n)
{
	size_t i = pagemap_find(present, address);

	if (i == present->runs || present->run[i].start > address)
		return 0;
	return present->run[i].end - address < n ? present->run[i].end - address : n;
}

static ssize_t read_some(const struct memory *memory, void *bytes, size_t n, uint64_t address)
{
	int fd = memory->fd;
	ssize_t got;

	if (memory->present)
		n = count_present(memory->present, address, n);
	if (n == 0)
		return -EFAULT;
	do {
		got = address > INT64_MAX ? read_high(fd, bytes, n, address)
					  : pread(fd, bytes, n, (off_t)address);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int memory_read(const struct memory *memory, uint64_t address, void *bytes, size_t n,
		_Atomic uint64_t *unreadable_bytes)
{
	char *p = bytes;

	while (n > 0) {
		ssize_t got = read_some(memory, p, n, address);

		if (got == 0)
			return -ESRCH; /* no address space any more */
		if (got < 0) {
			got = PAGE_BYTES - (ssize_t)(address % PAGE_BYTES);
			if ((size_t)got > n)
				got = (ssize_t)n;
			memset(p, 0, (size_t)got);
			*unreadable_bytes += (uint64_t)got;
		}
		p += got;
		n -= (size_t)got;
		address += (uint64_t)got;
	}
	return 0;
}

int memory_peek(const struct memory *memory, uint64_t address, void *bytes, size_t n)
{
	_Atomic uint64_t unreadable_bytes = 0;
	int r;

	r = memory_read(memory, address, bytes, n, &unreadable_bytes);
	return r == 0 && unreadable_bytes > 0 ? -EFAULT : r;
}
