/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "io/store.h"
#include "summary/summary.h"

/* ---- the ledger ---- */

static int compare_processes(const void *a, const void *b)
{
	const struct summary_process *x = a, *y = b;

	if (x->crashes != y->crashes)
		return x->crashes > y->crashes ? -1 : 1;
	return strcmp(x->process, y->process) ?: (x->uid > y->uid) - (x->uid < y->uid);
}

int summary_take_state(struct summary *summary, struct ledger *ledger)
{
	struct state *state = ledger->state;

	summary->now_ns = ledger->now.wall_ns;
	summary->totals = state->header.totals;
	summary->hours = state->header.hours;
	summary->clock = state->header.clock;
	summary->interval_ns = ledger->config->interval_ns;
	summary->process = calloc(STATE_SLOTS, sizeof(*summary->process));
	if (!summary->process)
		return -ENOMEM;
	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		struct summary_process *p = &summary->process[summary->processes];
		struct state_slot slot;
		int r;

		if (!state->place[i].used)
			continue;
		r = state_read_slot(state, i, &slot);
		if (r != 0)
			return r;
		*p = (struct summary_process){ .uid = slot.uid,
					       .crashes = slot.account.crashes,
					       .folded = slot.account.folded,
					       .kept_weight = slot.account.kept_weight,
					       .pending = slot.account.throttle.pending };
		memcpy(p->process, slot.process, sizeof(p->process));
		summary->processes++;
	}
	qsort(summary->process, summary->processes, sizeof(*summary->process),
	      compare_processes);
	return 0;
}

/* ---- the records ---- */

static struct summary_kind *find_kind(struct summary *summary, const struct record *record,
				      const char *signature)
{
	struct summary_kind *larger;

	for (size_t i = 0; i < summary->kinds; i++) {
		struct summary_kind *kind = &summary->kind[i];

		if (kind->uid == record->uid && kind->signal == record->signal &&
		    strcmp(kind->process, record->process) == 0 &&
		    strcmp(kind->signature, signature) == 0)
			return kind;
	}
	larger = reallocarray(summary->kind, summary->kinds + 1, sizeof(*larger));
	if (!larger)
		return NULL;
	summary->kind = larger;
	larger += summary->kinds++;
	*larger = (struct summary_kind){ .uid = record->uid,
					 .signal = record->signal,
					 .first_ns = record->time_ns };
	memcpy(larger->process, record->process, sizeof(larger->process));
	(void)snprintf(larger->signature, sizeof(larger->signature), "%s", signature);
	return larger;
}

static int add_record(struct summary *summary, const json_t *json, const struct record *record)
{
	const char *signature = json_string_value(json_object_get(json, "signature")) ?: "";
	struct summary_kind *kind = find_kind(summary, record, signature);

	if (!kind)
		return -ENOMEM;
	if (record->time_ns < kind->first_ns)
		kind->first_ns = record->time_ns;
	if (record->time_ns < summary->window.since_ns ||
	    record->time_ns > summary->window.until_ns)
		return 0;
	kind->weight += record->weight;
	kind->records++;
	summary->records++;
	summary->records_weight += record->weight;
	if (record->time_ns >= kind->last_ns) {
		kind->last_ns = record->time_ns;
		memcpy(kind->last_id, record->id, sizeof(kind->last_id));
	}
	return 0;
}

static int compare_kinds(const void *a, const void *b)
{
	const struct summary_kind *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->last_ns < y->last_ns) - (x->last_ns > y->last_ns);
}

int summary_take_records(struct summary *summary, int store_fd)
{
	char **ids;
	size_t n;
	int r;

	r = store_list(store_fd, &ids, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct record record = RECORD_NULL;
		json_t *json;

		if (store_read_record(store_fd, ids[i], &json) < 0) {
			summary->unreadable++;
			continue;
		}
		if (record_from_json(json, &record) == 0)
			r = add_record(summary, json, &record);
		else
			summary->unreadable++;
		json_decref(json);
	}
	store_free_ids(ids, n);
	if (summary->kinds > 0)
		qsort(summary->kind, summary->kinds, sizeof(*summary->kind), compare_kinds);
	return r;
}

bool summary_is_new(const struct summary *summary, const struct summary_kind *kind)
{
	return kind->records > 0 && kind->first_ns >= summary->window.since_ns;
}

void summary_done(struct summary *summary)
{
	free(summary->process);
	free(summary->kind);
	summary->process = NULL;
	summary->kind = NULL;
	summary->processes = summary->kinds = 0;
}
