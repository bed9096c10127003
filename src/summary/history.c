/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "summary/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/counters.h"
#include "ledger/counted.h"
#include "policy/units.h"
#include "summary/lines.h"

#define DAY_S 86400

int history_init(struct history *history, struct summary *summary)
{
	const struct summary_window *window = &summary->window;

	*history = (struct history){
		.summary = summary,
		.since_s = window->since_ns == INT64_MIN ? INT64_MIN :
							   window->since_ns / NS_PER_SEC,
		.until_s = window->until_ns == INT64_MAX ? INT64_MAX :
							   window->until_ns / NS_PER_SEC,
		.latest_s = INT64_MIN,
	};
	history->life = calloc(HISTORY_LIVES, sizeof(*history->life));
	return history->life ? 0 : -ENOMEM;
}

void history_done(struct history *history)
{
	for (size_t i = 0; history->life && i < HISTORY_LIVES; i++)
		free(history->life[i].series);
	free(history->life);
	history->life = NULL;
	lines_done(&history->lines);
}

/* ---- parts of a line ---- */

static struct summary_counts counts_of(const json_t *object)
{
	return (struct summary_counts){
		.crashes = number(object, "crashes"),
		.folded = number(object, "folded"),
		.kept = number(object, "kept"),
		.kept_weight = number(object, "kept_weight"),
	};
}

/* ---- lines that do not belong here ---- */

static void skip(struct history *history, unsigned int line, const char *why)
{
	struct summary *summary = history->summary;
	struct summary_skipped *skipped;

	if (summary->skipped_lines++ >= SUMMARY_SKIPPED_MAX)
		return;
	skipped = &summary->skipped[summary->skipped_lines - 1];
	skipped->line = line;
	(void)snprintf(skipped->why, sizeof(skipped->why), "%s", why);
}

static void bad_line(void *userdata, unsigned int line, const char *why)
{
	skip(userdata, line, why);
}

/* ---- steps ---- */

/* Where a moment falls; false: outside. */
static bool bin_of(const struct summary_bins *bins, int64_t time_s, unsigned int fine,
		   size_t *ret_bin)
{
	int64_t width_s = bins->width_s / fine;

	if (width_s == 0 || time_s < bins->start_s)
		return false;
	*ret_bin = (size_t)((time_s - bins->start_s) / width_s);
	return *ret_bin < bins->n * fine;
}

/* Whole days, as many to a bin as it takes; the first line tells where to begin. */
static void start_bins(struct history *history, int64_t first_s)
{
	struct summary_bins *bins = &history->summary->bins;
	int64_t now_s = history->summary->now_ns / NS_PER_SEC;
	int64_t end_s = history->until_s < now_s ? history->until_s - 1 : now_s;
	int64_t days;

	if (first_s < history->since_s)
		first_s = history->since_s;
	if (!bins->wanted || bins->width_s || end_s < first_s)
		return;
	bins->start_s = first_s - (first_s % DAY_S + DAY_S) % DAY_S;
	days = (end_s - bins->start_s) / DAY_S + 1;
	bins->width_s = (days + SUMMARY_BINS - 1) / SUMMARY_BINS * DAY_S;
	bins->n = (size_t)((days * DAY_S + bins->width_s - 1) / bins->width_s);
}

static void bin_tally(struct history *history, const struct summary_tally *to, int64_t time_s)
{
	struct summary_bins *bins = &history->summary->bins;
	const struct summary_tally *from = &history->last;
	size_t bin;

	if (!bin_of(bins, time_s, 1, &bin))
		return;
	bins->crashes[bin] += summary_less(to->crashes, from->crashes);
	bins->operational[bin] += summary_less(to->operational, from->operational);
	bins->crashfree_slots[bin] +=
		summary_less(to->crashfree_slots, from->crashfree_slots);
}

static void bin_life(struct history *history, struct history_life *life,
		     const struct summary_counts *to, int64_t time_s)
{
	const struct summary_bins *bins = &history->summary->bins;
	size_t bin;

	if (!bins->wanted)
		return;
	if (!life->series)
		life->series = calloc(1, sizeof(*life->series));
	if (!life->series)
		return; /* no picture of it */
	if (bin_of(bins, time_s, 1, &bin))
		life->series->crashes[bin] += summary_less(to->crashes, life->last.crashes);
	if (bin_of(bins, time_s, SUMMARY_FINE, &bin))
		life->series->folded[bin] += summary_less(to->folded, life->last.folded);
}

