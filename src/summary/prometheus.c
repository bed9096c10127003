/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Text format 0.0.4, for node_exporter's textfile collector. Base units (seconds),
 * counters end in _total and never go backwards; labels are bounded (see series.h).
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/cleanup.h"
#include "policy/units.h"
#include "summary/series.h"

#define SIGNATURES_MAX 20

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP corefold_%s %s\n# TYPE corefold_%s %s\n", name, help, name,
		      type);
}

static void metric(FILE *out, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	head(out, name, type, help);
	(void)fprintf(out, "corefold_%s %" PRIu64 "\n", name, value);
}

/* Inside the quotes of a label. */
static void label(FILE *out, const char *name, const char *value)
{
	(void)fprintf(out, "%s=\"", name);
	for (const char *p = value; *p; p++) {
		if (*p == '\\' || *p == '"')
			(void)fputc('\\', out);
		if (*p == '\n')
			(void)fputs("\\n", out);
		else
			(void)fputc(*p, out);
	}
	(void)fputc('"', out);
}

/* ---- the machine ---- */

/* KEY=value or KEY="value" of os-release(5); cut at what could not be in a version. */
static void read_os_release(const char *key, char out[static 64])
{
	_cleanup_fclose_ FILE *file = fopen("/etc/os-release", "re");
	size_t n = strlen(key);
	char line[256];

	out[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		const char *value = line + n + 1;

		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		value += *value == '"';
		(void)snprintf(out, 64, "%.*s", (int)strcspn(value, "\"\n"), value);
	}
}

static void print_info(FILE *out)
{
	static const char *const keys[][2] = { { "os_id", "ID" },
					       { "os_version_id", "VERSION_ID" },
					       { "os_build_id", "BUILD_ID" },
					       { "image_version", "IMAGE_VERSION" } };

	head(out, "build_info", "gauge", "The version of corefold, as a label.");
	(void)fputs("corefold_build_info{version=\"" COREFOLD_VERSION "\"} 1\n", out);
	head(out, "host_info", "gauge", "What the host runs, from os-release, as labels.");
	(void)fputs("corefold_host_info{", out);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char value[64];

		read_os_release(keys[i][1], value);
		(void)fputs(i ? "," : "", out);
		label(out, keys[i][0], value);
	}
	(void)fputs("} 1\n", out);
}

static void print_totals(const struct summary *summary, const struct summary_tally *t, FILE *out)
{
	metric(out, "crashes_total", "counter", "Crashes counted.", t->crashes);
	metric(out, "folded_crashes_total", "counter",
	       "Crashes that were not kept but folded into a later record.", t->folded);
	metric(out, "records_total", "counter", "Records kept.", t->kept);
	metric(out, "recorded_crashes_total", "counter",
	       "Crashes that the kept records stand for (their weight).", t->kept_weight);
	metric(out, "unseen_crashes_total", "counter",
	       "Crashes that never reached corefold, by the kernel log: a lower bound.",
	       t->unseen);
	metric(out, "pending_crashes", "gauge", "Folded crashes that no record stands for yet.",
	       summary->totals.pending);
	metric(out, "in_flight_crashes", "gauge", "Crashes being kept at this moment.",
	       summary->totals.in_flight);
	metric(out, "evicted_crashes", "gauge",
	       "Folded crashes of processes forgotten since the last tick.",
	       summary->totals.evicted);
}

static void print_seconds(FILE *out, const char *name, const char *labels, int64_t ns)
{
	char text[UNITS_SIZE];

	(void)fprintf(out, "corefold_%s%s %s\n", name, labels, units_format_seconds(ns, text));
}

static int64_t whole_hours_ns(const struct summary *summary, uint64_t hours)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)hours, summary->interval_ns, &ns))
		return INT64_MAX;
	return ns;
}

static void print_hours(const struct summary *summary, const struct summary_tally *t, FILE *out)
{
	head(out, "on_time_seconds_total", "counter", "Time the machine ran, over all boots.");
	print_seconds(out, "on_time_seconds_total", "", t->on_time_s * NS_PER_SEC);
	head(out, "uncovered_seconds_total", "counter",
	     "Of it, time while crashes did not come to corefold.");
	print_seconds(out, "uncovered_seconds_total", "", t->uncovered_s * NS_PER_SEC);
	head(out, "operational_seconds_total", "counter",
	     "Operational time in whole intervals ([Hours] Interval).");
	print_seconds(out, "operational_seconds_total", "",
		      whole_hours_ns(summary, t->operational));
	head(out, "crash_free_seconds_total", "counter",
	     "Crash-free time in whole intervals: rolling from start or last crash, or slots.");
	print_seconds(out, "crash_free_seconds_total", "{definition=\"rolling\"}",
		      whole_hours_ns(summary, t->crashfree));
	print_seconds(out, "crash_free_seconds_total", "{definition=\"slots\"}",
		      whole_hours_ns(summary, t->crashfree_slots));
	metric(out, "boots_total", "counter", "Boots seen.", t->boots);
	if (summary->stops_known)
		metric(out, "unclean_shutdowns_total", "counter",
		       "Boots that ended without a shutdown.", t->unclean);
	head(out, "last_update_timestamp_seconds", "gauge", "When these numbers were written.");
	print_seconds(out, "last_update_timestamp_seconds", "",
		      summary->now_ns / NS_PER_SEC * NS_PER_SEC);
}

