/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a summary tells, gathered once and written in any format.
 *
 * Counts come from the ledger and, for a window of time, from the history in the counters
 * file: both are cumulative, so a window is the exact difference of two snapshots, and
 * windows that touch add up. Kinds of crash come from the records that are still stored,
 * and from what is known of signatures whose records are gone.
 */

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "core/signals.h"
#include "ledger/ledger.h"
#include "policy/rate.h"
#include "summary/known.h"

struct summary_window {
	int64_t since_ns; /* wall clock, included; INT64_MIN: from the start */
	int64_t until_ns; /* not included, so that windows add up; INT64_MAX: to now */
};

/* Clocks are set, and lines are written while we read: no more is of the future. */
#define SUMMARY_FUTURE_S 300

/* Cumulative counts of the machine at one moment, or the difference of two. */
struct summary_tally {
	uint64_t crashes;
	uint64_t folded;
	uint64_t kept;
	uint64_t kept_weight;
	uint64_t unseen;
	uint64_t operational;
	uint64_t crashfree;
	uint64_t crashfree_slots;
	uint64_t boots;
	uint64_t unclean;
	int64_t on_time_s;
	int64_t uncovered_s;
};

/* The same of one process. */
struct summary_counts {
	uint64_t crashes;
	uint64_t folded;
	uint64_t kept;
	uint64_t kept_weight;
};

/* Over time: the window in equal parts of whole days, loops four times as fine. */
#define SUMMARY_BINS 92
#define SUMMARY_FINE 4
struct summary_series {
	uint64_t crashes[SUMMARY_BINS];
	uint64_t folded[SUMMARY_BINS * SUMMARY_FINE];
};

struct summary_bins {
	bool wanted; /* set by the caller */
	int64_t start_s; /* UTC midnight */
	int64_t width_s; /* of one bin, 0: nothing to show */
	size_t n;
	uint64_t operational[SUMMARY_BINS];
	uint64_t crashfree_slots[SUMMARY_BINS];
	uint64_t crashes[SUMMARY_BINS]; /* of all processes */
};

struct summary_process {
	uint32_t uid;
	char process[NAME_SIZE];
	struct summary_counts counts; /* in the window */
	struct summary_counts ever;
	uint64_t pending; /* now */
	uint64_t in_flight;
	bool throttled;
	int64_t first_ms; /* on-time of its first crash since it is in the state */
	struct summary_series *series; /* owned, NULL unless bins are wanted */
};

/* A kind of crash: one process, signal and (where known) signature. */
struct summary_kind {
	char process[NAME_SIZE];
	char signature[KNOWN_SIGNATURE_SIZE]; /* "" when unknown */
	char loose[KNOWN_SIGNATURE_SIZE];
	char build_id[KNOWN_BUILD_SIZE]; /* of the executable, newest record */
	uint32_t uid;
	int signal;
	uint64_t weight; /* in the window, as all below but first_ns */
	uint64_t records;
	int64_t first_ns; /* ever */
	int64_t last_ns;
	char last_id[STATE_ID_SIZE];
	enum known_news news;
	int64_t absent_s; /* KNOWN_BACK: how long it had not been seen */
};

/* A line of the counters that was left out. */
struct summary_skipped {
	unsigned int line;
	char why[80];
};
#define SUMMARY_SKIPPED_MAX 20

struct summary {
	/* Given by the caller. */
	struct summary_window window;
	struct summary_bins bins;

	int64_t now_ns;
	int64_t news_since_s; /* the window's start; without one, a day ago */
	uint64_t machine;
	struct totals totals; /* now */
	struct summary_tally ever; /* now */
	struct summary_tally window_tally; /* in the window */
	int64_t counted_since_s; /* time of the snapshot the window starts from, -1: none */
	bool stops_known; /* unclean shutdowns can be told */
	int64_t interval_ns;
	int suid_dumpable; /* -1: not known */
	struct summary_process *process; /* most crashes in the window first */
	size_t processes;
	uint64_t other_crashes; /* in the window, of processes not named */
	struct summary_kind *kind; /* new, then back, then by weight */
	size_t kinds;
	uint64_t records; /* in the window */
	uint64_t records_weight;
	uint64_t unreadable; /* records that were left out */
	struct summary_skipped skipped[SUMMARY_SKIPPED_MAX];
	uint64_t skipped_lines;
};

#define SUMMARY_NULL                                                                     \
	{ .window = { INT64_MIN, INT64_MAX }, .counted_since_s = -1, .suid_dumpable = -1 }

/* With the lock held: what is so now. 0, -errno or STATE_E_BAD. */
int summary_take_state(struct summary *summary, struct ledger *ledger);
/* Without the lock, afterwards: what was so then. */
int summary_take_history(struct summary *summary, int dir_fd);
int summary_take_records(struct summary *summary, int dir_fd, int store_fd);
void summary_done(struct summary *summary);

/* Has anything happened in the window that a person should hear of? */
bool summary_has_news(const struct summary *summary);

/* What came on top; a line that counts too much must not make it less than nothing. */
static inline uint64_t summary_less(uint64_t to, uint64_t from)
{
	return to > from ? to - from : 0;
}

/* On-time in the window during which crashes came to us. */
int64_t summary_covered_ns(const struct summary *summary);
double summary_percent(uint64_t part, uint64_t whole); /* of nothing: -1 */

/* Behind a noun. */
static inline const char *summary_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* "2026-11-21 10:04" in local time. */
#define SUMMARY_TIME_SIZE 32
const char *summary_format_time(int64_t ns, char out[static SUMMARY_TIME_SIZE]);
/* Both ends of the window, up to now. */
void summary_format_window(const struct summary *summary, char from[static SUMMARY_TIME_SIZE],
			   char to[static SUMMARY_TIME_SIZE]);
/* SIGSEGV; "-" for none. */
#define SUMMARY_SIGNAL_SIZE SIGNALS_NAME_SIZE
const char *summary_format_signal(int signal, char out[static SUMMARY_SIGNAL_SIZE]);

json_t *summary_json(const struct summary *summary);
void summary_text(const struct summary *summary, FILE *out);

/* store_fd: backtraces are read from the records. */
void summary_html(const struct summary *summary, int store_fd, FILE *out);

/*
 * Prometheus text format 0.0.4. dir_fd: which processes have a series of their own is
 * remembered there, and changed only if `remember`.
 */
int summary_prometheus(const struct summary *summary, int dir_fd, bool remember, FILE *out);
