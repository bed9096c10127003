/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "summary/series.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"

#define NEW_FILE ".series.new"
#define FILE_BYTES_MAX (256 << 10)

/* ---- the file ---- */

static json_t *counts_json(const struct summary_counts *c)
{
	return json_pack("[I, I, I, I]", (json_int_t)c->crashes, (json_int_t)c->folded,
			 (json_int_t)c->kept, (json_int_t)c->kept_weight);
}

static uint64_t item(const json_t *array, size_t i)
{
	json_int_t value = json_integer_value(json_array_get(array, i));

	return value > 0 ? (uint64_t)value : 0;
}

static struct summary_counts counts_of(const json_t *array)
{
	return (struct summary_counts){ item(array, 0), item(array, 1), item(array, 2),
					item(array, 3) };
}

static void read_entries(struct series *series, const json_t *entries)
{
	json_t *json;
	size_t i;

	json_array_foreach(entries, i, json) {
		struct series_entry *e = &series->entry[series->n];
		const char *process = json_string_value(json_object_get(json, "process"));

		if (series->n == SERIES_MAX || !process)
			continue;
		*e = (struct series_entry){
			.uid = (uint32_t)json_integer_value(json_object_get(json, "uid")),
			.first_ms = json_integer_value(json_object_get(json, "first_ms")),
			.base = counts_of(json_object_get(json, "base")),
			.last = counts_of(json_object_get(json, "last")),
		};
		(void)snprintf(e->process, sizeof(e->process), "%s", process);
		series->n++;
	}
}

/* A tally is so many counts of 64 bits; their order is that of the file. */
#define TALLY_COUNTS (sizeof(struct summary_tally) / sizeof(uint64_t))
_Static_assert(TALLY_COUNTS * sizeof(uint64_t) == sizeof(struct summary_tally) &&
		       TALLY_COUNTS == 12,
	       "a count more in a tally is a count more at the end of `ever`");

static json_t *tally_json(const struct summary_tally *tally)
{
	uint64_t count[TALLY_COUNTS];
	json_t *array = json_array();

	memcpy(count, tally, sizeof(count));
	for (size_t i = 0; i < TALLY_COUNTS; i++)
		(void)json_array_append_new(array, json_integer((json_int_t)count[i]));
	return array;
}

static void read_tally(struct summary_tally *tally, const json_t *array)
{
	uint64_t count[TALLY_COUNTS];

	for (size_t i = 0; i < TALLY_COUNTS; i++)
		count[i] = item(array, i);
	memcpy(tally, count, sizeof(count));
}

static uint64_t machine_of(const json_t *json)
{
	const char *text = json_string_value(json_object_get(json, "machine"));

	return text ? strtoull(text, NULL, 16) : 0;
}

int series_read(struct series *series, int dir_fd)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	json_t *json;
	int r;

	*series = (struct series){ .fresh = true };
	r = dir_read_file(dir_fd, SERIES_FILE, FILE_BYTES_MAX, &text, &bytes);
	if (r != 0)
		return r == -ENOENT ? 0 : r;
	json = json_loadb(text, bytes, 0, NULL);
	if (json) {
		series->fresh = false;
		series->retired = counts_of(json_object_get(json, "retired"));
		series->machine = machine_of(json);
		series->other = counts_of(json_object_get(json, "other"));
		read_tally(&series->ever, json_object_get(json, "ever"));
		read_entries(series, json_object_get(json, "series"));
	}
	json_decref(json);
	return 0;
}

static json_t *series_json(const struct series *series)
{
	json_t *entries = json_array();
	char machine[20];

	for (size_t i = 0; i < series->n; i++) {
		const struct series_entry *e = &series->entry[i];

		(void)json_array_append_new(
			entries, json_pack("{s:I, s:s, s:I, s:o, s:o}", "uid", (json_int_t)e->uid,
					   "process", e->process, "first_ms",
					   (json_int_t)e->first_ms, "base", counts_json(&e->base),
					   "last", counts_json(&e->last)));
	}
	(void)snprintf(machine, sizeof(machine), "%016" PRIx64, series->machine);
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "machine", machine, "ever",
			 tally_json(&series->ever), "other", counts_json(&series->other),
			 "retired", counts_json(&series->retired),
			 "series", entries);
}

int series_write(const struct series *series, int dir_fd)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	json_t *json = series_json(series);
	int r;

	text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	if (!text)
		return -ENOMEM;
	r = dir_open_file(dir_fd, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC, &fd);
	if (r == 0)
		r = dir_write_all(fd, text, strlen(text));
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, NEW_FILE, dir_fd, SERIES_FILE) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, NEW_FILE, 0); /* a full disk: what is half there is nobody's */
	return r > 0 ? -EPERM : r;
}

