/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/filenote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/layout.h"

/* The kernel dumps a mapping of a file that may be written only where it was. */
static bool was_written(const struct elfcore *core, uint64_t start)
{
	const struct elfcore_segment *s = layout_segment(core, start);

	return s && (s->flags & PF_W) && s->file_bytes > 0;
}

static uint64_t captured_to(const struct pagemap *captured, uint64_t start)
{
	size_t i = pagemap_find(captured, start);

	return i < captured->runs && captured->run[i].start <= start ? captured->run[i].end : start;
}

/* The note's bytes in the image; false where the dump was cut before their end. */
static bool find_note(const struct elfcore *core, const struct image *image, uint64_t *ret_offset)
{
	const unsigned char *notes = image->notes;
	size_t at;

	if (!core->files || !notes)
		return false;
	at = (size_t)((const unsigned char *)core->files - notes);
	*ret_offset = image->head_bytes + at;
	return at <= image->notes_bytes && core->files_bytes <= image->notes_bytes - at;
}

int filenote_shorten(const struct elfcore *core, const struct pagemap *captured,
		     struct image *image)
{
	size_t word = elfcore_word_bytes(core);
	unsigned char *note;
	uint64_t count, offset;

	if (!find_note(core, image, &offset))
		return 0;
	note = malloc(core->files_bytes);
	if (!note)
		return -ENOMEM;
	memcpy(note, core->files, core->files_bytes);
	count = elfcore_load(core, note, word);
	for (uint64_t i = 0; i < count; i++) {
		unsigned char *entry = note + (2 + 3 * i) * word;
		uint64_t start = elfcore_load(core, entry, word);
		uint64_t end = elfcore_load(core, entry + word, word);
		uint64_t to = was_written(core, start) ? captured_to(captured, start) : end;

		if (to < end)
			elfcore_store(core, entry + word, word, to);
	}
	image->files = note;
	image->files_bytes = core->files_bytes;
	image->files_offset = offset;
	return 0;
}
