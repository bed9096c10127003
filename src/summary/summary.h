/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a summary tells, gathered once and written in any format.
 *
 * Counts come from the ledger and are exact; kinds of crash come from the records that
 * are still stored.
 */

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "ledger.h"

struct summary_window {
	int64_t since_ns; /* wall clock, included */
	int64_t until_ns; /* included */
};

/* A kind of crash: one process, signal and (where known) signature. */
struct summary_kind {
	char process[NAME_SIZE];
	char signature[96]; /* "" when unknown */
	uint32_t uid;
	int signal;
	uint64_t weight;
	uint64_t records;
	int64_t first_ns; /* over all records, not only those in the window */
	int64_t last_ns;
	char last_id[STATE_ID_SIZE];
};

struct summary_process {
	uint32_t uid;
	char process[NAME_SIZE];
	uint64_t crashes;
	uint64_t folded;
	uint64_t kept_weight;
	uint64_t pending;
};

struct summary {
	struct summary_window window;
	int64_t now_ns;
	struct totals totals;
	struct hours hours;
	struct clock_state clock;
	int64_t interval_ns;
	struct summary_process *process; /* most crashes first */
	size_t processes;
	struct summary_kind *kind; /* most weight first */
	size_t kinds;
	uint64_t records; /* in the window */
	uint64_t records_weight;
	uint64_t unreadable; /* records that were left out */
};

#define SUMMARY_NULL { .window = { INT64_MIN, INT64_MAX } }

/* With the lock held. 0, -errno or STATE_E_BAD. */
int summary_take_state(struct summary *summary, struct ledger *ledger);
int summary_take_records(struct summary *summary, int store_fd);
void summary_done(struct summary *summary);

/* Is this kind new: was its first crash inside the window? */
bool summary_is_new(const struct summary *summary, const struct summary_kind *kind);

json_t *summary_json(const struct summary *summary);
void summary_text(const struct summary *summary, FILE *out);
