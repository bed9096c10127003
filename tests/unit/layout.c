/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which memory goes where in a stored core. Addresses and sizes below are in pages. */

#include "core/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define PAGE 4096ULL

struct segment_row {
	uint64_t start, file, memory;
	uint32_t flags;
};

struct run_row {
	uint64_t start, end;
};

static const struct layout_row {
	const char *claim;
	struct segment_row segment[4];
	struct run_row exists[5];
	struct run_row whole[3];
	const char *loads; /* start+file/memory, z: true zeros behind */
	const char *captured; /* start-end */
} rows[] = {
	{ "a segment that exists is the kernel's",
	  { { 16, 8, 8, PF_R | PF_W } }, { { 16, 24 } }, { { 0 } }, "16+8/8", "16-24" },
	{ "small holes stay, also at both ends",
	  { { 16, 100, 100, PF_R | PF_W } }, { { 20, 21 }, { 90, 91 } }, { { 0 } },
	  "16+100/100", "20-21 90-91" },
	{ "a large hole behind is a tail of zeros",
	  { { 16, 1000, 1000, PF_R | PF_W } }, { { 16, 20 } }, { { 0 } }, "16+4/1000z",
	  "16-20" },
	{ "a large hole before is a segment of zeros",
	  { { 16, 1000, 1000, PF_R | PF_W } }, { { 1000, 1016 } }, { { 0 } },
	  "16+0/984z 1000+16/16", "1000-1016" },
	{ "a large hole between cuts in two",
	  { { 16, 1000, 1000, PF_R | PF_W } }, { { 16, 20 }, { 700, 1016 } }, { { 0 } },
	  "16+4/684z 700+316/316", "16-20 700-1016" },
	{ "never touched at all",
	  { { 16, 1000, 1000, PF_R | PF_W } }, { { 0 } }, { { 0 } }, "16+0/1000z", "" },
	{ "what lies between segments is nobody's",
	  { { 16, 4, 4, PF_R | PF_W }, { 40, 4, 4, PF_R } }, { { 10, 50 } }, { { 0 } },
	  "16+4/4 40+4/4", "16-20 40-44" },
	{ "segments that touch share a run",
	  { { 16, 4, 4, PF_R | PF_W }, { 20, 4, 4, PF_R } }, { { 16, 24 } }, { { 0 } },
	  "16+4/4 20+4/4", "16-24" },
	{ "a file's pages are taken whole",
	  { { 16, 1000, 1000, PF_R | PF_W } }, { { 16, 17 } }, { { 16, 1016 } },
	  "16+1000/1000", "16-1016" },
	{ "what the kernel leaves out stays out, and is not zeros",
	  { { 16, 0, 1000, PF_R | PF_X } }, { { 16, 1016 } }, { { 0 } }, "16+0/1000", "" },
	{ "the beginning of a file, as the kernel has it",
	  { { 16, 1, 1000, PF_R } }, { { 0 } }, { { 16, 1016 } }, "16+1/1000", "16-17" },
};

static struct elfcore core_of(const struct segment_row *segment, struct elfcore_segment *out)
{
	struct elfcore core = { .segment = out, .segments = 1 };

	out[0] = (struct elfcore_segment){ .type = PT_NOTE };
	for (size_t i = 0; i < 4 && segment[i].memory > 0; i++)
		out[core.segments++] = (struct elfcore_segment){
			.type = PT_LOAD,
			.flags = segment[i].flags,
			.vaddr = segment[i].start * PAGE,
			.file_bytes = segment[i].file * PAGE,
			.memory_bytes = segment[i].memory * PAGE,
			.align = PAGE,
		};
	return core;
}

static struct pagemap map_of(const struct run_row *row, size_t n)
{
	struct pagemap map = PAGEMAP_NULL;

	for (size_t i = 0; i < n && row[i].end > 0; i++)
		ck_assert_int_eq(pagemap_add(&map, row[i].start * PAGE, row[i].end * PAGE), 0);
	return map;
}

static void describe(const struct layout *layout, char *loads, char *captured, size_t size)
{
	loads[0] = captured[0] = '\0';
	for (size_t i = 0; i < layout->loads; i++) {
		const struct layout_load *l = &layout->load[i];
		size_t n = strlen(loads);

		(void)snprintf(loads + n, size - n, "%s%llu+%llu/%llu%s", n ? " " : "",
			       (unsigned long long)(l->address / PAGE),
			       (unsigned long long)(l->file_bytes / PAGE),
			       (unsigned long long)(l->memory_bytes / PAGE),
			       l->flags & LAYOUT_ZEROS_BEHIND ? "z" : "");
	}
	for (size_t i = 0; i < layout->captured.runs; i++) {
		const struct pagemap_run *run = &layout->captured.run[i];
		size_t n = strlen(captured);

		(void)snprintf(captured + n, size - n, "%s%llu-%llu", n ? " " : "",
			       (unsigned long long)(run->start / PAGE),
			       (unsigned long long)(run->end / PAGE));
	}
}

