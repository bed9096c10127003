/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/layout.h"

#include <errno.h>
#include <stdlib.h>

void layout_done(struct layout *layout)
{
	free(layout->load);
	pagemap_done(&layout->captured);
	*layout = (struct layout)LAYOUT_NULL;
}

/* By address and apart, as the kernel writes them: what follows relies on it. */
static bool in_order(const struct elfcore_segment *s, uint64_t behind)
{
	uint64_t end;

	return s->vaddr >= behind && s->file_bytes <= s->memory_bytes &&
	       !__builtin_add_overflow(s->vaddr, s->memory_bytes, &end);
}

bool layout_possible(const struct elfcore *core)
{
	uint64_t behind = 0;

	for (size_t i = 0; i < core->segments; i++) {
		const struct elfcore_segment *s = &core->segment[i];

		if (s->type != (i == 0 ? PT_NOTE : PT_LOAD))
			return false;
		if (i > 0 && !in_order(s, behind))
			return false;
		behind = s->vaddr + s->memory_bytes;
	}
	return core->segments > 0;
}

static int add_load(struct layout *layout, const struct layout_load *load)
{
	if (layout->loads == layout->load_room) {
		size_t room = layout->load_room ? layout->load_room * 2 : 64;
		struct layout_load *larger =
			reallocarray(layout->load, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		layout->load = larger;
		layout->load_room = room;
	}
	layout->load[layout->loads++] = *load;
	return 0;
}

static struct layout_load load_of(const struct elfcore_segment *s)
{
	return (struct layout_load){ s->vaddr, s->file_bytes, s->memory_bytes, s->align,
				     s->flags };
}

/* ---- full ---- */

/* A segment's memory as runs, with `at` going through the map of existing pages. */
struct walk {
	struct layout *layout;
	const struct elfcore_segment *segment;
	const struct pagemap *exists;
	uint64_t hole_min;
};

/* The load that begins at `start` and ends with zeros up to `end`. */
static int add_piece(const struct walk *w, uint64_t start, uint64_t data_end,
		     uint64_t end)
{
	struct layout_load load = load_of(w->segment);

	load.address = start;
	load.file_bytes = data_end - start;
	load.memory_bytes = end - start;
	if (data_end < end)
		load.flags |= LAYOUT_ZEROS_BEHIND;
	return add_load(w->layout, &load);
}

/* Goes through the runs of one anonymous segment and cuts it at its large holes. */
static int add_sparse(const struct walk *w)
{
	const struct elfcore_segment *s = w->segment;
	uint64_t end = s->vaddr + s->file_bytes, start = s->vaddr, data_end = s->vaddr;
	int r = 0;

	for (size_t i = pagemap_find(w->exists, s->vaddr); r == 0 && i < w->exists->runs;
	     i++) {
		uint64_t from = w->exists->run[i].start, to = w->exists->run[i].end;

		if (from >= end)
			break;
		from = from > s->vaddr ? from : s->vaddr;
		to = to < end ? to : end;
		if (from - data_end >= w->hole_min) {
			r = add_piece(w, start, data_end, from);
			start = from;
		}
		if (r == 0)
			r = pagemap_add(&w->layout->captured, from, to);
		data_end = to;
	}
	if (r < 0)
		return r;
	/* A small hole at the end is zeros in the file, too. */
	return add_piece(w, start, end - data_end >= w->hole_min ? data_end : end, end);
}

static int add_whole(struct layout *layout, const struct elfcore_segment *s)
{
	const struct layout_load load = load_of(s);
	int r = add_load(layout, &load);

	if (r == 0 && s->file_bytes > 0)
		r = pagemap_add(&layout->captured, s->vaddr, s->vaddr + s->file_bytes);
	return r;
}

static bool overlaps(const struct pagemap *map, const struct elfcore_segment *s)
{
	size_t i = pagemap_find(map, s->vaddr);

	return i < map->runs && map->run[i].start < s->vaddr + s->memory_bytes;
}

static int add_segments(struct layout *layout, const struct elfcore *core,
			const struct pagemap *exists, const struct pagemap *whole,
			uint64_t hole_min)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->segments; i++) {
		const struct elfcore_segment *s = &core->segment[i];
		const struct walk w = { layout, s, exists, hole_min };

		if (s->type != PT_LOAD)
			continue;
		if (s->file_bytes < s->memory_bytes || overlaps(whole, s))
			r = add_whole(layout, s);
		else
			r = add_sparse(&w);
	}
	return r;
}