/* ---- keeping it ---- */

static struct summary_counts less(struct summary_counts a, struct summary_counts b)
{
	return (struct summary_counts){
		a.crashes > b.crashes ? a.crashes - b.crashes : 0,
		a.folded > b.folded ? a.folded - b.folded : 0,
		a.kept > b.kept ? a.kept - b.kept : 0,
		a.kept_weight > b.kept_weight ? a.kept_weight - b.kept_weight : 0,
	};
}

static void add(struct summary_counts *sum, struct summary_counts c)
{
	sum->crashes += c.crashes;
	sum->folded += c.folded;
	sum->kept += c.kept;
	sum->kept_weight += c.kept_weight;
}

struct summary_counts series_value(const struct series_entry *entry)
{
	return less(entry->last, entry->base);
}

static struct series_entry *find(struct series *series, const struct summary_process *p)
{
	for (size_t i = 0; i < series->n; i++) {
		struct series_entry *e = &series->entry[i];

		if (e->uid == p->uid && e->first_ms == p->first_ms &&
		    strcmp(e->process, p->process) == 0)
			return e;
	}
	return NULL;
}

/* A fold that turned out novel is one fold less; the counter waits until it is made up for. */
static void raise(struct summary_counts *last, const struct summary_counts *now)
{
	last->crashes = now->crashes > last->crashes ? now->crashes : last->crashes;
	last->folded = now->folded > last->folded ? now->folded : last->folded;
	last->kept = now->kept > last->kept ? now->kept : last->kept;
	last->kept_weight = now->kept_weight > last->kept_weight ? now->kept_weight :
								   last->kept_weight;
}

static void raise_tally(struct summary_tally *last, const struct summary_tally *now)
{
	uint64_t most[TALLY_COUNTS], count[TALLY_COUNTS];

	memcpy(most, last, sizeof(most));
	memcpy(count, now, sizeof(count));
	for (size_t i = 0; i < TALLY_COUNTS; i++)
		most[i] = count[i] > most[i] ? count[i] : most[i];
	memcpy(last, most, sizeof(most));
}

static void end_those_gone(struct series *series)
{
	size_t kept = 0;

	for (size_t i = 0; i < series->n; i++) {
		if (series->entry[i].gone)
			add(&series->retired, series_value(&series->entry[i]));
		else
			series->entry[kept++] = series->entry[i];
	}
	series->n = kept;
}

/* Of those in the state and without a series, the one with most crashes. */
static const struct summary_process *next(struct series *series, const struct summary *summary)
{
	const struct summary_process *best = NULL;

	for (size_t i = 0; i < summary->processes; i++) {
		const struct summary_process *p = &summary->process[i];

		if (p->ever.crashes > 0 && (!best || p->ever.crashes > best->ever.crashes) &&
		    !find(series, p))
			best = p;
	}
	return best;
}

static void begin(struct series *series, const struct summary_process *p)
{
	struct series_entry *e = &series->entry[series->n++];

	*e = (struct series_entry){ .uid = p->uid, .first_ms = p->first_ms, .last = p->ever };
	memcpy(e->process, p->process, sizeof(e->process));
	if (!series->fresh)
		e->base = p->ever;
}

static struct summary_counts without_series(const struct series *series)
{
	struct summary_counts other = { series->ever.crashes, series->ever.folded,
					series->ever.kept, series->ever.kept_weight };

	for (size_t i = 0; i < series->n; i++)
		other = less(other, series_value(&series->entry[i]));
	return less(other, series->retired);
}

void series_update(struct series *series, const struct summary *summary)
{
	const struct summary_process *p;
	struct summary_counts other;

	/* Another state's numbers say nothing of this one's. A file of old has no machine. */
	if (series->machine && series->machine != summary->machine)
		*series = (struct series){ .fresh = true };
	series->machine = summary->machine;
	raise_tally(&series->ever, &summary->ever);
	for (size_t i = 0; i < series->n; i++)
		series->entry[i].gone = true;
	for (size_t i = 0; i < summary->processes; i++) {
		struct series_entry *e = find(series, &summary->process[i]);

		if (!e || summary->process[i].ever.crashes == 0)
			continue;
		e->gone = false;
		raise(&e->last, &summary->process[i].ever);
	}
	end_those_gone(series);
	while (series->n < SERIES_MAX && (p = next(series, summary)))
		begin(series, p);
	other = without_series(series);
	raise(&series->other, &other);
}
