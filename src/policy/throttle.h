/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which crashes of a process are kept, and how many crashes a kept one stands for.
 *
 * Source of the algorithm: the CrashThrottler of Fuchsia's starnix (2026), restated:
 * a crash is pushed on a window of recent crashes; more than `limit` of them inside
 * `age_out_ns` means the process is in a crash loop; a looping process keeps every
 * `report_every`-th crash, with the number of crashes since the last kept one as its
 * weight. On top of it stands novelty: inside a loop, a crash with a signature that
 * the process has never shown is kept with weight 1, within a budget.
 *
 * Values in, verdicts out: no clock, no file, no lock. Times are nanoseconds of
 * on-time (see clock.h); they are signed because imported crashes may lie before the
 * machine's first second.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The window remembers this many crash times, so the limit can be one less at most. */
#define THROTTLE_RING 64
#define THROTTLE_LIMIT_MAX (THROTTLE_RING - 1)
/* Signatures remembered per process; the oldest is forgotten first. */
#define THROTTLE_SIGNATURES 32
#define THROTTLE_NOVEL_MAX 16

struct throttle_limits {
	bool enabled;
	uint32_t limit; /* crashes inside the window that are not yet a loop, <= THROTTLE_LIMIT_MAX */
	uint32_t report_every; /* a loop keeps one crash of this many, >= 1 */
	uint32_t novel_per_window; /* novel crashes kept per age-out, <= THROTTLE_NOVEL_MAX */
	int64_t age_out_ns;
	/*
	 * A second, longer window for loops that are slower than the first: more than
	 * slow_limit crashes inside slow_window_ns are a loop, too. 0: there is none.
	 */
	uint32_t slow_limit; /* <= THROTTLE_LIMIT_MAX */
	int64_t slow_window_ns;
};

#define THROTTLE_LIMITS_DEFAULT                                                          \
	{ .enabled = true, .limit = 8, .report_every = 10, .novel_per_window = 8,        \
	  .age_out_ns = 480LL * 1000000000, .slow_limit = 0,                             \
	  .slow_window_ns = 86400LL * 1000000000 }

/* Newest crash times of one process. The newest limit + 1 decide; see VECTORS in the tests. */
struct throttle_window {
	int64_t at_ns[THROTTLE_RING];
	uint32_t next; /* where the next time goes */
	uint32_t count; /* times held, <= THROTTLE_RING */
};

struct throttle_novelty {
	uint64_t signature[THROTTLE_SIGNATURES]; /* 0: empty */
	int64_t kept_at_ns[THROTTLE_NOVEL_MAX];
	uint32_t signature_next;
	uint32_t kept_next;
	uint32_t kept_count;
	uint32_t reserved;
};

/* All the throttle knows of one process. All zeros: never crashed. */
struct throttle_process {
	struct throttle_window window;
	struct throttle_novelty novelty;
	uint64_t pending; /* crashes since the last kept one */
};

enum throttle_decision {
	THROTTLE_KEEP,
	THROTTLE_NOVEL,
	THROTTLE_FOLD,
};

/* Is this what the functions below can have left? From a file it may be anything. */
bool throttle_possible(const struct throttle_process *process);

struct throttle_verdict {
	enum throttle_decision decision;
	bool loop_started; /* this crash is the first of a loop */
	bool slow; /* a loop by the longer window only */
	uint64_t weight; /* crashes this report stands for; 0 when folded */
};

/*
 * Is the process in a crash loop at `now_ns`: more than `limit` crashes younger than the
 * age-out, or more than `slow_limit` inside the slow window?
 */
bool throttle_window_over(const struct throttle_window *window,
			  const struct throttle_limits *limits, int64_t now_ns);

/* How many of the crashes held are younger than that at `now_ns`. */
uint32_t throttle_window_count(const struct throttle_window *window, int64_t age_ns,
			       int64_t now_ns);

/*
 * On-time at which the present loop ends if no further crash comes, in nanoseconds:
 * the limit-th newest crash plus the age-out, or the same of the slow window if that is
 * later. False when that many were never seen.
 */
bool throttle_window_end(const struct throttle_window *window,
			 const struct throttle_limits *limits, int64_t *ret_end_ns);

/*
 * Decides on a crash at `now_ns` and counts it. `signature` is a hash of what crashed,
 * 0 when unknown: without one a crash is never novel. A time older than the newest one
 * seen (an import) is taken as that newest time.
 */
struct throttle_verdict throttle_crash(struct throttle_process *process,
				       const struct throttle_limits *limits,
				       int64_t now_ns, uint64_t signature);

/*
 * A crash that throttle_crash() folded turns out to have a signature: keep it after all?
 * On true the crash is taken out of the pending ones and stands for itself (weight 1).
 */
bool throttle_novel(struct throttle_process *process, const struct throttle_limits *limits,
		    int64_t now_ns, uint64_t signature);

/*
 * The part of throttle_novel() that touches no pending crash: may this signature be kept
 * as novel now? On true it is remembered and the budget charged.
 */
bool throttle_admit(struct throttle_process *process, const struct throttle_limits *limits,
		    int64_t now_ns, uint64_t signature);

/* Remembers that the process has shown this signature. */
void throttle_learn(struct throttle_process *process, uint64_t signature);

/* May another novel crash be kept at `now_ns`? Lets the caller skip the work of finding out. */
bool throttle_novel_budget(const struct throttle_process *process,
			   const struct throttle_limits *limits, int64_t now_ns);

/* How many. */
uint32_t throttle_novel_left(const struct throttle_process *process,
			     const struct throttle_limits *limits, int64_t now_ns);

bool throttle_knows(const struct throttle_process *process, uint64_t signature);

const char *throttle_decision_name(enum throttle_decision decision); /* "keep", "novel", "fold" */
