/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The map of existing pages, by both ways, of this very process. */

#include "core/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/spans.h"
#include "core/survey.h"
#include "unit.h"

#define PAGES 4096

static const struct {
	const char *claim;
	size_t step; /* every so many pages exist */
	size_t length; /* so many at a time */
} rows[] = {
	{ "none", 0, 0 },		{ "the first only", PAGES, 1 },
	{ "every second", 2, 1 },	{ "three of ten", 10, 3 },
	{ "all", 1, 1 },		{ "more runs than one scan returns", 3, 1 },
};

enum { SCAN, WALK, WAYS };

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static char *map_pages(size_t step, size_t length)
{
	size_t page = page_bytes();
	char *p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	ck_assert(p != MAP_FAILED);
	(void)madvise(p, PAGES * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; step > 0 && i < PAGES; i += step)
		for (size_t j = 0; j < length && i + j < PAGES; j++)
			p[(i + j) * page] = 1;
	return p;
}

static int look(int way, struct pagemap *map, int fd, uint64_t start, uint64_t end)
{
	return way == SCAN ? pagemap_scan(map, fd, start, end) :
			     pagemap_walk(map, fd, start, end, INT64_MAX);
}

static bool listed(const struct pagemap *map, uint64_t address)
{
	size_t i = pagemap_find(map, address);

	return i < map->runs && map->run[i].start <= address;
}

START_TEST(existing)
{
	const size_t step = rows[_i / WAYS].step, length = rows[_i / WAYS].length;
	size_t page = page_bytes();
	char *p = map_pages(step, length);
	struct pagemap map = PAGEMAP_NULL;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int r = look(_i % WAYS, &map, fd, (uint64_t)(uintptr_t)p,
		     (uint64_t)(uintptr_t)p + PAGES * page);

	if (r == -ENOTTY || r == -ENOSYS)
		return; /* the kernel (or who plays it) is older than PAGEMAP_SCAN */
	ck_assert_int_eq(r, 0);
	for (size_t i = 0; i < PAGES; i++)
		ck_assert_msg(listed(&map, (uint64_t)(uintptr_t)p + i * page) ==
				      (step > 0 && i % step < length),
			      "%s: page %zu", rows[_i / WAYS].claim, i);
	pagemap_done(&map);
	(void)close(fd);
	(void)munmap(p, PAGES * page);
}
END_TEST

START_TEST(no_time)
{
	struct pagemap map = PAGEMAP_NULL;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(pagemap_walk(&map, fd, 0, 1 << 30, 0), -ETIME);
	(void)close(fd);
}
END_TEST

START_TEST(bounded)
{
	struct pagemap map = PAGEMAP_NULL;

	for (uint64_t i = 0; i < PAGEMAP_RUNS_MAX + 10; i++)
		ck_assert_int_eq(pagemap_add(&map, i * 8192, i * 8192 + 4096), 0);
	ck_assert_uint_le(map.runs, PAGEMAP_RUNS_MAX);
	for (uint64_t i = 0; i < PAGEMAP_RUNS_MAX + 10; i += 1000)
		ck_assert(listed(&map, i * 8192));
	pagemap_done(&map);
}
END_TEST

/* One page that is not there, in the middle: it alone is zeros. */
START_TEST(unreadable)
{
	size_t page = page_bytes();
	char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	const struct memory memory = { .fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC) };
	char copy[4 * 65536];
	_Atomic uint64_t unreadable_bytes = 0;

	memset(p, 7, 4 * page);
	memset(copy, 9, sizeof(copy));
	ck_assert_int_eq(munmap(p + 2 * page, page), 0);
	ck_assert_int_eq(memory_read(&memory, (uint64_t)(uintptr_t)p + 5, copy, 4 * page - 5,
				     &unreadable_bytes),
			 0);
	ck_assert_uint_eq(unreadable_bytes, page);
	for (size_t i = 0; i < 4 * page - 5; i++)
		ck_assert_int_eq(copy[i], i + 5 >= 2 * page && i + 5 < 3 * page ? 0 : 7);
	ck_assert_int_eq(memory_peek(&memory, (uint64_t)(uintptr_t)p + 2 * page, copy, 1),
			 -EFAULT);
	(void)close(memory.fd);
}
END_TEST

START_TEST(merged)
{
	struct spans spans = SPANS_NULL;
	struct pagemap map;

	ck_assert_int_eq(spans_add(&spans, 500, 10), 0);
	ck_assert_int_eq(spans_add(&spans, 100, 50), 0);
	ck_assert_int_eq(spans_add(&spans, 120, 100), 0);
	ck_assert_int_eq(spans_add(&spans, 230, 10), 0);
	ck_assert_int_eq(spans_add(&spans, UINT64_MAX - 5, 10), 0); /* ends behind the end */
	ck_assert_int_eq(spans_add(&spans, 9, SPANS_BYTES_MAX), 0); /* too much */
	ck_assert_int_eq(spans_merge(&spans, 64, &map), 0);
	ck_assert_uint_eq(map.runs, 2);
	ck_assert_uint_eq(map.run[0].start, 100);
	ck_assert_uint_eq(map.run[0].end, 240);
	ck_assert_uint_eq(map.run[1].start, 500);
	pagemap_done(&map);
	spans_done(&spans);
}
END_TEST

START_TEST(maps)
{
	static const char text[] =
		"00400000-00401000 r--p 00000000 fe:00 1234   /bin/x\n"
		"00500000-00501000 rw-p 00000000 00:00 0 \n"
		"00600000-00601000 rw-s 00000000 00:01 77     /dev/zero (deleted)\n"
		"no line at all\n"
		"00700000-00701000 r--p 00001000 fe:00 9      /tmp/a\\012b 1-2 r\n"
		"7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0 [vdso]";
	struct pagemap whole = PAGEMAP_NULL;

	ck_assert_int_eq(survey_parse_maps(&whole, text), 0);
	ck_assert_uint_eq(whole.runs, 3);
	ck_assert_uint_eq(whole.run[0].start, 0x400000);
	ck_assert_uint_eq(whole.run[1].start, 0x600000);
	ck_assert_uint_eq(whole.run[2].end, 0x701000);
	pagemap_done(&whole);
}
END_TEST

int main(void)
{
	/* An emulator's process has its pages at other addresses than it is told. */
	if (getenv("COREFOLD_TEST_EMULATED") && *getenv("COREFOLD_TEST_EMULATED")) {
		(void)puts("skipped: runs under an emulator");
		return 77;
	}
	Suite *suite = suite_create("pagemap");
	TCase *c = unit_case(suite, "pagemap");

	tcase_add_loop_test(c, existing, 0, ROWS(rows) * WAYS);
	tcase_add_test(c, no_time);
	tcase_add_test(c, bounded);
	tcase_add_test(c, unreadable);
	tcase_add_test(c, merged);
	tcase_add_test(c, maps);
	return unit_main(suite);
}
