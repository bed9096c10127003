/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/head.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/hugepages.h"
#include "io/compat.h"

/* Header and table of a small core, in one read. */
#define FIRST_BYTES 4096u
/* A head with no more than this left is read whole: it is in the pipe, or nearly so. */
#define FEW_BYTES 65536u
/* Notes of a thread and of a process with a few libraries. */
#define FRONT_STEP 32768u
/* What a wide pipe holds, nearly. */
#define PIPE_BYTES (1u << 20)
#define PAGE_BYTES 4096u

void head_done(struct head *head)
{
	free(head->bytes);
	*head = (struct head)HEAD_NULL;
}

int head_make_room(struct head *head, uint64_t room)
{
	unsigned char *larger;

	if (room > ELFCORE_HEAD_MAX)
		return ELFCORE_E_LIMIT;
	if (room <= head->room)
		return 0;
	larger = hugepages_alloc(room);
	if (!larger)
		return -ENOMEM;
	if (head->used > 0)
		memcpy(larger, head->bytes, head->used);
	free(head->bytes);
	head->bytes = larger;
	head->room = room;
	return 0;
}

static ssize_t read_some(struct head *head, struct source *source, size_t n)
{
	ssize_t got = source_read_some(source, head->bytes + head->used, n);

	if (got > 0)
		head->used += (size_t)got;
	return got;
}

/* Waits for them. 0, ELFCORE_E_SHORT at the end of the source, or -errno. */
static int read_up_to(struct head *head, struct source *source, uint64_t end)
{
	ssize_t got = 1;

	while (head->used < end && got > 0) {
		source_gather(source, end - head->used);
		got = read_some(head, source, end - head->used);
	}
	if (got < 0)
		return (int)got;
	return head->used < end ? ELFCORE_E_SHORT : 0;
}

/* Up to the program headers, and all the notes if they are few, or of a saved core. */
static int read_table(struct head *head, struct source *source, struct elfcore *ret_core)
{
	uint64_t needed = FIRST_BYTES;
	bool ended = false;
	int r;

	while (needed > head->used && !ended) {
		r = head_make_room(head, needed);
		if (r != 0)
			return r;
		if (source->fd >= 0 && needed - head->used > FEW_BYTES) {
			source_widen(source);
			if (elfcore_parse(head->bytes, head->used, ret_core) == 0)
				return 0; /* it takes the whole table, and what notes there are */
		}
		r = read_up_to(head, source, needed);
		if (r < 0)
			return r;
		ended = r == ELFCORE_E_SHORT;
		r = elfcore_head_size(head->bytes, head->used, &needed);
		if (r != 0)
			return r;
		head->size = needed;
	}
	r = head_make_room(head, head->size); /* where it ended once it is asked again */
	return r != 0 ? r : elfcore_parse(head->bytes, head->used, ret_core);
}

/* The kernel begins the next thread when it has told all of the first. */
static int read_first_thread(struct head *head, struct source *source, struct elfcore *core)
{
	int r = 0;

	while (r == 0 && core->threads < 2 && head->used < head->size) {
		uint64_t left = head->size - head->used;

		r = read_up_to(head, source, head->used + (left < FRONT_STEP ? left : FRONT_STEP));
		if (r >= 0)
			r = elfcore_parse_more(core, head->bytes, head->used) ?: r;
	}
	return r;
}

int head_read_front(struct head *head, struct source *source, struct elfcore *ret_core)
{
	struct elfcore core = ELFCORE_NULL;
	int r;

	r = read_table(head, source, &core);
	if (r != 0)
		return r;
	r = read_first_thread(head, source, &core);
	if (r < 0) {
		elfcore_done(&core);
		return r;
	}
	*ret_core = core;
	return 0; /* where it was cut short the rest will say so */
}

static size_t left_of(const struct head *head)
{
	return head->used < head->size ? head->size - head->used : 0;
}

/* While the kernel fills the pipe our side has time: for the pages that it will be read to. */
static void prepare(const struct head *head)
{
	uintptr_t start = ((uintptr_t)head->bytes + head->used) | (PAGE_BYTES - 1);
	uintptr_t n = left_of(head) < PIPE_BYTES ? left_of(head) : PIPE_BYTES;

	if (n > PAGE_BYTES)
		(void)madvise((void *)(start + 1), (n - PAGE_BYTES) & ~(uintptr_t)(PAGE_BYTES - 1),
			      MADV_POPULATE_WRITE);
}

void head_top_up(struct head *head, struct source *source)
{
	size_t n = source_ready(source), left = left_of(head);

	if (n > 0 && left > 0)
		(void)read_some(head, source, n < left ? n : left);
	if (source->fd >= 0)
		prepare(head);
}

int head_read_rest(struct head *head, struct source *source, struct elfcore *core)
{
	int r = 0, parsed;

	while (r == 0 && left_of(head) > 0) {
		size_t left = left_of(head);

		prepare(head);
		r = read_up_to(head, source,
			       head->used + (left < PIPE_BYTES ? left : PIPE_BYTES));
	}
	parsed = elfcore_parse_more(core, head->bytes, head->used);
	return parsed < 0 ? parsed : r;
}
