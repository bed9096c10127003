/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "summary/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/counters.h"
#include "policy/units.h"

/* How many descents back a chain is looked for: who mixes more lines in loses some. */
#define RUNS_MAX 64

/* Written after the state was read: the next summary has it. */
const char *const LINES_LATER = "later";

uint64_t lines_number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

struct summary_tally lines_tally(const json_t *line)
{
	return (struct summary_tally){
		.crashes = lines_number(line, "crashes"),
		.folded = lines_number(line, "folded"),
		.kept = lines_number(line, "kept"),
		.kept_weight = lines_number(line, "kept_weight"),
		.unseen = lines_number(line, "unseen"),
		.operational = lines_number(line, "operational_hours"),
		.crashfree = lines_number(line, "crashfree_hours"),
		.crashfree_slots = lines_number(line, "crashfree_slots"),
		.boots = lines_number(line, "boots"),
		.unclean = lines_number(line, "unclean_shutdowns"),
		.on_time_s = (int64_t)lines_number(line, "on_time_seconds"),
		.uncovered_s = (int64_t)lines_number(line, "uncovered_seconds"),
	};
}

/* ---- two lines ---- */

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

static const char *const more_than_now[SHRUNK_N] = {
	NULL,
	"counts more crashes than there have been",
	"has run for more time than there has been",
	"counts more hours than there have been",
	"counts more records than there have been",
};

/* ---- one line ---- */

static const char *why_not_alone(const struct summary *summary, const json_t *line,
				 const struct summary_tally *tally)
{
	const char *machine = json_string_value(json_object_get(line, "machine"));
	uint64_t now_s = (uint64_t)(summary->now_ns / NS_PER_SEC);
	uint64_t time_s = lines_number(line, "time");
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
	*one = (struct lines_one){ .tally = lines_tally(line), .before = LINES_NONE };
	one->why_not = why_not_alone(lines->summary, line, &one->tally);
	return true;
}

/* ---- the most that fit each other ---- */

static bool fits(const struct lines *lines, size_t from, size_t to)
{
	return shrunk(&lines->one[from].tally, &lines->one[to].tally) == SHRUNK_NOTHING;
}

/* Lines that grow from each to the next; none of them is out for its own sake. */
struct run {
	size_t first;
	size_t last;
};

/* The last of the run that `to` can follow, LINES_NONE if none. */
static size_t last_fitting(const struct lines *lines, const size_t *index,
			   const struct run *run, size_t to)
{
	size_t low = run->first, high = run->last + 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (fits(lines, index[middle], to))
			low = middle + 1;
		else
			high = middle;
	}
	return low > run->first ? index[low - 1] : LINES_NONE;
}

static void chain_behind(struct lines *lines, size_t before, size_t to)
{
	struct lines_one *one = &lines->one[to];
	size_t length = before == LINES_NONE ? 1 : lines->one[before].length + 1;

	if (length < one->length)
		return;
	one->length = length;
	one->before = before;
}

/*
 * Chains only grow along a run, so of each earlier run its last fitting line is the best
 * to follow. Of two as long the earlier is taken: it was there first. `index`: those that may be in a chain.
 */
static void find_chains(struct lines *lines, const size_t *index, size_t n)
{
	struct run run[RUNS_MAX] = { 0 };
	size_t runs = 0;

	for (size_t i = 0; i < n; i++) {
		chain_behind(lines, LINES_NONE, index[i]);
		if (i == 0 || !fits(lines, index[i - 1], index[i]))
			run[runs++ % RUNS_MAX].first = i;
		else
			chain_behind(lines, index[i - 1], index[i]);
		for (size_t r = 2; r <= runs && r <= RUNS_MAX; r++) {
			size_t before = last_fitting(lines, index, &run[(runs - r) % RUNS_MAX],
						     index[i]);

			if (before != LINES_NONE)
				chain_behind(lines, before, index[i]);
		}
		run[(runs - 1) % RUNS_MAX].last = i;
	}
}

/* Says of all that are not in the longest chain why. */
static void tell_others(struct lines *lines, const size_t *index, size_t n)
{
	size_t after = LINES_NONE, chain = LINES_NONE;

	for (size_t i = 0; i < n; i++)
		if (chain == LINES_NONE || lines->one[index[i]].length > lines->one[chain].length)
			chain = index[i];
	for (size_t i = n; i > 0; i--) {
		struct lines_one *one = &lines->one[index[i - 1]];
		enum shrunk back = SHRUNK_NOTHING, over = SHRUNK_NOTHING;

		if (index[i - 1] == chain) {
			after = chain;
			chain = one->before;
			continue;
		}
		if (chain != LINES_NONE)
			back = shrunk(&lines->one[chain].tally, &one->tally);
		if (after != LINES_NONE)
			over = shrunk(&one->tally, &lines->one[after].tally);
		one->why_not = less_than_before[back] ?: more_than_after[over] ?:
							 "does not fit the lines around it";
	}
}

int lines_find(struct lines *lines, const struct summary *summary, int dir_fd)
{
	size_t *index, n = 0;
	int r;

	*lines = (struct lines){ .summary = summary };
	r = counters_read(dir_fd, collect, NULL, lines);
	if (r < 0 || lines->failed < 0)
		return r < 0 ? r : lines->failed;
	index = calloc(lines->n + 1, sizeof(*index));
	if (!index)
		return -ENOMEM;
	for (size_t i = 0; i < lines->n; i++)
		if (!lines->one[i].why_not)
			index[n++] = i;
	find_chains(lines, index, n);
	tell_others(lines, index, n);
	free(index);
	return 0;
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
