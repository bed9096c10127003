/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The head of a core on its way through a source: file header, program headers, notes.
 *
 * The kernel writes the notes of the crashing thread and of the process first. They are the
 * front, and all that a decision needs; the notes of the other threads, kilobytes for each,
 * may still come while other things are found out.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "core/source.h"

struct head {
	unsigned char *bytes; /* owned; what was parsed points into it */
	size_t used; /* of it, there so far */
	uint64_t size; /* of the whole, as its headers say; 0: they are not there */
	uint64_t room;
};

#define HEAD_NULL { 0 }

void head_done(struct head *head);

/* Room for so many bytes. 0, ELFCORE_E_LIMIT, -ENOMEM. */
int head_make_room(struct head *head, uint64_t room);

/*
 * Reads the front, or of a saved core all of it, and parses that. *ret_core points into the
 * head. 0, ELFCORE_E_* or -errno; what was read stays in *head in every case.
 */
int head_read_front(struct head *head, struct source *source, struct elfcore *ret_core);

/* Reads what has come meanwhile, and waits for nothing: so the kernel can go on writing. */
void head_top_up(struct head *head, struct source *source);

/* Reads the rest, and parses it. 0, ELFCORE_E_SHORT when it ended before, or -errno. */
int head_read_rest(struct head *head, struct source *source, struct elfcore *core);
