/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which lines of the counters belong together.
 *
 * Lines are cumulative, so those of one state only grow, up to what the state says now. A
 * line that counts too much would make all good lines behind it look wrong: so the most
 * lines that fit each other are taken, and not each that fits the one before it.
 */

#include "summary/summary.h"

/* What a line counts; a number that is none, or negative, is 0. */
struct summary_tally lines_tally(const json_t *line);

struct lines_one {
	struct summary_tally tally;
	const char *why_not; /* static text; NULL: it belongs */
};

struct lines {
	const struct summary *summary; /* borrowed; with `ever`, `machine` and `now_ns` */
	struct lines_one *one; /* owned, in the order of the file */
	size_t n;
	size_t at; /* the next to be asked for */
	int failed;
};

/* 0, -errno; -ENOENT: there is no file. Empty with lines_done() in any case. */
int lines_find(struct lines *lines, const struct summary *summary, int dir_fd);
void lines_done(struct lines *lines);

/* Asked for in their order. NULL: take it. Static text; LINES_LATER: not to be told. */
const char *lines_why_not(struct lines *lines, const struct summary_tally *tally);
extern const char *const LINES_LATER;
