/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The headers of a layout: the same bytes that the kernel writes where it has the same to say. */

#include "core/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/filenote.h"

#define PAGE_MAX 65536u /* the largest there is on any machine */

#ifndef PN_XNUM
#define PN_XNUM 0xffff
#endif

/* Writes headers of either class and byte order. */
struct writer {
	const struct elfcore *core;
	unsigned char *head;
	bool wide;
	uint64_t phnum;
	uint64_t ehdr_bytes;
	uint64_t head_bytes; /* up to the notes */
};

static void put(const struct writer *w, void *at, size_t bytes, uint64_t value)
{
	elfcore_store(w->core, at, bytes, value);
}

/* The two classes have the same fields, each its own places and sizes. */
#define PUT(w, type, at, field, value)                                                    \
	((w)->wide ? put(w, (at) + offsetof(Elf64_##type, field),                          \
			 sizeof(((Elf64_##type *)0)->field), value)                         \
		   : put(w, (at) + offsetof(Elf32_##type, field),                          \
			 sizeof(((Elf32_##type *)0)->field), value))
#define SIZE(w, type) ((w)->wide ? sizeof(Elf64_##type) : sizeof(Elf32_##type))

static void put_phdr(const struct writer *w, uint64_t index,
		     const struct elfcore_segment *s)
{
	unsigned char *at = w->head + w->ehdr_bytes + index * SIZE(w, Phdr);

	PUT(w, Phdr, at, p_type, s->type);
	PUT(w, Phdr, at, p_flags, s->flags);
	PUT(w, Phdr, at, p_offset, s->offset);
	PUT(w, Phdr, at, p_vaddr, s->vaddr);
	PUT(w, Phdr, at, p_filesz, s->file_bytes);
	PUT(w, Phdr, at, p_memsz, s->memory_bytes);
	PUT(w, Phdr, at, p_align, s->align);
}

/* The section header that holds what e_phnum cannot, at the end of the file as the kernel does. */
static void put_tail(const struct writer *w, struct image *image)
{
	PUT(w, Ehdr, w->head, e_shoff, image->size);
	PUT(w, Ehdr, w->head, e_shentsize, SIZE(w, Shdr));
	PUT(w, Ehdr, w->head, e_shnum, 1);
	PUT(w, Shdr, image->tail, sh_size, 1);
	PUT(w, Shdr, image->tail, sh_info, w->phnum);
	image->tail_bytes = SIZE(w, Shdr);
	image->size += image->tail_bytes;
}

/* Everything the kernel said in its file header stands, but for the number of segments. */
static void put_ehdr(const struct writer *w, const void *head)
{
	memcpy(w->head, head, w->ehdr_bytes);
	PUT(w, Ehdr, w->head, e_phoff, w->ehdr_bytes);
	PUT(w, Ehdr, w->head, e_phnum, w->phnum < PN_XNUM ? w->phnum : PN_XNUM);
	PUT(w, Ehdr, w->head, e_shoff, 0);
	PUT(w, Ehdr, w->head, e_shnum, 0);
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

/*
 * Of notes that were cut the whole ones: debuggers refuse all of a core for half a note. What
 * came in full stays as it is, whatever it may be.
 */
static uint64_t usable_notes(const struct elfcore *core)
{
	if (core->note_bytes == core->notes_promised || core->notes_parsed > core->note_bytes)
		return core->note_bytes;
	return core->notes_parsed;
}

/* As many of the notes as there are. */
static void put_notes(const struct writer *w, const void *head, size_t head_bytes,
		      struct image *image)
{
	const struct elfcore *core = w->core;
	struct elfcore_segment note = core->segment[0];
	uint64_t bytes = usable_notes(core);
	uint64_t left =
		head_bytes > core->note_offset ? head_bytes - core->note_offset : 0;

	image->notes_bytes = bytes < left ? bytes : left;
	image->notes = left > 0 ? (const char *)head + core->note_offset : NULL;
	note.offset = w->head_bytes;
	note.file_bytes = image->notes_bytes;
	put_phdr(w, 0, &note);
}

static void plan_head(struct writer *w, const struct layout *layout)
{
	const struct elfcore *core = w->core;

	w->wide = core->elf_class == ELFCLASS64;
	w->phnum = 1 + layout->loads;
	w->ehdr_bytes = SIZE(w, Ehdr);
	w->head_bytes = w->ehdr_bytes + w->phnum * SIZE(w, Phdr);
}

int layout_image(const struct layout *layout, const struct elfcore *core,
		 const void *head, size_t head_bytes, struct image *ret_image)
{
	struct image image = IMAGE_NULL;
	struct writer w = { .core = core };
	int r;

	plan_head(&w, layout);
	image.head_bytes = w.head_bytes;
	image.head = w.head = calloc(1, image.head_bytes);
	image.extent =
		calloc(layout->captured.runs + layout->loads + 1, sizeof(*image.extent));
	if (!image.head || !image.extent) {
		image_done(&image);
		return -ENOMEM;
	}
	put_ehdr(&w, head);
	put_notes(&w, head, head_bytes, &image);
	image.size = image.head_bytes + image.notes_bytes;
	if (layout->loads > 0)
		image.size = memory_offset(core, image.size);
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

int layout_part_image(const struct layout *layout, const struct elfcore *core, const void *head,
		      size_t head_bytes, struct image *ret_image)
{
	int r;

	r = layout_image(layout, core, head, head_bytes, ret_image);
	if (r != 0)
		return r;
	r = filenote_shorten(core, &layout->captured, ret_image);
	if (r != 0)
		image_done(ret_image);
	return r;
}
