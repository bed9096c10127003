/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Three steps. Each line is judged by itself: of another machine, of the future, beyond
 * what the state counts now. Of those that are left the longest chain is taken in which
 * nothing shrinks. And each that is not in it is told why, by the lines of the chain
 * around it.
 */

#include "summary/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/counters.h"
#include "ledger/counted.h"
#include "policy/units.h"
#include "summary/chain.h"

/* Written after the state was read: the next summary has it. */
const char *const LINES_LATER = "later";

struct summary_tally lines_tally(const json_t *line)
{
	return (struct summary_tally){
		.crashes = number(line, "crashes"),
		.folded = number(line, "folded"),
		.kept = number(line, "kept"),
		.kept_weight = number(line, "kept_weight"),
		.unseen = number(line, "unseen"),
		.operational = number(line, "operational_hours"),
		.crashfree = number(line, "crashfree_hours"),
		.crashfree_slots = number(line, "crashfree_slots"),
		.boots = number(line, "boots"),
		.unclean = number(line, "unclean_shutdowns"),
		.on_time_s = (int64_t)number(line, "on_time_seconds"),
		.uncovered_s = (int64_t)number(line, "uncovered_seconds"),
	};
}

/* ---- what shrinks from one line to another ---- */

/* What can only grow. (folded can shrink by one, when a fold turns out to be novel.) */
enum shrunk {
	SHRUNK_NOTHING,
	SHRUNK_CRASHES,
	SHRUNK_TIME,
	SHRUNK_HOURS,
	SHRUNK_RECORDS,
	SHRUNK_N,
};

static enum shrunk shrunk(const struct summary_tally *from, const struct summary_tally *to)
{
	if (to->crashes < from->crashes)
		return SHRUNK_CRASHES;
	if (to->on_time_s < from->on_time_s || to->uncovered_s < from->uncovered_s)
		return SHRUNK_TIME;
	if (to->operational < from->operational || to->crashfree < from->crashfree ||
	    to->crashfree_slots < from->crashfree_slots)
		return SHRUNK_HOURS;
	if (to->kept < from->kept || to->kept_weight < from->kept_weight)
		return SHRUNK_RECORDS;
	return SHRUNK_NOTHING;
}

/* ---- a line by itself ---- */

static const char *const more_than_now[SHRUNK_N] = {
	NULL,
	"counts more crashes than there have been",
	"has run for more time than there has been",
	"counts more hours than there have been",
	"counts more records than there have been",
};

static const char *why_not_alone(const struct summary *summary, const json_t *line,
				 const struct summary_tally *tally)
{
	const char *machine = json_string_value(json_object_get(line, "machine"));
	uint64_t now_s = (uint64_t)(summary->now_ns / NS_PER_SEC);
	uint64_t time_s = number(line, "time");
	enum shrunk beyond = shrunk(tally, &summary->ever);

	if (machine && strtoull(machine, NULL, 16) != summary->machine)
		return "of another machine";
	if (time_s > now_s + SUMMARY_FUTURE_S)
		return "dated in the future";
	if (tally->folded > tally->crashes || tally->kept_weight > tally->crashes)
		return "counts more folded or kept than crashed";
	if (beyond != SHRUNK_NOTHING && time_s >= now_s)
		return LINES_LATER;
	return more_than_now[beyond];
}

static bool collect(void *userdata, const json_t *line, unsigned int line_number)
{
	struct lines *lines = userdata;
	struct lines_one *one;

	(void)line_number;
	if (lines->n % 1024 == 0) {
		one = reallocarray(lines->one, lines->n + 1024, sizeof(*one));
		if (!one) {
			lines->failed = -ENOMEM;
			return false;
		}
		lines->one = one;
	}
	one = &lines->one[lines->n++];
	*one = (struct lines_one){ .tally = lines_tally(line) };
	one->why_not = why_not_alone(lines->summary, line, &one->tally);
	return true;
}

/* ---- lines by each other ---- */

/* Those that nothing is wrong with by themselves, in their order. */
struct candidates {
	struct lines_one **one; /* borrowed */
	size_t n;
};

static bool fits(const void *userdata, size_t from, size_t to)
{
	const struct candidates *c = userdata;

	return shrunk(&c->one[from]->tally, &c->one[to]->tally) == SHRUNK_NOTHING;
}

static const char *const less_than_before[SHRUNK_N] = {
	NULL,
	"counts fewer crashes than the line before it",
	"has run for less time than the line before it",
	"counts fewer hours than the line before it",
	"counts fewer records than the line before it",
};

static const char *const more_than_after[SHRUNK_N] = {
	NULL,
	"counts more crashes than the lines after it",
	"has run for more time than the lines after it",
	"counts more hours than the lines after it",
	"counts more records than the lines after it",
};

/* Says of each that is not in the chain why: by the last of the chain before it ... */
static void blame_before(const struct candidates *c, const bool *in_chain)
{
	const struct lines_one *last = NULL;

	for (size_t i = 0; i < c->n; i++) {
		if (in_chain[i])
			last = c->one[i];
		else if (last)
			c->one[i]->why_not =
				less_than_before[shrunk(&last->tally, &c->one[i]->tally)];
	}
}

/* ... or, if it fits that one, by the next of the chain behind it. */
static void blame_after(const struct candidates *c, const bool *in_chain)
{
	const struct lines_one *next = NULL;

	for (size_t i = c->n; i-- > 0;) {
		struct lines_one *one = c->one[i];

		if (in_chain[i])
			next = one;
		else if (!one->why_not && next)
			one->why_not = more_than_after[shrunk(&one->tally, &next->tally)];
		if (!in_chain[i] && !one->why_not)
			one->why_not = "does not fit the lines around it";
	}
}

static int judge_together(const struct candidates *c)
{
	bool *in_chain = calloc(c->n + 1, sizeof(*in_chain));
	int r;

	if (!in_chain)
		return -ENOMEM;
	r = chain_find(c->n, fits, c, in_chain);
	if (r == 0) {
		blame_before(c, in_chain);
		blame_after(c, in_chain);
	}
	free(in_chain);
	return r;
}

int lines_find(struct lines *lines, const struct summary *summary, int dir_fd)
{
	struct candidates candidates = { 0 };
	int r;

	*lines = (struct lines){ .summary = summary };
	r = counters_read(dir_fd, collect, NULL, lines);
	if (r < 0 || lines->failed < 0)
		return r < 0 ? r : lines->failed;
	candidates.one = calloc(lines->n + 1, sizeof(struct lines_one *));
	if (!candidates.one)
		return -ENOMEM;
	for (size_t i = 0; i < lines->n; i++)
		if (!lines->one[i].why_not)
			candidates.one[candidates.n++] = &lines->one[i];
	r = judge_together(&candidates);
	free(candidates.one);
	return r;
}

void lines_done(struct lines *lines)
{
	free(lines->one);
	lines->one = NULL;
	lines->n = 0;
}

/* By what it counts: the file may have been rolled up since, which leaves some lines out. */
const char *lines_why_not(struct lines *lines, const struct summary_tally *tally)
{
	for (size_t i = lines->at; i < lines->n; i++) {
		if (memcmp(&lines->one[i].tally, tally, sizeof(*tally)) != 0)
			continue;
		lines->at = i + 1;
		return lines->one[i].why_not;
	}
	return LINES_LATER;
}