static struct history_life *find_life(struct history *history, uint32_t uid,
				      const char *process, int64_t first_ms)
{
	char name[NAME_SIZE] = "";
	size_t at;

	(void)snprintf(name, sizeof(name), "%s", process);
	at = name_hash(name, strlen(name)) ^ uid * 2654435761U ^ (uint64_t)first_ms * 40503U;
	for (;; at++) {
		struct history_life *life = &history->life[at % HISTORY_LIVES];

		if (life->used && (life->uid != uid || life->first_ms != first_ms ||
				   strcmp(life->process, name) != 0))
			continue;
		if (life->used)
			return life;
		if (history->lives == HISTORY_LIVES * 3 / 4)
			return NULL;
		history->lives++;
		*life = (struct history_life){ .uid = uid, .first_ms = first_ms, .used = true };
		memcpy(life->process, name, sizeof(name));
		return life;
	}
}

static void step_life(struct history *history, struct history_life *life,
		      const struct summary_counts *to, int64_t time_s)
{
	if (time_s >= history->until_s || to->crashes < life->last.crashes)
		return;
	if (time_s >= history->since_s)
		bin_life(history, life, to, time_s);
	else
		life->since = *to;
	life->last = *to;
}

static struct history_life *life_of(struct history *history, const json_t *object)
{
	const char *process = json_string_value(json_object_get(object, "process"));

	if (!process)
		return NULL;
	return find_life(history, (uint32_t)number(object, "uid"), process,
			 json_integer_value(json_object_get(object, "first_ms")));
}

static void step_processes(struct history *history, const json_t *line, int64_t time_s)
{
	json_t *object;
	size_t i;

	json_array_foreach(json_object_get(line, "processes"), i, object) {
		struct summary_counts counts = counts_of(object);
		struct history_life *life = life_of(history, object);

		if (life)
			step_life(history, life, &counts, time_s);
	}
}

/*
 * Of a process there cannot be more than of all, nor more than the state has counted in
 * its life.
 */
static const char *process_beyond(struct history *history, const json_t *line,
				  const struct summary_tally *tally)
{
	json_t *object;
	size_t i;

	json_array_foreach(json_object_get(line, "processes"), i, object) {
		struct summary_counts counts = counts_of(object);
		const struct history_life *life = life_of(history, object);
		uint64_t most = life && life->most ? life->most : tally->crashes;

		if (counts.crashes > most || counts.crashes > tally->crashes ||
		    counts.folded > counts.crashes || counts.kept_weight > counts.crashes)
			return "counts more of a process than there have been";
	}
	return NULL;
}

static void step_tally(struct history *history, const struct summary_tally *to, int64_t time_s)
{
	if (time_s >= history->until_s)
		return;
	start_bins(history, time_s);
	if (time_s >= history->since_s) {
		bin_tally(history, to, time_s);
	} else {
		history->since = *to;
		history->summary->counted_since_s = time_s;
	}
	history->last = *to;
}

static bool take_line(void *userdata, const json_t *line, unsigned int line_number)
{
	struct history *history = userdata;
	struct summary_tally tally = lines_tally(line);
	const char *why = lines_why_not(&history->lines, &tally);
	int64_t time_s = (int64_t)number(line, "time");

	if (!why)
		why = process_beyond(history, line, &tally);
	if (why == LINES_LATER)
		return true;
	if (why) {
		skip(history, line_number, why);
		return true;
	}
	if (time_s > history->latest_s)
		history->latest_s = time_s;
	step_tally(history, &tally, history->latest_s);
	step_processes(history, line, history->latest_s);
	return true;
}

/* What the lives that still last have come to. */
static void take_most(struct history *history)
{
	const struct summary *summary = history->summary;

	for (size_t i = 0; i < summary->processes; i++) {
		const struct summary_process *p = &summary->process[i];
		struct history_life *life =
			find_life(history, p->uid, p->process, p->first_ms);

		if (life)
			life->most = p->ever.crashes;
	}
}

int history_read(struct history *history, int dir_fd)
{
	int r;

	take_most(history);
	r = lines_find(&history->lines, history->summary, dir_fd);
	if (r == 0)
		r = counters_read(dir_fd, take_line, bad_line, history);
	return r == -ENOENT ? 0 : r;
}

void history_put(struct history *history, uint32_t uid, const char *process,
		 int64_t first_ms, const struct summary_counts *now, int64_t now_s)
{
	struct history_life *life = find_life(history, uid, process, first_ms);

	if (life && history->until_s == INT64_MAX)
		step_life(history, life, now, now_s);
}

void history_put_tally(struct history *history, const struct summary_tally *now, int64_t now_s)
{
	if (history->until_s == INT64_MAX)
		step_tally(history, now, now_s);
}
