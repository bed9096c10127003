/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/record.h"
#include "core/signals.h"
#include "io/sysctl.h"
#include "policy/units.h"
#include "summary/history.h"

#define DAY_S 86400

/* ---- what is so now ---- */

static void take_header(struct summary *summary, const struct ledger *ledger)
{
	const struct state_header *h = &ledger->state->header;
	char value[SYSCTL_SIZE];

	summary->now_ns = ledger->now.wall_ns;
	summary->news_since_s = summary->window.since_ns == INT64_MIN ?
					summary->now_ns / NS_PER_SEC - DAY_S :
					summary->window.since_ns / NS_PER_SEC;
	summary->machine = h->machine;
	summary->totals = h->totals;
	summary->stops_known = h->stops.known;
	summary->interval_ns = ledger->config->interval_ns;
	summary->ever = (struct summary_tally){
		.crashes = h->totals.crashes,
		.folded = h->totals.folded,
		.kept = h->totals.kept,
		.kept_weight = h->totals.kept_weight,
		.unseen = h->totals.unseen,
		.operational = h->hours.operational,
		.crashfree = h->hours.crashfree,
		.crashfree_slots = h->hours.crashfree_slots,
		.boots = h->clock.boots,
		.unclean = h->stops.unclean,
		.on_time_s = h->clock.on_time_ns / NS_PER_SEC,
		.uncovered_s = h->clock.uncovered_ns / NS_PER_SEC,
	};
	if (sysctl_read(SYSCTL_SUID_DUMPABLE, value) == 0)
		summary->suid_dumpable = atoi(value);
}

static void take_slot(const struct ledger *ledger, const struct state_slot *slot,
		      struct summary_process *p)
{
	const struct throttle_limits *limits = &ledger->config->throttle;

	*p = (struct summary_process){
		.uid = slot->uid,
		.ever = { slot->account.crashes, slot->account.folded, slot->account.kept,
			  slot->account.kept_weight },
		.pending = slot->account.throttle.pending,
		.in_flight = slot->account.in_flight,
		.first_ms = slot->first_ns / 1000000,
		.throttled = limits->enabled &&
			     throttle_window_over(&slot->account.throttle.window, limits,
						  ledger->on_time_ns),
	};
	memcpy(p->process, slot->process, sizeof(p->process));
}

int summary_take_state(struct summary *summary, struct ledger *ledger)
{
	struct state_slot slot;
	int r;

	take_header(summary, ledger);
	/* Lives of the past may come on top. */
	summary->process = calloc(STATE_SLOTS + HISTORY_LIVES, sizeof(*summary->process));
	if (!summary->process)
		return -ENOMEM;
	for (uint32_t i = 0; (r = state_next_slot(ledger->state, &i, &slot)) == 0; i++)
		take_slot(ledger, &slot, &summary->process[summary->processes++]);
	return r == STATE_E_NONE ? 0 : r;
}

/* ---- what was so then ---- */

static int compare_processes(const void *a, const void *b)
{
	const struct summary_process *x = a, *y = b;

	if (x->counts.crashes != y->counts.crashes)
		return x->counts.crashes > y->counts.crashes ? -1 : 1;
	if (x->ever.crashes != y->ever.crashes)
		return x->ever.crashes > y->ever.crashes ? -1 : 1;
	return strcmp(x->process, y->process) ?: (x->uid > y->uid) - (x->uid < y->uid);
}

static struct summary_process *process_of(struct summary *summary, const struct history_life *life)
{
	struct summary_process *p;

	for (size_t i = 0; i < summary->processes; i++) {
		p = &summary->process[i];
		if (p->uid == life->uid && strcmp(p->process, life->process) == 0)
			return p;
	}
	p = &summary->process[summary->processes++];
	*p = (struct summary_process){ .uid = life->uid, .first_ms = life->first_ms };
	memcpy(p->process, life->process, sizeof(p->process));
	return p;
}

static void add_counts(struct summary_counts *sum, const struct summary_counts *to,
		       const struct summary_counts *from)
{
	sum->crashes += summary_less(to->crashes, from->crashes);
	sum->folded += summary_less(to->folded, from->folded);
	sum->kept += summary_less(to->kept, from->kept);
	sum->kept_weight += summary_less(to->kept_weight, from->kept_weight);
}

static void add_series(struct summary_process *p, struct history_life *life)
{
	if (!p->series) {
		p->series = life->series;
		life->series = NULL;
		return;
	}
	for (size_t i = 0; life->series && i < SUMMARY_BINS; i++)
		p->series->crashes[i] += life->series->crashes[i];
	for (size_t i = 0; life->series && i < SUMMARY_BINS * SUMMARY_FINE; i++)
		p->series->folded[i] += life->series->folded[i];
}

