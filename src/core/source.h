/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Where the bytes of a core come from. A source gives the core from its first byte to its
 * last; what is behind it (the kernel's pipe, a file, the memory of the held process) is
 * its own affair. Releasing it lets the victim go.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct corefile;
struct source;

struct source_ops {
	/* Up to n next bytes: the count, 0 at the end, -errno. */
	ssize_t (*read)(struct source *source, void *bytes, size_t n);
	void (*release)(struct source *source);
};

/* Who may still let the victim go: a taker that hangs in its memory must not do so later. */
enum source_hold {
	SOURCE_HELD,
	SOURCE_RELEASED,
	SOURCE_TAKEN_AWAY, /* whoever had it has to leave it alone */
};

struct source {
	const struct source_ops *ops;
	int fd; /* of a pipe */
	int64_t until_ms; /* of a pipe: reading ends then with -ETIME; 0: never */
	int *hold; /* of a pipe that several threads could release: enum source_hold; borrowed */
	struct corefile *file; /* of a file, borrowed */
	uint64_t at;
	int64_t released_at_ms; /* CLOCK_MONOTONIC; 0: not yet */
};

/* The kernel's pipe. Takes over the descriptor; reading stops for good when it is released. */
void source_pipe(struct source *source, int fd);

/*
 * A deadline for a pipe (CLOCK_MONOTONIC). The kernel reads the victim's memory to fill it,
 * and that memory may be of a file system that does not answer.
 */
void source_set_deadline(struct source *source, int64_t until_ms);

/* Takes the source from a thread that has not released it: false when it has. */
bool source_take_away(struct source *source);

/* A saved core, borrowed. */
void source_file(struct source *source, struct corefile *file);

/* A long head in fewer turns of writer and reader. */
void source_widen(struct source *source);

/* Up to n bytes, as many as there are, at least one: the count, 0 at the end, -errno. */
ssize_t source_read_some(struct source *source, void *bytes, size_t n);

/* How many bytes can be read of a pipe without waiting; 0 of others. */
size_t source_ready(const struct source *source);

/*
 * Waits for a pipe to fill, as long as it does, up to what is wanted. The kernel writes notes
 * in pieces of a few bytes, and a reader that takes each of them is in its way.
 */
void source_gather(const struct source *source, size_t wanted);

/* Fills the buffer as far as the source goes: the count or -errno. */
ssize_t source_read_full(struct source *source, void *bytes, size_t n);

/* Lets the victim go: no more bytes are wanted. May be called twice. */
void source_release(struct source *source);
