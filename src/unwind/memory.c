/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/clock.h"

#define PAGE 4096u
#define PAGES 1024u /* direct-mapped; touched only as far as used */
#define FILES 1024u
/* Read past the cache when as much as this is asked for at once. */
#define BULK (4 * PAGE)
/* No honest unwinding misses the cache this often. */
#define MISSES_MAX (1u << 20)

struct page {
	uint64_t address; /* of the page, plus 1: 0 is an empty entry */
	bool present;
};

struct file_range {
	int fd;
	uint64_t start;
	uint64_t end;
	uint64_t offset;
};

struct memory {
	int fd; /* -1: core */
	struct corefile *core;
	struct file_range file[FILES];
	size_t files;
	unsigned int misses;
	int64_t deadline_ms; /* 0: none */
	bool time_over;
	struct page page[PAGES];
	unsigned char bytes[PAGES][PAGE];
};

static int new_memory(int fd, struct corefile *core, struct memory **ret_memory)
{
	/* calloc of this size is mmap: pages never touched cost nothing */
	struct memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	memory->fd = fd;
	memory->core = core;
	*ret_memory = memory;
	return 0;
}

int memory_new_live(int fd, struct memory **ret_memory)
{
	return new_memory(fd, NULL, ret_memory);
}

int memory_new_core(struct corefile *core, struct memory **ret_memory)
{
	return new_memory(-1, core, ret_memory);
}

void memory_free(struct memory *memory)
{
	free(memory);
}

int memory_add_file(struct memory *memory, int fd, uint64_t start, uint64_t end,
		    uint64_t offset)
{
	if (memory->files == FILES)
		return -ENOSPC;
	memory->file[memory->files++] = (struct file_range){ fd, start, end, offset };
	memset(memory->page, 0, sizeof(memory->page)); /* absent pages may be there now */
	return 0;
}

void memory_set_deadline(struct memory *memory, int64_t deadline_ms)
{
	memory->deadline_ms = deadline_ms;
}

bool memory_time_over(const struct memory *memory)
{
	return memory->time_over ||
	       (memory->deadline_ms != 0 && clock_monotonic_ms() >= memory->deadline_ms);
}

/* pread's offset is signed: the upper half of the address space is nobody's. */
static bool read_fd(int fd, void *bytes, size_t n, uint64_t offset)
{
	if (offset > INT64_MAX - n)
		return false;
	return pread(fd, bytes, n, (off_t)offset) == (ssize_t)n;
}

static bool read_files(const struct memory *memory, uint64_t address, void *bytes,
		       size_t n)
{
	for (size_t i = 0; i < memory->files; i++) {
		const struct file_range *f = &memory->file[i];

		if (address >= f->start && address < f->end && n <= f->end - address)
			return read_fd(f->fd, bytes, n, f->offset + (address - f->start));
	}
	return false;
}

static bool read_source(struct memory *memory, uint64_t address, void *bytes, size_t n)
{
	if (memory->time_over || ++memory->misses > MISSES_MAX)
		return false;
	if (memory->misses % 64 == 0 && memory_time_over(memory)) {
		memory->time_over = true;
		return false;
	}
	if (address + n < address)
		return false;
	if (memory->core && corefile_memory(memory->core, address, bytes, n) == 0)
		return true;
	if (!memory->core && read_fd(memory->fd, bytes, n, address))
		return true;
	return read_files(memory, address, bytes, n);
}

/* The page's bytes, or NULL. */
static const unsigned char *get_page(struct memory *memory, uint64_t address)
{
	size_t slot = (address / PAGE) % PAGES;
	struct page *page = &memory->page[slot];

	if (page->address != address + 1) {
		page->address = address + 1;
		page->present = read_source(memory, address, memory->bytes[slot], PAGE);
	}
	return page->present ? memory->bytes[slot] : NULL;
}

/* Segments of odd sizes, which the kernel never writes, and the end of a mapped file. */
static int read_odd(struct memory *memory, uint64_t address, void *bytes, size_t n)
{
	return read_source(memory, address, bytes, n) ? 0 : MEMORY_E_ABSENT;
}

int memory_read(struct memory *memory, uint64_t address, void *bytes, size_t n)
{
	unsigned char *out = bytes;

	if (n > UINT64_MAX - address)
		return MEMORY_E_ABSENT;
	if (n >= BULK && read_source(memory, address, bytes, n))
		return 0;
	while (n > 0) {
		size_t skip = address % PAGE;
		size_t part = PAGE - skip < n ? PAGE - skip : n;
		const unsigned char *page = get_page(memory, address - skip);

		if (page)
			memcpy(out, page + skip, part);
		else if (read_odd(memory, address, out, part) != 0)
			return MEMORY_E_ABSENT;
		out += part;
		address += part;
		n -= part;
	}
	return 0;
}

size_t memory_read_some(struct memory *memory, uint64_t address, void *bytes, size_t n)
{
	size_t done = 0;

	if (n >= BULK && memory_read(memory, address, bytes, n) == 0)
		return n;
	while (done < n) {
		size_t part = PAGE - (address + done) % PAGE;

		if (part > n - done)
			part = n - done;
		if (memory_read(memory, address + done, (char *)bytes + done, part) != 0)
			break;
		done += part;
	}
	return done;
}

bool memory_read_string(struct memory *memory, uint64_t address, char *text, size_t size)
{
	size_t n = memory_read_some(memory, address, text, size);

	return n > 0 && memchr(text, '\0', n);
}