/* ---- processes ---- */

static void process_labels(FILE *out, const char *name, const struct series_entry *e)
{
	(void)fprintf(out, "corefold_%s{", name);
	label(out, "process", e ? e->process : "other");
	(void)fputc(',', out);
	if (e)
		(void)fprintf(out, "uid=\"%u\"", e->uid);
	else
		(void)fputs("uid=\"\"", out);
	(void)fputs("} ", out);
}

static void print_process_counter(const struct series *series, const char *name,
				  const char *help, size_t offset, FILE *out)
{
	struct summary_counts value;

	head(out, name, "counter", help);
	for (size_t i = 0; i < series->n; i++) {
		value = series_value(&series->entry[i]);
		process_labels(out, name, &series->entry[i]);
		(void)fprintf(out, "%" PRIu64 "\n", *(uint64_t *)((char *)&value + offset));
	}
	value = series->other;
	process_labels(out, name, NULL);
	(void)fprintf(out, "%" PRIu64 "\n", *(uint64_t *)((char *)&value + offset));
}

static const struct summary_process *process_of(const struct summary *summary,
						const struct series_entry *e)
{
	for (size_t i = 0; i < summary->processes; i++)
		if (summary->process[i].uid == e->uid &&
		    strcmp(summary->process[i].process, e->process) == 0)
			return &summary->process[i];
	return NULL;
}

static void print_loops(const struct series *series, const struct summary *summary, FILE *out)
{
	uint64_t looping = 0;

	for (size_t i = 0; i < summary->processes; i++)
		looping += summary->process[i].throttled;
	metric(out, "crash_looping_processes", "gauge", "Processes in a crash loop now.", looping);
	if (series->n == 0)
		return;
	head(out, "process_crash_looping", "gauge", "1 while the process is in a crash loop.");
	for (size_t i = 0; i < series->n; i++) {
		const struct summary_process *p = process_of(summary, &series->entry[i]);

		process_labels(out, "process_crash_looping", &series->entry[i]);
		(void)fprintf(out, "%d\n", p && p->throttled);
	}
}

/* ---- signatures ---- */

static int compare_newest(const void *a, const void *b)
{
	const struct known_signature *x = a, *y = b;

	return (x->first_s < y->first_s) - (x->first_s > y->first_s);
}

/* The newest ones, so that a fleet can see the same one appear on many machines. */
static int print_signatures(const struct summary *summary, int dir_fd, FILE *out)
{
	struct known known = KNOWN_NULL;
	int r;

	(void)summary;
	r = known_read(&known, dir_fd);
	if (r < 0 || known.entries == 0) {
		known_done(&known);
		return r;
	}
	qsort(known.entry, known.entries, sizeof(*known.entry), compare_newest);
	head(out, "signature_first_seen_timestamp_seconds", "gauge",
	     "When a signature was first seen here; the newest ones only.");
	for (size_t i = 0; i < known.entries && i < SIGNATURES_MAX; i++) {
		const struct known_signature *e = &known.entry[i];

		(void)fputs("corefold_signature_first_seen_timestamp_seconds{", out);
		label(out, "process", e->process);
		(void)fprintf(out, ",uid=\"%u\",", e->uid);
		label(out, "signature", e->signature);
		(void)fprintf(out, "} %" PRId64 "\n", e->first_s);
	}
	known_done(&known);
	return 0;
}

int summary_prometheus(const struct summary *summary, int dir_fd, bool remember, FILE *out)
{
	struct series series = SERIES_NULL;
	int r;

	r = series_read(&series, dir_fd);
	if (r < 0)
		return r;
	series_update(&series, summary);
	if (remember) {
		r = series_write(&series, dir_fd);
		if (r < 0)
			return r;
	}
	print_info(out);
	print_totals(summary, &series.ever, out);
	print_hours(summary, &series.ever, out);
	print_process_counter(&series, "process_crashes_total",
			      "Crashes by process; the rest is \"other\".",
			      offsetof(struct summary_counts, crashes), out);
	print_process_counter(&series, "process_folded_crashes_total",
			      "Folded crashes by process; the rest is \"other\".",
			      offsetof(struct summary_counts, folded), out);
	print_loops(&series, summary, out);
	return print_signatures(summary, dir_fd, out);
}
