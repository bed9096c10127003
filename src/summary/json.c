/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdlib.h>

#include "policy/units.h"
#include "summary/summary.h"

static json_t *kind_json(const struct summary *summary, const struct summary_kind *kind)
{
	json_t *json = json_pack("{s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:s, s:b}", "process",
				 kind->process, "uid", (json_int_t)kind->uid, "signal",
				 kind->signal, "weight", (json_int_t)kind->weight, "records",
				 (json_int_t)kind->records, "first_time",
				 (json_int_t)(kind->first_ns / NS_PER_SEC), "last_time",
				 (json_int_t)(kind->last_ns / NS_PER_SEC), "last_id",
				 kind->last_id, "new", summary_is_new(summary, kind));

	(void)json_object_set_new(json, "signature",
				  kind->signature[0] ? json_string(kind->signature) :
						       json_null());
	return json;
}

static json_t *process_json(const struct summary_process *p)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "process", p->process, "uid",
			 (json_int_t)p->uid, "crashes", (json_int_t)p->crashes, "folded",
			 (json_int_t)p->folded, "kept_weight", (json_int_t)p->kept_weight,
			 "pending", (json_int_t)p->pending);
}

static json_t *hours_json(const struct summary *summary)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "operational_hours",
			 (json_int_t)summary->hours.operational, "crashfree_hours",
			 (json_int_t)summary->hours.crashfree, "crashfree_slots",
			 (json_int_t)summary->hours.crashfree_slots, "uncovered_seconds",
			 (json_int_t)(summary->clock.uncovered_ns / NS_PER_SEC),
			 "on_time_seconds",
			 (json_int_t)(summary->clock.on_time_ns / NS_PER_SEC));
}

static json_t *bound_json(int64_t ns)
{
	return ns == INT64_MIN || ns == INT64_MAX ? json_null() :
						    json_integer(ns / NS_PER_SEC);
}

json_t *summary_json(const struct summary *summary)
{
	const struct totals *t = &summary->totals;
	json_t *kinds = json_array(), *processes = json_array();
	json_t *json;

	for (size_t i = 0; i < summary->kinds; i++)
		if (summary->kind[i].records > 0)
			(void)json_array_append_new(kinds,
						    kind_json(summary, &summary->kind[i]));
	for (size_t i = 0; i < summary->processes; i++)
		(void)json_array_append_new(processes, process_json(&summary->process[i]));
	json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
			 "time", (json_int_t)(summary->now_ns / NS_PER_SEC), "crashes",
			 (json_int_t)t->crashes, "kept", (json_int_t)t->kept, "folded",
			 (json_int_t)t->folded, "kept_weight", (json_int_t)t->kept_weight,
			 "pending", (json_int_t)t->pending, "in_flight",
			 (json_int_t)t->in_flight, "evicted", (json_int_t)t->evicted, "unseen",
			 (json_int_t)t->unseen, "records", (json_int_t)summary->records,
			 "records_weight", (json_int_t)summary->records_weight, "hours",
			 hours_json(summary), "kinds", kinds, "processes", processes);
	(void)json_object_set_new(json, "since", bound_json(summary->window.since_ns));
	(void)json_object_set_new(json, "until", bound_json(summary->window.until_ns));
	return json;
}
