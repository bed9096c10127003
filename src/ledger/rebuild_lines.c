/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Which lines of the counters a rebuild believes.
 *
 * Each line has all counts up to its moment, so a false one that comes last would become
 * the truth. One whose numbers do not add up is out by itself. The newest lines are judged
 * by each other, too: the longest chain is believed in which each can have been written
 * after the one before it, by the same machine, with nothing smaller, and not grown faster
 * than processes crash. Of chains as long it is the one that ends last.
 *
 * So lines wait among the newest until so many others have come. Then they are believed,
 * for those have replaced all they say but for processes that have not crashed since.
 */

#include "ledger/rebuild_internal.h"

#include <errno.h>
#include <string.h>

#include "ledger/counted.h"

/*
 * No machine crashes more often, for long; the day makes up for a clock that is set back,
 * behind which lines keep the newest date.
 */
#define CRASHES_A_SECOND 1000
#define CLOCK_SLACK_S 86400
/* Somebody ticks, or something crashes, more often than that. */
#define SILENCE_S (366ULL * 86400)

/* ---- a line by itself ---- */

/* crashes = kept weight + pending + in flight + evicted, and no number is beyond all bounds. */
static bool adds_up(const json_t *counted)
{
	static const char *const places[] = { "kept_weight", "pending", "in_flight", "evicted" };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (__builtin_add_overflow(sum, number(counted, places[i]), &sum))
			return false;
	return sum == number(counted, "crashes") && number(counted, "folded") <= sum;
}

/* Its date proves nothing: after a boot without a clock all of them are still to come. */
static bool can_be_true(const json_t *line)
{
	const json_t *process;
	size_t i;

	if (!adds_up(line))
		return false;
	json_array_foreach(json_object_get(line, "processes"), i, process)
		if (!adds_up(process) || number(process, "crashes") > number(line, "crashes"))
			return false;
	return true;
}

/* ---- a line and one before it ---- */

static bool of_one_machine(const json_t *a, const json_t *b)
{
	const char *x = text(a, "machine"), *y = text(b, "machine");

	return !x[0] || !y[0] || strcmp(x, y) == 0;
}

static bool shrinks(const json_t *from, const json_t *to)
{
	static const char *const growing[] = {
		"crashes", "kept", "kept_weight", "on_time_seconds", "uncovered_seconds",
		"operational_hours", "crashfree_hours", "crashfree_slots", "boots",
	};

	for (size_t i = 0; i < sizeof(growing) / sizeof(*growing); i++)
		if (number(to, growing[i]) < number(from, growing[i]))
			return true;
	return false;
}

/* By how much it has grown: 0 where it has not. */
static uint64_t growth(const json_t *from, const json_t *to, const char *key)
{
	uint64_t a = number(from, key), b = number(to, key);

	return b > a ? b - a : 0;
}

static bool grows_too_fast(const json_t *from, const json_t *to)
{
	uint64_t seconds = smaller(growth(from, to, "time"), SILENCE_S) + CLOCK_SLACK_S;

	return growth(from, to, "crashes") / CRASHES_A_SECOND > seconds ||
	       growth(from, to, "on_time_seconds") > SILENCE_S;
}

static bool can_follow(const json_t *from, const json_t *to)
{
	return of_one_machine(from, to) && !shrinks(from, to) && !grows_too_fast(from, to);
}

/* ---- the newest lines ---- */

/* The longest chain that ends with a line. */
struct chain {
	size_t length; /* 0: the line is in none */
	size_t before; /* the line it continues from; REBUILD_NEWEST: it begins here */
};

/* An old line that is there once more, behind newer ones, would be as good a last one. */
static bool repeats(json_t *const *lines, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (json_equal(lines[j], lines[i]))
			return true;
	return false;
}

static struct chain longest_chain(json_t *const *lines, size_t i, const struct chain *earlier)
{
	struct chain longest = { .length = 1, .before = REBUILD_NEWEST };

	if (repeats(lines, i))
		return (struct chain){ 0 };
	for (size_t j = 0; j < i; j++)
		if (earlier[j].length >= longest.length && can_follow(lines[j], lines[i]))
			longest = (struct chain){ .length = earlier[j].length + 1, .before = j };
	return longest;
}

/* Of lines[0..n), oldest first. */
static void choose(json_t *const *lines, size_t n, bool *ret_believed)
{
	struct chain chain[REBUILD_NEWEST];
	size_t last = 0;

	for (size_t i = 0; i < n; i++) {
		ret_believed[i] = false;
		chain[i] = longest_chain(lines, i, chain);
		if (chain[i].length >= chain[last].length)
			last = i;
	}
	for (size_t i = last; i < n; i = chain[i].before)
		ret_believed[i] = true;
}

/* ---- lines as they are read ---- */

static void leave_out(struct rebuild *rebuild)
{
	rebuild->lines_left_out++;
}

static void believe(struct rebuild *rebuild, json_t *line)
{
	if (rebuild_take_line(rebuild, line) < 0)
		rebuild->failed = -ENOMEM;
}

/* The oldest makes room. */
static void add_newest(struct rebuild *rebuild, json_t *line)
{
	struct rebuild_newest *newest = &rebuild->newest;

	if (newest->n == REBUILD_NEWEST) {
		believe(rebuild, newest->line[0]);
		json_decref(newest->line[0]);
		newest->n--;
		memmove(newest->line, newest->line + 1, newest->n * sizeof(*newest->line));
	}
	newest->line[newest->n++] = line;
}

bool rebuild_see_line(void *userdata, const json_t *line, unsigned int line_number)
{
	struct rebuild *rebuild = userdata;
	json_t *copy;

	(void)line_number;
	if (!can_be_true(line)) {
		leave_out(rebuild);
		return true;
	}
	copy = json_deep_copy(line);
	if (!copy)
		rebuild->failed = -ENOMEM;
	else
		add_newest(rebuild, copy);
	return rebuild->failed == 0;
}

void rebuild_judge_newest(struct rebuild *rebuild)
{
	struct rebuild_newest *newest = &rebuild->newest;
	bool believed[REBUILD_NEWEST];

	choose(newest->line, newest->n, believed);
	for (size_t i = 0; i < newest->n; i++) {
		if (believed[i])
			believe(rebuild, newest->line[i]);
		else
			leave_out(rebuild);
		json_decref(newest->line[i]);
	}
	newest->n = 0;
}
