/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Which lines of the counters a rebuild believes. What they count can only grow, and only
 * as fast as processes crash; a line may be false all the same, and as the last one it
 * would become the truth. So the newest lines are judged by each other: the most of them
 * that fit are believed, and of as many the later. Older ones are judged alone, for a
 * newer one has replaced all they say but for processes that have not crashed since.
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
static bool possible(const json_t *line)
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

static bool leaps(const json_t *from, const json_t *to)
{
	uint64_t seconds = smaller(growth(from, to, "time"), SILENCE_S) + CLOCK_SLACK_S;

	return growth(from, to, "crashes") / CRASHES_A_SECOND > seconds ||
	       growth(from, to, "on_time_seconds") > SILENCE_S;
}

static bool fits(const json_t *from, const json_t *to)
{
	return of_one_machine(from, to) && !shrinks(from, to) && !leaps(from, to);
}

/* An old line that is there once more, behind newer ones, would be as good a last one. */
static bool repeats(json_t *const *lines, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (json_equal(lines[j], lines[i]))
			return true;
	return false;
}

/* Marks what is believed of lines[0..n), oldest first. */
static void choose(json_t *const *lines, size_t n, bool *ret_believed)
{
	size_t length[REBUILD_NEWEST], before[REBUILD_NEWEST], last = 0;

	for (size_t i = 0; i < n; i++) {
		length[i] = repeats(lines, i) ? 0 : 1;
		before[i] = n;
		ret_believed[i] = false;
		if (length[i] == 0)
			continue;
		for (size_t j = 0; j < i; j++)
			if (length[j] >= length[i] && fits(lines[j], lines[i])) {
				length[i] = length[j] + 1;
				before[i] = j;
			}
		if (length[i] >= length[last])
			last = i;
	}
	for (size_t i = last; i < n; i = before[i])
		ret_believed[i] = true;
}

/* ---- as they come ---- */

static void leave_out(struct rebuild *rebuild)
{
	rebuild->lines_left_out++;
}

static void believe(struct rebuild *rebuild, json_t *line)
{
	if (rebuild_take_line(rebuild, line) < 0)
		rebuild->failed = -ENOMEM;
}

bool rebuild_see_line(void *userdata, const json_t *line, unsigned int line_number)
{
	struct rebuild *rebuild = userdata;
	struct rebuild_newest *newest = &rebuild->newest;
	json_t *copy;

	(void)line_number;
	if (!possible(line)) {
		leave_out(rebuild);
		return true;
	}
	copy = json_deep_copy(line);
	if (!copy) {
		rebuild->failed = -ENOMEM;
		return false;
	}
	if (newest->n == REBUILD_NEWEST) {
		believe(rebuild, newest->line[0]);
		json_decref(newest->line[0]);
		newest->n--;
		memmove(newest->line, newest->line + 1, newest->n * sizeof(*newest->line));
	}
	newest->line[newest->n++] = copy;
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