START_TEST(full)
{
	const struct layout_row *row = &rows[_i];
	struct elfcore_segment segment[5];
	struct elfcore core = core_of(row->segment, segment);
	struct pagemap exists = map_of(row->exists, 5), whole = map_of(row->whole, 3);
	struct layout layout = LAYOUT_NULL;
	char loads[512], captured[512];

	ck_assert(layout_possible(&core));
	ck_assert_int_eq(layout_full(&layout, &core, &exists, &whole), 0);
	describe(&layout, loads, captured, sizeof(loads));
	ck_assert_msg(strcmp(loads, row->loads) == 0, "%s: %s", row->claim, loads);
	ck_assert_msg(strcmp(captured, row->captured) == 0, "%s: %s", row->claim, captured);
	layout_done(&layout);
	pagemap_done(&exists);
	pagemap_done(&whole);
}
END_TEST

static const struct {
	const char *claim;
	struct segment_row segment[4];
	struct run_row ranges[5];
	const char *loads;
} range_rows[] = {
	{ "ranges and nothing else", { { 16, 100, 100, PF_R | PF_W } }, { { 20, 21 }, { 30, 40 } },
	  "20+1/1 30+10/10" },
	{ "outside of segments is nothing", { { 16, 10, 10, PF_R | PF_W } }, { { 1, 200 } },
	  "16+10/10" },
	{ "a range over two segments", { { 16, 4, 4, PF_R }, { 20, 4, 4, PF_R | PF_W } },
	  { { 18, 22 } }, "18+2/2 20+2/2" },
	{ "what must not be dumped is not", { { 16, 0, 10, PF_R | PF_W } }, { { 16, 20 } }, "" },
	{ "an empty segment list", { { 0 } }, { { 16, 20 } }, "" },
};

START_TEST(ranges)
{
	struct elfcore_segment segment[5];
	struct elfcore core = core_of(range_rows[_i].segment, segment);
	struct pagemap wanted = map_of(range_rows[_i].ranges, 5);
	struct layout layout = LAYOUT_NULL;
	char loads[512], captured[512];

	ck_assert_int_eq(layout_ranges(&layout, &core, &wanted), 0);
	describe(&layout, loads, captured, sizeof(loads));
	ck_assert_msg(strcmp(loads, range_rows[_i].loads) == 0, "%s: %s",
		      range_rows[_i].claim, loads);
	layout_done(&layout);
	pagemap_done(&wanted);
}
END_TEST

static const struct {
	const char *claim;
	struct segment_row segment[4];
	bool possible;
} possible_rows[] = {
	{ "in order", { { 16, 4, 4, PF_R }, { 20, 4, 4, PF_R } }, true },
	{ "overlapping", { { 16, 4, 4, PF_R }, { 18, 4, 4, PF_R } }, false },
	{ "backwards", { { 30, 4, 4, PF_R }, { 18, 4, 4, PF_R } }, false },
	{ "more in the file than in memory", { { 16, 5, 4, PF_R } }, false },
	{ "around the end of all addresses", { { UINT64_MAX / PAGE, 4, 4, PF_R } }, false },
};

START_TEST(possible)
{
	struct elfcore_segment segment[5];
	struct elfcore core = core_of(possible_rows[_i].segment, segment);

	ck_assert_msg(layout_possible(&core) == possible_rows[_i].possible, "%s",
		      possible_rows[_i].claim);
}
END_TEST

/* With scattered pages the holes grow until the segments are few enough. */
START_TEST(many_holes)
{
	struct elfcore_segment segment[5];
	const struct segment_row one[4] = { { 16, 4000000, 4000000, PF_R | PF_W } };
	struct elfcore core = core_of(one, segment);
	struct pagemap exists = PAGEMAP_NULL, whole = PAGEMAP_NULL;
	struct layout layout = LAYOUT_NULL;

	for (uint64_t page = 16; page < 4000000; page += 20)
		ck_assert_int_eq(pagemap_add(&exists, page * PAGE, (page + 1) * PAGE), 0);
	ck_assert_int_eq(layout_full(&layout, &core, &exists, &whole), 0);
	ck_assert_uint_le(layout.loads, core.segments + LAYOUT_MORE_SEGMENTS);
	ck_assert_uint_eq(layout.captured.runs, exists.runs);
	layout_done(&layout);
	pagemap_done(&exists);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("layout");
	TCase *c = unit_case(suite, "layout");

	tcase_add_loop_test(c, full, 0, ROWS(rows));
	tcase_add_loop_test(c, ranges, 0, ROWS(range_rows));
	tcase_add_loop_test(c, possible, 0, ROWS(possible_rows));
	tcase_add_test(c, many_holes);
	return unit_main(suite);
}
