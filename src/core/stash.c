/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/stash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/layout.h"
#include "core/threads.h"
#include "io/cleanup.h"

#define PAGE_BYTES 4096u
#define COPY_BYTES (256u << 10)

bool stash_possible(const struct elfcore *core)
{
	uint64_t behind = 0;

	if (!threads_possible(core) || !layout_possible(core))
		return false;
	for (size_t i = 0; i < core->segments; i++) {
		if (core->segment[i].file_bytes == 0)
			continue;
		if (core->segment[i].offset < behind)
			return false;
		behind = core->segment[i].offset + core->segment[i].file_bytes;
	}
	return true;
}

void stash_done(struct stash *stash)
{
	pagemap_done(&stash->present);
	pagemap_done(&stash->wanted);
	close_fd(&stash->fd);
	*stash = (struct stash)STASH_NULL;
}

struct memory stash_as_memory(const struct stash *stash)
{
	return (struct memory){ .fd = stash->fd, .present = &stash->present };
}

/* As large as a file can be: behind what was written there are zeros, not an end. */
static int open_file(struct stash *stash, const struct elfcore *core)
{
	stash->core = core;
	stash->fd = memfd_create("corefold-stash", MFD_CLOEXEC);
	if (stash->fd < 0 || ftruncate(stash->fd, INT64_MAX) < 0)
		return -errno;
	return 0;
}

static bool all_zero(const unsigned char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/*
 * What cannot be stored is not there, no more. With too many runs pagemap_add() would
 * close gaps, and what was in them would read as zeros.
 */
static void put(struct stash *stash, uint64_t address, const unsigned char *p, size_t n)
{
	if (address > INT64_MAX - n || stash->present.runs >= PAGEMAP_RUNS_MAX - 1)
		return;
	if (!all_zero(p, n) && pwrite(stash->fd, p, n, (off_t)address) != (ssize_t)n)
		return;
	(void)pagemap_add(&stash->present, address, address + n);
}

/* ---- a core that goes by ---- */

static int add_pages(struct pagemap *map, uint64_t start, uint64_t end)
{
	start -= start % PAGE_BYTES;
	end += (PAGE_BYTES - end % PAGE_BYTES) % PAGE_BYTES;
	if (map->runs > 0 && start < map->run[map->runs - 1].end)
		start = map->run[map->runs - 1].end;
	return start < end ? pagemap_add(map, start, end) : 0;
}

/* What is wanted whatever memory holds: nothing of it can be read yet. */
static int find_wanted(struct stash *stash, uint64_t stack_bytes)
{
	const struct pagemap nothing = PAGEMAP_NULL;
	const struct memory unknown = { .fd = -1, .present = &nothing };
	struct pagemap ranges = PAGEMAP_NULL;
	int r;

	r = threads_ranges(stash->core, &unknown, stack_bytes, &ranges);
	for (size_t i = 0; r == 0 && i < ranges.runs; i++)
		r = add_pages(&stash->wanted, ranges.run[i].start, ranges.run[i].end);
	pagemap_done(&ranges);
	return r;
}

int stash_begin(struct stash *stash, const struct elfcore *core, uint64_t stack_bytes,
		uint64_t spare_bytes)
{
	int r;

	r = open_file(stash, core);
	if (r == 0)
		r = find_wanted(stash, stack_bytes);
	stash->spare_bytes = spare_bytes;
	stash->segment = SIZE_MAX;
	return r;
}

static bool is_wanted(const struct stash *stash, uint64_t address)
{
	size_t i = pagemap_find(&stash->wanted, address);

	return i < stash->wanted.runs && stash->wanted.run[i].start <= address;
}

/* Not wanted for certain, but it may be pointed to. */
static bool is_spared(struct stash *stash, const unsigned char *p, size_t n)
{
	if (stash->segment_bytes < n)
		return false;
	if (!all_zero(p, n)) {
		stash->segment_bytes -= n;
		stash->spare_bytes -= n;
	}
	return true;
}

static void put_part(struct stash *stash, uint64_t address, const unsigned char *p, size_t n)
{
	while (n > 0) {
		size_t piece = PAGE_BYTES - address % PAGE_BYTES;

		if (piece > n)
			piece = n;
		if (is_wanted(stash, address) || is_spared(stash, p, piece))
			put(stash, address, p, piece);
		address += piece;
		p += piece;
		n -= piece;
	}
}

/* The segment that ends behind the offset, and what there is to spare for a new one. */
static const struct elfcore_segment *segment_at(struct stash *stash, uint64_t offset)
{
	const struct elfcore *core = stash->core;
	size_t i = stash->segment == SIZE_MAX ? 0 : stash->segment;

	while (i < core->segments &&
	       (core->segment[i].type != PT_LOAD || core->segment[i].file_bytes == 0 ||
		core->segment[i].offset + core->segment[i].file_bytes <= offset))
		i++;
	if (i == core->segments)
		return NULL;
	if (i != stash->segment)
		stash->segment_bytes = core->segment[i].flags & PF_W ? stash->spare_bytes / 4 : 0;
	stash->segment = i;
	return &core->segment[i];
}

void stash_put(struct stash *stash, uint64_t offset, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	while (n > 0) {
		const struct elfcore_segment *s = segment_at(stash, offset);
		uint64_t part;

		if (!s)
			return;
		part = offset < s->offset ? s->offset - offset :
					    s->offset + s->file_bytes - offset;
		if (part > n)
			part = n;
		if (offset >= s->offset)
			put_part(stash, s->vaddr + (offset - s->offset), p, part);
		offset += part;
		p += part;
		n -= part;
	}
}

/* ---- a process that is held ---- */

static int copy_run(struct stash *stash, const struct memory *memory, uint64_t start,
		    uint64_t end, unsigned char *buffer)
{
	while (start < end) {
		size_t n = end - start < COPY_BYTES ? end - start : COPY_BYTES;
		_Atomic uint64_t unreadable_bytes = 0;
		int r;

		r = memory_read(memory, start, buffer, n, &unreadable_bytes);
		if (r < 0)
			return r;
		put(stash, start, buffer, n);
		start += n;
	}
	return 0;
}

int stash_memory(struct stash *stash, const struct elfcore *core,
		 const struct memory *memory, uint64_t stack_bytes)
{
	_cleanup_free_ unsigned char *buffer = malloc(COPY_BYTES);
	struct pagemap ranges = PAGEMAP_NULL;
	int r;

	if (!buffer)
		return -ENOMEM;
	r = open_file(stash, core);
	if (r == 0)
		r = threads_ranges(core, memory, stack_bytes, &ranges);
	for (size_t i = 0; r == 0 && i < ranges.runs; i++)
		r = copy_run(stash, memory, ranges.run[i].start, ranges.run[i].end, buffer);
	pagemap_done(&ranges);
	return r;
}