/* What of the file would be zeros that nobody wrote. */
static uint64_t zero_bytes(const struct layout *layout)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < layout->loads; i++)
		bytes += layout->load[i].file_bytes;
	for (size_t i = 0; i < layout->captured.runs; i++)
		bytes -= layout->captured.run[i].end - layout->captured.run[i].start;
	return bytes;
}

int layout_full(struct layout *layout, const struct elfcore *core,
		const struct pagemap *exists, const struct pagemap *whole)
{
	uint64_t hole_min = LAYOUT_HOLE_MIN;
	int r;

	r = add_segments(layout, core, exists, whole, LAYOUT_HOLE_LARGE);
	if (r < 0 || zero_bytes(layout) <= LAYOUT_ZEROS_MAX)
		return r;
	do {
		layout_done(layout);
		r = add_segments(layout, core, exists, whole, hole_min);
		hole_min *= 2;
	} while (r == 0 && layout->loads > core->segments + LAYOUT_MORE_SEGMENTS);
	return r;
}

/* ---- ranges ---- */

/* The kernel writes segments by address; so does layout_full() above. */
static size_t segment_behind(const struct elfcore *core, uint64_t address)
{
	size_t low = 0, high = core->segments;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct elfcore_segment *s = &core->segment[middle];

		if (s->type != PT_LOAD || s->vaddr + s->memory_bytes <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct elfcore_segment *layout_segment(const struct elfcore *core, uint64_t address)
{
	size_t i = segment_behind(core, address);

	return i < core->segments && core->segment[i].vaddr <= address ? &core->segment[i]
								       : NULL;
}

const struct elfcore_segment *layout_segment_behind(const struct elfcore *core,
						    uint64_t address)
{
	size_t i = segment_behind(core, address);

	return i < core->segments ? &core->segment[i] : NULL;
}

/* The kernel may dump the beginning of a file only; the rest of a read-only one is no secret. */
uint64_t layout_captures_to(const struct elfcore_segment *s)
{
	bool file = (s->flags & (PF_R | PF_W)) == PF_R;

	return s->vaddr + (file ? s->memory_bytes : s->file_bytes);
}

static bool lists_file(const struct elfcore *core, uint64_t address)
{
	size_t low = 0, high = core->mappings;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (core->mapping[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < core->mappings && core->mapping[low].start <= address;
}

/*
 * Code and constants that the kernel leaves to the file they come from: the segment stays
 * whole, with a tail that is not known. Debuggers take the bytes from the file or say that
 * they cannot; elfutils finds no module without it.
 */
static bool has_file_tail(const struct elfcore *core, const struct elfcore_segment *s)
{
	return (s->flags & (PF_R | PF_W)) == PF_R && s->file_bytes < s->memory_bytes &&
	       lists_file(core, s->vaddr);
}

/* The ranges in one segment; with a file tail each reaches up to the next. */
static int add_parts(struct layout *layout, const struct elfcore_segment *s,
		     const struct pagemap *ranges, bool tail)
{
	uint64_t behind = s->vaddr + s->memory_bytes, limit = layout_captures_to(s);
	struct layout_load load = load_of(s);
	bool open = tail;
	int r = 0;

	load.file_bytes = 0;
	for (size_t i = pagemap_find(ranges, s->vaddr); r == 0 && i < ranges->runs; i++) {
		uint64_t from = ranges->run[i].start, to = ranges->run[i].end;

		from = from > s->vaddr ? from : s->vaddr;
		to = to < limit ? to : limit;
		if (from >= limit)
			break;
		load.memory_bytes = from - load.address;
		if (open && load.memory_bytes > 0)
			r = add_load(layout, &load);
		if (r == 0)
			r = pagemap_add(&layout->captured, from, to);
		load.address = from;
		load.file_bytes = load.memory_bytes = to - from;
		open = tail;
		if (r == 0 && !tail)
			r = add_load(layout, &load);
	}
	load.memory_bytes = behind - load.address;
	return r == 0 && open ? add_load(layout, &load) : r;
}

int layout_ranges(struct layout *layout, const struct elfcore *core,
		  const struct pagemap *ranges)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->segments; i++)
		if (core->segment[i].type == PT_LOAD)
			r = add_parts(layout, &core->segment[i], ranges,
				      has_file_tail(core, &core->segment[i]));
	return r;
}