/* All lives of a process are one process to those who read. */
static void join_lives(struct summary *summary, struct history *history)
{
	uint64_t named = 0;

	for (size_t i = 0; i < HISTORY_LIVES; i++) {
		struct history_life *life = &history->life[i];
		struct summary_process *p;

		if (!life->used)
			continue;
		p = process_of(summary, life);
		add_counts(&p->counts, &life->last, &life->since);
		add_series(p, life);
	}
	for (size_t i = 0; i < summary->processes; i++)
		named += summary->process[i].counts.crashes;
	if (summary->window_tally.crashes > named)
		summary->other_crashes = summary->window_tally.crashes - named;
	if (summary->processes > 0)
		qsort(summary->process, summary->processes, sizeof(*summary->process),
		      compare_processes);
}

/* Folded can have shrunk by a crash that turned out to be novel. */
static struct summary_tally difference(const struct summary_tally *to,
				       const struct summary_tally *from)
{
	return (struct summary_tally){
		.crashes = summary_less(to->crashes, from->crashes),
		.folded = summary_less(to->folded, from->folded),
		.kept = summary_less(to->kept, from->kept),
		.kept_weight = summary_less(to->kept_weight, from->kept_weight),
		.unseen = summary_less(to->unseen, from->unseen),
		.operational = summary_less(to->operational, from->operational),
		.crashfree = summary_less(to->crashfree, from->crashfree),
		.crashfree_slots = summary_less(to->crashfree_slots, from->crashfree_slots),
		.boots = summary_less(to->boots, from->boots),
		.unclean = summary_less(to->unclean, from->unclean),
		.on_time_s = to->on_time_s - from->on_time_s,
		.uncovered_s = to->uncovered_s - from->uncovered_s,
	};
}

int summary_take_history(struct summary *summary, int dir_fd)
{
	int64_t now_s = summary->now_ns / NS_PER_SEC;
	struct history history;
	int r;

	r = history_init(&history, summary);
	if (r == 0)
		r = history_read(&history, dir_fd);
	if (r == 0) {
		history_put_tally(&history, &summary->ever, now_s);
		for (size_t i = 0; i < summary->processes; i++) {
			const struct summary_process *p = &summary->process[i];

			history_put(&history, p->uid, p->process, p->first_ms, &p->ever, now_s);
		}
		summary->window_tally = difference(&history.last, &history.since);
		join_lives(summary, &history);
	}
	history_done(&history);
	return r;
}

/* ---- small questions ---- */

int64_t summary_covered_ns(const struct summary *summary)
{
	return (summary->window_tally.on_time_s - summary->window_tally.uncovered_s) * NS_PER_SEC;
}

double summary_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : -1;
}

bool summary_has_news(const struct summary *summary)
{
	for (size_t i = 0; i < summary->kinds; i++)
		if (summary->kind[i].news != KNOWN_OLD)
			return true;
	return summary->window_tally.unseen > 0 || summary->window_tally.unclean > 0;
}

const char *summary_format_time(int64_t ns, char out[static SUMMARY_TIME_SIZE])
{
	time_t seconds = ns / NS_PER_SEC;
	struct tm tm;

	if (!localtime_r(&seconds, &tm) ||
	    strftime(out, SUMMARY_TIME_SIZE, "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(out, SUMMARY_TIME_SIZE, "@%lld", (long long)seconds);
	return out;
}

void summary_format_window(const struct summary *summary, char from[static SUMMARY_TIME_SIZE],
			   char to[static SUMMARY_TIME_SIZE])
{
	int64_t until_ns = summary->window.until_ns;

	if (summary->window.since_ns != INT64_MIN)
		(void)summary_format_time(summary->window.since_ns, from);
	else
		(void)snprintf(from, SUMMARY_TIME_SIZE, "the beginning");
	(void)summary_format_time(until_ns < summary->now_ns ? until_ns : summary->now_ns, to);
}

const char *summary_format_signal(int signal, char out[static SUMMARY_SIGNAL_SIZE])
{
	if (signal > 0)
		signals_name(signal, out);
	else
		(void)snprintf(out, SUMMARY_SIGNAL_SIZE, "-");
	return out;
}

void summary_done(struct summary *summary)
{
	for (size_t i = 0; i < summary->processes; i++)
		free(summary->process[i].series);
	free(summary->process);
	free(summary->kind);
	summary->process = NULL;
	summary->kind = NULL;
	summary->processes = summary->kinds = 0;
}
