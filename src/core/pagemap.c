/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/pagemap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/clock.h"

/* ---- runs ---- */

/* Halves the number of runs, roughly, by closing the gaps up to a growing size. */
static void close_gaps(struct pagemap *map)
{
	uint64_t gap = 4096;
	size_t before = map->runs;

	while (map->runs > before / 2) {
		size_t n = 0;

		for (size_t i = 1; i < map->runs; i++) {
			if (map->run[i].start - map->run[n].end <= gap)
				map->run[n].end = map->run[i].end;
			else
				map->run[++n] = map->run[i];
		}
		map->runs = n + 1;
		gap *= 2;
	}
}

static int make_room(struct pagemap *map)
{
	struct pagemap_run *larger;
	size_t room = map->room ? map->room * 2 : 256;

	if (map->runs < map->room)
		return 0;
	if (map->runs >= PAGEMAP_RUNS_MAX) {
		close_gaps(map);
		return 0;
	}
	larger = reallocarray(map->run, room, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	map->run = larger;
	map->room = room;
	return 0;
}

int pagemap_add(struct pagemap *map, uint64_t start, uint64_t end)
{
	int r;

	if (map->runs > 0 && map->run[map->runs - 1].end == start) {
		map->run[map->runs - 1].end = end;
		return 0;
	}
	r = make_room(map);
	if (r == 0)
		map->run[map->runs++] = (struct pagemap_run){ start, end };
	return r;
}

void pagemap_done(struct pagemap *map)
{
	free(map->run);
	*map = (struct pagemap)PAGEMAP_NULL;
}

size_t pagemap_find(const struct pagemap *map, uint64_t address)
{
	size_t low = 0, high = map->runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->run[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int pagemap_common(const struct pagemap *a, const struct pagemap *b, struct pagemap *ret_map)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && i < a->runs && j < b->runs) {
		const struct pagemap_run *x = &a->run[i], *y = &b->run[j];
		uint64_t start = x->start > y->start ? x->start : y->start;
		uint64_t end = x->end < y->end ? x->end : y->end;

		if (start < end)
			r = pagemap_add(ret_map, start, end);
		if (x->end == end)
			i++;
		if (y->end == end)
			j++;
	}
	return r;
}

/* ---- PAGEMAP_SCAN; Debian 12's headers are older than it ---- */

struct scan_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)
#define SCAN_ZERO_PAGE                                                                   \
	(1u << 5) /* the shared page of zeros: it was read, never written */
#define SCAN_REGIONS 1024u

int pagemap_scan(struct pagemap *map, int fd, uint64_t start, uint64_t end)
{
	_cleanup_free_ struct scan_region *region = calloc(SCAN_REGIONS, sizeof(*region));

	if (!region)
		return -ENOMEM;
	while (start < end) {
		struct scan_arg arg = {
			.size = sizeof(arg),
			.start = start,
			.end = end,
			.vec = (uint64_t)(uintptr_t)region,
			.vec_len = SCAN_REGIONS,
			.category_inverted = SCAN_ZERO_PAGE,
			.category_mask = SCAN_ZERO_PAGE,
			.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
			.return_mask = SCAN_ZERO_PAGE,
		};
		int n = ioctl(fd, SCAN, &arg);
		int r = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n && r == 0; i++)
			r = pagemap_add(map, region[i].start, region[i].end);
		if (r < 0)
			return r;
		if (arg.walk_end <= start)
			return -EIO;
		start = arg.walk_end;
	}
	return 0;
}

/* ---- reading ---- */

#define ENTRY_EXISTS (3ULL << 62) /* present, swapped */
#define ENTRY_NOT_OURS (1ULL << 61) /* of a file, or shared */
#define WALK_ENTRIES 65536u
#define FEW_ENTRIES 64u

static int add_entries(struct pagemap *map, const uint64_t *entry, size_t n,
		       uint64_t start, uint64_t page)
{
	for (size_t i = 0; i < n; i++) {
		size_t from = i;
		int r;

		while (i < n && entry[i] & ENTRY_EXISTS)
			i++;
		if (i == from)
			continue;
		r = pagemap_add(map, start + from * page, start + i * page);
		if (r < 0)
			return r;
	}
	return 0;
}

int pagemap_walk(struct pagemap *map, int fd, uint64_t start, uint64_t end,
		 int64_t until_ms)
{
	_cleanup_free_ uint64_t *entry = calloc(WALK_ENTRIES, sizeof(*entry));
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!entry)
		return -ENOMEM;
	while (start < end) {
		uint64_t pages = (end - start) / page;
		ssize_t n;
		int r;

		if (clock_monotonic_ms() >= until_ms)
			return -ETIME;
		if (pages > WALK_ENTRIES)
			pages = WALK_ENTRIES;
		n = pread(fd, entry, pages * sizeof(*entry),
			  (off_t)(start / page * sizeof(*entry)));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < (ssize_t)sizeof(*entry))
			return n < 0 ? -errno : -ESRCH;
		pages = (uint64_t)n / sizeof(*entry);
		r = add_entries(map, entry, pages, start, page);
		if (r < 0)
			return r;
		start += pages * page;
	}
	return 0;
}

ssize_t pagemap_private_bytes(int fd, uint64_t address, size_t n)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = 0;
	uint64_t first = address / page, last = (address + n - 1) / page;
	uint64_t entry[FEW_ENTRIES];
	ssize_t got;

	if (fd < 0 || n == 0 || address > INT64_MAX - n || last - first >= FEW_ENTRIES)
		return 0;
	got = pread(fd, entry, (last - first + 1) * sizeof(*entry),
		    (off_t)(first * sizeof(*entry)));
	for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(*entry); i++) {
		if (!(entry[i] & ENTRY_EXISTS) || entry[i] & ENTRY_NOT_OURS)
			break;
		end = (first + i + 1) * page;
	}
	if (end <= address)
		return 0;
	return (ssize_t)(end - address < n ? end - address : n);
}
