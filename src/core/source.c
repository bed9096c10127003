/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/source.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/corefile.h"
#include "io/cleanup.h"

/* ---- the pipe ---- */

static ssize_t pipe_read(struct source *source, void *bytes, size_t n)
{
	ssize_t got;

	if (source->fd < 0)
		return 0;
	do {
		got = read(source->fd, bytes, n);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static void pipe_release(struct source *source)
{
	close_fd(&source->fd);
}

static const struct source_ops pipe_ops = { pipe_read, pipe_release };

void source_pipe(struct source *source, int fd)
{
	*source = (struct source){ .ops = &pipe_ops, .fd = fd };
}

/* ---- a file ---- */

static ssize_t file_read(struct source *source, void *bytes, size_t n)
{
	ssize_t got = corefile_read(source->file, bytes, n, source->at);

	if (got > 0)
		source->at += (uint64_t)got;
	return got;
}

static void file_release(struct source *source)
{
	(void)source; /* nobody waits for a file */
}

static const struct source_ops file_ops = { file_read, file_release };

void source_file(struct source *source, struct corefile *file)
{
	*source = (struct source){ .ops = &file_ops, .fd = -1, .file = file };
}

/* ---- any ---- */

ssize_t source_read_full(struct source *source, void *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = source->ops->read(source, (char *)bytes + done, n - done);

		if (got < 0)
			return got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

void source_release(struct source *source)
{
	if (source->ops)
		source->ops->release(source);
}

/* Grows the head to what it says it needs, until it asks for no more or the source ends. */
static int fill_head(struct source *source, unsigned char **head, size_t *used)
{
	uint64_t needed = 4096; /* header and table of a small core, in one read */

	for (;;) {
		unsigned char *larger;
		ssize_t n;
		int r;

		if (needed > ELFCORE_HEAD_MAX)
			return ELFCORE_E_LIMIT;
		larger = realloc(*head, needed);
		if (!larger)
			return -ENOMEM;
		*head = larger;
		n = source_read_full(source, *head + *used, needed - *used);
		if (n < 0)
			return (int)n;
		*used += (size_t)n;
		if (*used < needed)
			return 0; /* the end: parse what there is */
		r = elfcore_head_size(*head, *used, &needed);
		if (r != 0)
			return r;
		if (needed <= *used)
			return 0;
	}
}

int source_read_head(struct source *source, void **ret_head, size_t *ret_head_bytes,
		     struct elfcore *ret_core)
{
	unsigned char *head = NULL;
	size_t used = 0;
	int r;

	r = fill_head(source, &head, &used);
	if (r == 0)
		r = elfcore_parse(head, used, ret_core);
	*ret_head = head;
	*ret_head_bytes = used;
	return r;
}
