/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX 65536u /* the largest there is on any machine */

#ifndef PN_XNUM
#define PN_XNUM 0xffff
#endif

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

/* ---- the image ---- */

/* Writes headers of either class and byte order. */
struct writer {
	const struct elfcore *core;
	unsigned char *head;
	bool wide;
	uint64_t phnum;
	uint64_t ehdr_bytes;
	uint64_t notes_at;
	uint64_t notes_bytes;
};

static void put(const struct writer *w, void *at, size_t bytes, uint64_t value)
{
	unsigned char *p = at;

	for (size_t i = 0; i < bytes; i++)
		p[w->core->byte_order == ELFDATA2MSB ? bytes - 1 - i : i] =
			(unsigned char)(value >> (8 * i));
}

#define PUT(w, type, at, field, value)                                                   \
	put(w, (at) + offsetof(type, field), sizeof(((type *)0)->field), value)

static void put_phdr(const struct writer *w, uint64_t index,
		     const struct elfcore_segment *s)
{
	unsigned char *at = w->head + w->ehdr_bytes;

	if (w->wide) {
		at += index * sizeof(Elf64_Phdr);
		PUT(w, Elf64_Phdr, at, p_type, s->type);
		PUT(w, Elf64_Phdr, at, p_flags, s->flags);
		PUT(w, Elf64_Phdr, at, p_offset, s->offset);
		PUT(w, Elf64_Phdr, at, p_vaddr, s->vaddr);
		PUT(w, Elf64_Phdr, at, p_filesz, s->file_bytes);
		PUT(w, Elf64_Phdr, at, p_memsz, s->memory_bytes);
		PUT(w, Elf64_Phdr, at, p_align, s->align);
	} else {
		at += index * sizeof(Elf32_Phdr);
		PUT(w, Elf32_Phdr, at, p_type, s->type);
		PUT(w, Elf32_Phdr, at, p_flags, s->flags);
		PUT(w, Elf32_Phdr, at, p_offset, s->offset);
		PUT(w, Elf32_Phdr, at, p_vaddr, s->vaddr);
		PUT(w, Elf32_Phdr, at, p_filesz, s->file_bytes);
		PUT(w, Elf32_Phdr, at, p_memsz, s->memory_bytes);
		PUT(w, Elf32_Phdr, at, p_align, s->align);
	}
}

/* The section header that holds what e_phnum cannot, at the end of the file as the kernel does. */
static void put_tail(const struct writer *w, struct image *image)
{
	uint64_t at = image->size;

	if (w->wide) {
		PUT(w, Elf64_Ehdr, w->head, e_shoff, at);
		PUT(w, Elf64_Ehdr, w->head, e_shentsize, sizeof(Elf64_Shdr));
		PUT(w, Elf64_Ehdr, w->head, e_shnum, 1);
		PUT(w, Elf64_Shdr, image->tail, sh_size, 1);
		PUT(w, Elf64_Shdr, image->tail, sh_info, w->phnum);
		image->tail_bytes = sizeof(Elf64_Shdr);
	} else {
		PUT(w, Elf32_Ehdr, w->head, e_shoff, at);
		PUT(w, Elf32_Ehdr, w->head, e_shentsize, sizeof(Elf32_Shdr));
		PUT(w, Elf32_Ehdr, w->head, e_shnum, 1);
		PUT(w, Elf32_Shdr, image->tail, sh_size, 1);
		PUT(w, Elf32_Shdr, image->tail, sh_info, w->phnum);
		image->tail_bytes = sizeof(Elf32_Shdr);
	}
	image->size += image->tail_bytes;
}

/* Everything the kernel said in its file header stands, but for the number of segments. */
static void put_ehdr(const struct writer *w, const void *head)
{
	uint64_t phnum = w->phnum < PN_XNUM ? w->phnum : PN_XNUM;

	memcpy(w->head, head, w->ehdr_bytes);
	if (w->wide) {
		PUT(w, Elf64_Ehdr, w->head, e_phoff, w->ehdr_bytes);
		PUT(w, Elf64_Ehdr, w->head, e_phnum, phnum);
		PUT(w, Elf64_Ehdr, w->head, e_shoff, 0);
		PUT(w, Elf64_Ehdr, w->head, e_shnum, 0);
	} else {
		PUT(w, Elf32_Ehdr, w->head, e_phoff, w->ehdr_bytes);
		PUT(w, Elf32_Ehdr, w->head, e_phnum, phnum);
		PUT(w, Elf32_Ehdr, w->head, e_shoff, 0);
		PUT(w, Elf32_Ehdr, w->head, e_shnum, 0);
	}
}

