/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What crashed: records of one process, signal and signature are one kind. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/store.h"
#include "policy/units.h"
#include "summary/summary.h"

static struct summary_kind *find_kind(struct summary *summary, const json_t *json,
				      const struct record *record)
{
	const char *signature = known_signature_of(json);
	struct summary_kind *kind;

	for (size_t i = 0; i < summary->kinds; i++) {
		kind = &summary->kind[i];
		if (kind->uid == record->uid && kind->signal == record->signal &&
		    strcmp(kind->process, record->process) == 0 &&
		    strncmp(kind->signature, signature, sizeof(kind->signature) - 1) == 0)
			return kind;
	}
	if (summary->kinds % 64 == 0) {
		kind = reallocarray(summary->kind, summary->kinds + 64, sizeof(*kind));
		if (!kind)
			return NULL;
		summary->kind = kind;
	}
	kind = &summary->kind[summary->kinds++];
	*kind = (struct summary_kind){ .uid = record->uid,
				       .signal = record->signal,
				       .first_ns = record->time_ns,
				       .last_ns = INT64_MIN };
	memcpy(kind->process, record->process, sizeof(kind->process));
	(void)snprintf(kind->signature, sizeof(kind->signature), "%s", signature);
	return kind;
}

static void take_newest(struct summary_kind *kind, const json_t *json,
			const struct record *record)
{
	kind->last_ns = record->time_ns;
	memcpy(kind->last_id, record->id, sizeof(kind->last_id));
	(void)snprintf(kind->loose, sizeof(kind->loose), "%s", known_loose_of(json));
	(void)snprintf(kind->build_id, sizeof(kind->build_id), "%s", known_build_of(json));
}

/* As far as JSON's integers go. */
static uint64_t sum_of(uint64_t a, uint64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/*
 * News is a matter of all records: a kind is as new as its newest says. What claims to
 * come from the future would be new for ever.
 */
static void find_news(const struct summary *summary, const struct known *known,
		      const json_t *json, const struct record *record,
		      struct summary_kind *kind)
{
	int64_t future_ns = summary->now_ns + SUMMARY_FUTURE_S * NS_PER_SEC;

	if (record->time_ns > future_ns)
		return;
	kind->news = known_news(known, json, record, summary->news_since_s, &kind->absent_s,
				&kind->first_ns);
	if (kind->first_ns > future_ns)
		kind->news = KNOWN_OLD;
}

static int add_record(struct summary *summary, const struct known *known, const json_t *json,
		      const struct record *record)
{
	struct summary_kind *kind;

	if (record->time_ns < summary->window.since_ns ||
	    record->time_ns >= summary->window.until_ns)
		return 0;
	kind = find_kind(summary, json, record);
	if (!kind)
		return -ENOMEM;
	find_news(summary, known, json, record, kind);
	kind->weight = sum_of(kind->weight, record->weight);
	kind->records++;
	summary->records++;
	summary->records_weight = sum_of(summary->records_weight, record->weight);
	if (record->time_ns >= kind->last_ns)
		take_newest(kind, json, record);
	return 0;
}

static int compare_kinds(const void *a, const void *b)
{
	const struct summary_kind *x = a, *y = b;
	/* New before back and rebuilt, those before what is known. */
	int x_rank = x->news == KNOWN_NEW ? 0 : x->news == KNOWN_OLD ? 2 : 1;
	int y_rank = y->news == KNOWN_NEW ? 0 : y->news == KNOWN_OLD ? 2 : 1;

	if (x_rank != y_rank)
		return x_rank - y_rank;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->last_ns < y->last_ns) - (x->last_ns > y->last_ns);
}

/* The stored records, read once. */
struct stored {
	json_t **json;
	struct record *record;
	size_t n;
};

static int read_all(struct summary *summary, int store_fd, char **ids, size_t n,
		    struct stored *stored)
{
	stored->json = calloc(n + 1, sizeof(json_t *));
	stored->record = calloc(n + 1, sizeof(*stored->record));
	if (!stored->json || !stored->record)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_t *json;
		int r = store_read_record(store_fd, ids[i], &json);

		if (r < 0) {
			summary->unreadable += r != -ENOENT; /* removed meanwhile */
			continue;
		}
		if (record_from_json(json, &stored->record[stored->n]) == 0 &&
		    record_is_of(json, ids[i])) {
			/* Frames are large, and read again where they are shown. */
			(void)json_object_del(json, "threads");
			(void)json_object_del(json, "modules");
			stored->json[stored->n++] = json;
		} else {
			summary->unreadable++;
			json_decref(json);
		}
	}
	return 0;
}

static int add_all(struct summary *summary, struct known *known, const struct stored *stored)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < stored->n; i++)
		r = known_merge(known, stored->json[i], &stored->record[i]);
	for (size_t i = 0; r == 0 && i < stored->n; i++)
		r = add_record(summary, known, stored->json[i], &stored->record[i]);
	if (r == 0 && summary->kinds > 0)
		qsort(summary->kind, summary->kinds, sizeof(*summary->kind), compare_kinds);
	return r;
}

int summary_take_records(struct summary *summary, int dir_fd, int store_fd)
{
	struct known known = KNOWN_NULL;
	struct stored stored = { 0 };
	char **ids;
	size_t n;
	int r;

	r = store_list(store_fd, &ids, &n);
	if (r < 0)
		return r;
	r = known_read(&known, dir_fd);
	if (r == 0)
		r = read_all(summary, store_fd, ids, n, &stored);
	if (r == 0)
		r = add_all(summary, &known, &stored);
	for (size_t i = 0; i < stored.n; i++)
		json_decref(stored.json[i]);
	free(stored.json);
	free(stored.record);
	known_done(&known);
	store_free_ids(ids, n);
	return r;
}
