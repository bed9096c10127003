/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * From a process to a compressed file, in gzip members. Either an image is put together
 * from the process's memory, or the source is read to its end. Either way the source is
 * released when the last byte is read, so the victim waits for reading only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/elfcore.h"
#include "core/image.h"
#include "core/pipeline.h"
#include "core/source.h"
#include "core/stash.h"

struct capture_job {
	struct source *source;
	const void *head; /* borrowed: what was read of the source */
	size_t head_bytes;
	const struct elfcore *core; /* NULL: not an ELF core; taken as bytes */
	const struct image *image; /* NULL: read the source */
	struct memory memory; /* for an image that has extents */
	int out_fd; /* empty */
	int oom_score_fd; /* written when the victim has gone; -1: not open */
	pid_t victim; /* held by the source: when it has gone, our priority is lowered; 0: nobody */
	bool may_retry; /* when time or space runs out, keep the victim for another try */
	bool may_step_down; /* when space runs out, leave nothing: less can be had without it */
	uint64_t max_bytes; /* of a source: pages that are not all zeros */
	struct stash *stash; /* of a source: gets all that goes by; NULL: none */
	struct pipeline_limits limits;
};

enum {
	/* The process is gone, out_fd is empty again, and the source may still have it all. */
	CAPTURE_E_GONE = 1,
	/* Time or space ran out; out_fd is empty again: try with less. And which: + enum pipeline_end. */
	CAPTURE_E_AGAIN = 16,
	/* The same of a source that has been let go: there is its head, and nothing else. */
	CAPTURE_E_NOTHING = 32,
};

struct capture_result {
	uint64_t core_bytes; /* plain */
	uint64_t stored_bytes;
	uint64_t unreadable_bytes; /* in pages that gave an error: zeros, as the kernel has them */
	bool complete; /* all that the headers promised */
	const char *incomplete_because; /* static text, NULL when complete */
};

/*
 * 0, CAPTURE_E_GONE, CAPTURE_E_AGAIN or CAPTURE_E_NOTHING and more, or -errno when what was
 * written is of no use. An incomplete core is no error.
 */
int capture_run(const struct capture_job *job, struct capture_result *ret_result);

/* Reads the source to its end for the stash alone, as long as the limits allow, and lets go. */
void capture_stash(const struct capture_job *job);

/* Why a capture ended so, in the words of the record. */
const char *capture_end_text(enum pipeline_end end);