static void add_extents(const struct layout *layout, const struct layout_load *load,
			uint64_t offset, size_t *run, struct image *image)
{
	const struct pagemap *captured = &layout->captured;
	uint64_t end = load->address + load->file_bytes;

	/* A run may go on in the next load, where segments touch. */
	for (; *run < captured->runs && captured->run[*run].start < end; (*run)++) {
		uint64_t from = captured->run[*run].start, to = captured->run[*run].end;
		struct image_extent *e = &image->extent[image->extents];

		from = from > load->address ? from : load->address;
		to = to < end ? to : end;
		if (from < to) {
			*e = (struct image_extent){ offset + (from - load->address), from,
						    to - from };
			image->extents++;
			image->memory_bytes += to - from;
		}
		if (captured->run[*run].end > end)
			break;
	}
}

/*
 * A part of a page lies in the file where it would lie in its page: elfutils rounds
 * segments to pages, whatever their p_align. Whole pages follow each other, as the
 * kernel's do.
 */
static uint64_t congruent(uint64_t at, const struct layout_load *load)
{
	uint64_t page = load->align > 1 && load->align <= PAGE_MAX ? load->align : 1;

	return at + (load->address - at) % page;
}

static int put_loads(const struct writer *w, const struct layout *layout,
		     struct image *image)
{
	size_t run = 0;

	for (size_t i = 0; i < layout->loads; i++) {
		const struct layout_load *load = &layout->load[i];
		const struct elfcore_segment s = {
			.type = PT_LOAD,
			.flags = load->flags,
			.offset = congruent(image->size, load),
			.vaddr = load->address,
			.file_bytes = load->file_bytes,
			.memory_bytes = load->memory_bytes,
			.align = load->align,
		};

		if (load->file_bytes > INT64_MAX - PAGE_MAX - image->size)
			return ELFCORE_E_LIMIT;
		put_phdr(w, 1 + i, &s);
		add_extents(layout, load, s.offset, &run, image);
		image->size = s.offset + load->file_bytes;
	}
	return 0;
}

/* Where memory begins: on a page, as the kernel has it. */
static uint64_t memory_offset(const struct elfcore *core, uint64_t head_bytes)
{
	uint64_t page = 4096;

	for (size_t i = 0; i < core->segments; i++)
		if (core->segment[i].type == PT_LOAD && core->segment[i].align > page &&
		    core->segment[i].align <= PAGE_MAX)
			page = core->segment[i].align;
	return (head_bytes + page - 1) / page * page;
}

static void put_notes(const struct writer *w, const void *head)
{
	struct elfcore_segment note = w->core->segment[0];

	note.offset = w->notes_at;
	note.file_bytes = w->notes_bytes;
	put_phdr(w, 0, &note);
	memcpy(w->head + w->notes_at, (const char *)head + w->core->note_offset,
	       w->notes_bytes);
}

static void plan_head(struct writer *w, const struct layout *layout, size_t head_bytes)
{
	const struct elfcore *core = w->core;
	uint64_t left =
		head_bytes > core->note_offset ? head_bytes - core->note_offset : 0;

	w->wide = core->elf_class == ELFCLASS64;
	w->phnum = 1 + layout->loads;
	w->ehdr_bytes = w->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	w->notes_at = w->ehdr_bytes +
		      w->phnum * (w->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
	w->notes_bytes = core->note_bytes < left ? core->note_bytes : left;
}

int layout_image(const struct layout *layout, const struct elfcore *core,
		 const void *head, size_t head_bytes, struct image *ret_image)
{
	struct image image = IMAGE_NULL;
	struct writer w = { .core = core };
	int r;

	plan_head(&w, layout, head_bytes);
	image.head_bytes = w.notes_at + w.notes_bytes;
	image.head = w.head = calloc(1, image.head_bytes);
	image.extent =
		calloc(layout->captured.runs + layout->loads + 1, sizeof(*image.extent));
	if (!image.head || !image.extent) {
		image_done(&image);
		return -ENOMEM;
	}
	put_ehdr(&w, head);
	put_notes(&w, head);
	image.size = image.head_bytes;
	if (layout->loads > 0)
		image.size = memory_offset(core, image.head_bytes);
	r = put_loads(&w, layout, &image);
	if (r != 0) {
		image_done(&image);
		return r;
	}
	if (w.phnum >= PN_XNUM)
		put_tail(&w, &image);
	*ret_image = image;
	return 0;
}
