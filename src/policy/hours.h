/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Operational and crash-free hours.
 *
 * Source of the algorithm: the CrashFreeIntervalTracker of memfaultd 1.26, with one
 * deliberate difference. There a crash moves the crash-free mark before the whole hours
 * that lie behind it have been counted, which loses them. Here a crash settles first and
 * marks second. hours_mark_crash() and hours_settle() are the primitives, hours_crash()
 * is the order corefold uses.
 *
 * Two definitions of a crash-free hour are kept side by side:
 *   rolling  one unbroken interval since the start or the last crash;
 *   slots    the fixed intervals 0-1, 1-2, ... of the clock that hold no crash.
 *
 * The clock is covered on-time in nanoseconds: it stands still while the machine is off
 * and while crashes were not delivered to corefold.
 */

#include <stdbool.h>
#include <stdint.h>

struct hours {
	int64_t operational_mark_ns;
	int64_t crashfree_mark_ns;
	int64_t slot_mark_ns; /* start of the slot that is running */
	uint64_t operational; /* whole intervals, cumulative */
	uint64_t crashfree; /* rolling */
	uint64_t crashfree_slots;
	uint32_t slot_crashed; /* bool: the running slot has seen a crash */
	uint32_t reserved;
};

/* Starts counting at `start_ns`. */
void hours_start(struct hours *hours, int64_t start_ns);

/*
 * The primitive under every mark: how many whole intervals fit between the mark and
 * now; the mark moves by them. A mark in the future counts 0 and becomes now.
 */
uint64_t hours_elapsed(int64_t *mark_ns, int64_t now_ns, int64_t interval_ns);

/* Counts the whole intervals up to now. interval_ns > 0. */
void hours_settle(struct hours *hours, int64_t now_ns, int64_t interval_ns);

/* Moves the marks for a crash at now, counting nothing. */
void hours_mark_crash(struct hours *hours, int64_t now_ns);

/* Settles, then marks: the order in which nothing is lost. */
void hours_crash(struct hours *hours, int64_t now_ns, int64_t interval_ns);
