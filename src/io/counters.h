/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The append-only state file: one JSON object a line, each a cumulative snapshot, so that
 * a line written twice or lost never counts anything twice. A last line without its
 * newline was torn by a power cut and is ignored. The format is in corefold-formats(5).
 *
 * Appending needs the state lock; reading does not.
 */

#include <jansson.h>
#include <stdint.h>

#include "io/state.h"

#define COUNTERS_FILE "counters"
/* Rolled up beyond the first size at a tick; beyond the second only ticks append. */
#define COUNTERS_ROLL_BYTES (2 << 20)
#define COUNTERS_HARD_BYTES (8 << 20)

/* What a line says besides the totals. Any of the pointers may be NULL. */
struct counters_event {
	const struct state_slot *slot; /* the process that changed */
	const char *reserved_id; /* a keep of it that began ... */
	uint64_t reserved_weight;
	const char *settled_id; /* ... or that ended, kept or given back */
	bool always; /* also beyond COUNTERS_HARD_BYTES */
};

enum {
	COUNTERS_E_SET_ASIDE = 1, /* appended; what stood there before is counters.bad now */
};

/*
 * Appends a line; sync makes it durable. Beyond COUNTERS_HARD_BYTES nothing is appended
 * and 0 returned, unless `always`: a storm between two ticks must not fill the disk, and
 * the next tick says all that these lines would have said.
 */
int counters_append(int dir_fd, const struct state_header *header,
		    const struct totals *totals, int64_t wall_ns,
		    const struct counters_event *event, bool sync);

/* Makes durable what was appended; needs no lock. */
int counters_sync(int dir_fd);

/* Is the file beyond COUNTERS_HARD_BYTES? */
bool counters_full(int dir_fd);

/* Called for each line in order; a false return stops. `line` counts from 1. */
typedef bool counters_each(void *userdata, const json_t *object, unsigned int line);
typedef void counters_bad(void *userdata, unsigned int line, const char *why);

/* Reads the file; lines that are no counters are skipped and told to `bad` (may be NULL). */
int counters_read(int dir_fd, counters_each *each, counters_bad *bad, void *userdata);

/* How old a line may become, seen from the newest, before its day and month swallow it. */
#define COUNTERS_HOURS_S (4 * 86400)
#define COUNTERS_DAYS_S (400 * 86400)
/*
 * Processes named by one line of a file that was rolled up; more wait for the next line.
 * Ten years are 616 such lines, which stay below COUNTERS_ROLL_BYTES: or each tick would
 * roll up what cannot get smaller.
 */
#define COUNTERS_LINE_PROCESSES 14
/* Processes whose newest counts a roll-up carries along. */
#define COUNTERS_HELD_PROCESSES 2048

/*
 * Shortens the file when it is larger than `beyond_bytes`. Of each hour of the last four
 * days the last snapshot remains, of each day of the last 400 days, of each month before.
 * Snapshots are cumulative, so no sum changes, only how finely it is known when. A line
 * names at most COUNTERS_LINE_PROCESSES processes that changed; the others are named by the
 * lines that follow, the newest line names all that are left. The long part
 * (begin) needs no lock, the short one (end) does: it takes over what was appended
 * meanwhile and puts the new file in place. Only one roll-up runs at a time; begin leaves
 * roll->fd at -1 when there is nothing to do.
 */
struct counters_roll {
	int fd;
	uint64_t consumed_bytes;
};
#define COUNTERS_ROLL_NULL { .fd = -1 }

int counters_roll_begin(int dir_fd, uint64_t beyond_bytes, struct counters_roll *roll);
int counters_roll_end(int dir_fd, struct counters_roll *roll);
