/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * From a source to a compressed file: the head that was already read, then the rest of the
 * source, in gzip members. The source is released as soon as its last byte is read, so the
 * victim waits for reading only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"
#include "core/pipeline.h"
#include "core/source.h"

struct capture_job {
	struct source *source;
	const void *head; /* borrowed */
	size_t head_bytes;
	const struct elfcore *core; /* NULL: not an ELF core; taken as bytes */
	bool head_only; /* the notes alone: no memory */
	int out_fd;
	int oom_score_fd; /* written when the victim has gone; -1: not open */
	bool step_back; /* lower our priority when the victim has gone */
	struct pipeline_limits limits;
};

struct capture_result {
	uint64_t core_bytes; /* plain */
	uint64_t stored_bytes;
	int64_t released_at_ms; /* CLOCK_MONOTONIC */
	bool complete; /* all that the headers promised */
	const char *incomplete_because; /* static text, NULL when complete */
};

/* 0, or -errno when what was written is of no use. An incomplete core is no error. */
int capture_run(const struct capture_job *job, struct capture_result *ret_result);
