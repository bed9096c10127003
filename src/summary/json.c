/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The schema is data/summary.schema.json and corefold-formats(5): keys are added, never
 * changed. What does change them raises the version.
 */

#define SCHEMA_VERSION 1

#include <string.h>

#include "policy/units.h"
#include "summary/summary.h"

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
	set(object, key, json_integer((json_int_t)value));
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static const char *news_name(enum known_news news)
{
	static const char *const names[] = { "known", "new", "back", "new-build" };

	return names[news];
}

static json_t *kind_json(const struct summary_kind *kind)
{
	json_t *json = json_object();

	set(json, "process", json_string(kind->process));
	set_count(json, "uid", kind->uid);
	set_count(json, "signal", (uint64_t)kind->signal);
	set(json, "signature", text_or_null(kind->signature));
	set(json, "signature_loose", text_or_null(kind->loose));
	set(json, "build_id", text_or_null(kind->build_id));
	set_count(json, "weight", kind->weight);
	set_count(json, "records", kind->records);
	set(json, "first_time", json_integer(kind->first_ns / NS_PER_SEC));
	set(json, "last_time", json_integer(kind->last_ns / NS_PER_SEC));
	set(json, "last_id", json_string(kind->last_id));
	set(json, "new", json_boolean(kind->news == KNOWN_NEW));
	set(json, "news", json_string(news_name(kind->news)));
	if (kind->news == KNOWN_BACK)
		set(json, "absent_seconds", json_integer(kind->absent_s));
	return json;
}

/* JSON knows no infinity and no "none": no crash, no mean. */
static void set_rate(json_t *json, uint64_t crashes, int64_t covered_ns)
{
	struct rate rate = rate_per_1000_hours(crashes, covered_ns);
	bool known = covered_ns > 0;

	set(json, "crashes_per_1000_hours", known ? json_real(rate.value) : json_null());
	set(json, "crashes_per_1000_hours_low", known ? json_real(rate.low) : json_null());
	set(json, "crashes_per_1000_hours_high", known ? json_real(rate.high) : json_null());
	set(json, "mean_seconds_between_crashes",
	    known && crashes ? json_real((double)covered_ns / 1e9 / (double)crashes) :
			       json_null());
}

static json_t *process_json(const struct summary_process *p, int64_t covered_ns)
{
	json_t *json = json_object();

	set(json, "process", json_string(p->process));
	set_count(json, "uid", p->uid);
	set_count(json, "crashes", p->counts.crashes);
	set_count(json, "folded", p->counts.folded);
	set_count(json, "kept", p->counts.kept);
	set_count(json, "kept_weight", p->counts.kept_weight);
	set_count(json, "pending", p->pending);
	set_count(json, "crashes_ever", p->ever.crashes);
	set(json, "throttled", json_boolean(p->throttled));
	set_rate(json, p->counts.crashes, covered_ns);
	return json;
}

static json_t *ratio_json(uint64_t part, uint64_t whole)
{
	return whole ? json_real((double)part / (double)whole) : json_null();
}

static json_t *hours_json(const struct summary *summary)
{
	const struct summary_tally *w = &summary->window_tally;
	json_t *json = json_object();

	set_count(json, "operational_hours", w->operational);
	set_count(json, "crashfree_hours", w->crashfree);
	set_count(json, "crashfree_slots", w->crashfree_slots);
	set(json, "crashfree_hours_ratio", ratio_json(w->crashfree, w->operational));
	set(json, "crashfree_slots_ratio", ratio_json(w->crashfree_slots, w->operational));
	set(json, "uncovered_seconds", json_integer(w->uncovered_s));
	set(json, "on_time_seconds", json_integer(w->on_time_s));
	set(json, "interval_seconds", json_real((double)summary->interval_ns / 1e9));
	set_count(json, "boots", w->boots);
	set(json, "unclean_shutdowns",
	    summary->stops_known ? json_integer((json_int_t)w->unclean) : json_null());
	return json;
}

static json_t *bound_json(int64_t ns)
{
	return ns == INT64_MIN || ns == INT64_MAX ? json_null() :
						    json_integer(ns / NS_PER_SEC);
}

static json_t *skipped_json(const struct summary *summary)
{
	json_t *array = json_array();

	for (size_t i = 0; i < summary->skipped_lines && i < SUMMARY_SKIPPED_MAX; i++)
		(void)json_array_append_new(
			array, json_pack("{s:s, s:I, s:s}", "file", "counters", "line",
					 (json_int_t)summary->skipped[i].line, "why",
					 summary->skipped[i].why));
	return array;
}

static json_t *blind_spots_json(const struct summary *summary)
{
	json_t *array = json_array();

	if (summary->suid_dumpable == 0)
		(void)json_array_append_new(array, json_string("suid_dumpable"));
	return array;
}

static void set_counts(json_t *json, const struct summary *summary)
{
	const struct summary_tally *w = &summary->window_tally;

	set_count(json, "crashes", w->crashes);
	set_count(json, "kept", w->kept);
	set_count(json, "folded", w->folded);
	set_count(json, "kept_weight", w->kept_weight);
	set_count(json, "unseen", w->unseen);
	set_count(json, "pending", summary->totals.pending);
	set_count(json, "in_flight", summary->totals.in_flight);
	set_count(json, "evicted", summary->totals.evicted);
	set_count(json, "crashes_ever", summary->ever.crashes);
	set_count(json, "other_crashes", summary->other_crashes);
	set_count(json, "records", summary->records);
	set_count(json, "records_weight", summary->records_weight);
	set_count(json, "records_unreadable", summary->unreadable);
	set_rate(json, w->crashes, summary_covered_ns(summary));
}

json_t *summary_json(const struct summary *summary)
{
	json_t *kinds = json_array(), *processes = json_array(), *json = json_object();

	for (size_t i = 0; i < summary->kinds; i++)
		(void)json_array_append_new(kinds, kind_json(&summary->kind[i]));
	for (size_t i = 0; i < summary->processes; i++)
		(void)json_array_append_new(processes,
					    process_json(&summary->process[i],
							 summary_covered_ns(summary)));
	set_count(json, "version", SCHEMA_VERSION);
	set(json, "time", json_integer(summary->now_ns / NS_PER_SEC));
	set(json, "since", bound_json(summary->window.since_ns));
	set(json, "until", bound_json(summary->window.until_ns));
	set(json, "news_since", json_integer(summary->news_since_s));
	set(json, "counted_since",
	    summary->counted_since_s < 0 ? json_null() : json_integer(summary->counted_since_s));
	set_counts(json, summary);
	set(json, "hours", hours_json(summary));
	set(json, "kinds", kinds);
	set(json, "processes", processes);
	set(json, "skipped_lines", skipped_json(summary));
	set_count(json, "skipped_lines_total", summary->skipped_lines);
	set(json, "blind_spots", blind_spots_json(summary));
	return json;
}
