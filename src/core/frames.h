/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The frames of a record's thread as lines for a reader: those that a recursion repeats are
 * one line, and those that were not stored are said to be missing, so that numbers are true.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frames {
	const json_t *thread;
	size_t stored; /* of its frames, how many were passed */
	uint64_t number; /* of the next one, counted from the innermost */
};

struct frames_line {
	const json_t *frame; /* NULL: left out */
	uint64_t first; /* number of the first that this line is of */
	uint64_t count;
	unsigned int again; /* frames above that these repeat, 0: it is the frame that is */
};

/* False: that was the last. */
bool frames_next(struct frames *frames, struct frames_line *ret_line);

/* "#3  " or "#3 to #9: " */
#define FRAMES_NUMBER 64
const char *frames_number(const struct frames_line *line, char text[static FRAMES_NUMBER]);

/* What follows the frame, or stands for it: "", ", 126 times", "the 2 frames above, 63 more times" */
#define FRAMES_TIMES 64
const char *frames_times(const struct frames_line *line, char text[static FRAMES_TIMES]);

/*
 * Is it the kernel's, between a signal's handler and what that interrupted? Which signal it
 * was may be chance: the kernel writes it down only for handlers that asked for it.
 */
bool frames_is_signal(const json_t *frame);
