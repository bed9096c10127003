/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How much of a kept crash can be taken, before any of it is: what there is, and the budgets. */

#include <stdbool.h>
#include <stdint.h>

#include "core/image.h"
#include "core/stash.h"
#include "crash/handle.h"
#include "policy/capture.h"

/* So many small captures at once hold no more memory than one that fills its buffer. */
#define SMALL_SHARE 64

struct take {
	struct crash *crash; /* borrowed */
	uint64_t buffer_bytes;
	uint64_t claimed; /* key of the kind of crash, of which this may be a full capture */
	bool memory; /* it can be read */
	bool unlisted; /* but what exists of it could not be found out in time */
	struct image full; /* of memory */
	struct capture_verdict verdict;
	int64_t hold_until_ms;
	struct stash stash; /* what the threads need, when memory will not be there */
};

int64_t plan_hold_ms(const struct crash *crash);
void plan_buffer(struct take *take);

/* Finds out what of memory exists, if it can be read. Once; of the head it needs the front. */
void plan_survey(struct crash *crash);

/* Lays the full core out. */
void plan_look(struct take *take);

/* Why the headers or notes are not all there; NULL: they are. */
const char *plan_head_cut(const struct crash *crash);

/* Can stacks be had: picked from memory, or from the core as it goes by? */
bool plan_threads_possible(const struct take *take);

/* The kind below full. */
enum capture_kind plan_part(const struct take *take);

struct capture_verdict plan_kind(const struct take *take, uint32_t full_of_signature);

/*
 * Full captures of one kind of crash say the same again: after the first few the threads
 * are enough.
 */
void plan_by_signature(struct take *take);

void plan_lower(struct capture_verdict *verdict, enum capture_kind kind, const char *why);
