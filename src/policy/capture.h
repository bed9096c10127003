/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * How much of a crash is captured, decided before a byte of it is read.
 *
 * The kinds step down: full, threads, notes, none. Each limit lowers the kind and leaves
 * its reason; the record itself is never given up.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum capture_kind {
	CAPTURE_NONE, /* the record only */
	CAPTURE_NOTES, /* registers, module list: no memory */
	CAPTURE_THREADS, /* notes, stacks and what they point to */
	CAPTURE_FULL, /* all memory that existed */
};

const char *capture_kind_name(enum capture_kind kind);
bool capture_kind_parse(const char *name, enum capture_kind *ret_kind);

/* What is known before the capture. Sizes in bytes. */
struct capture_budget {
	enum capture_kind wanted; /* by configuration */
	bool wanted_auto; /* or: by what is affordable and still of use */
	bool threads_possible; /* can parts of the memory be picked? (not from a pipe) */

	bool unlocked; /* the state was locked: nobody knows what else is being captured */

	uint64_t memory_bytes; /* pages that exist; UINT64_MAX when not known */
	uint64_t hold_bytes; /* what can be read within MaxHold; 0: no limit */
	uint64_t threads_bytes; /* estimate of a `threads` capture */
	uint64_t max_core_bytes;
	uint64_t rlimit_bytes; /* of the victim, UINT64_MAX when not to be honoured */

	uint64_t free_bytes; /* on the file system of the store */
	uint64_t free_inodes;
	uint64_t keep_free_bytes; /* never go below that */
	uint64_t quota_bytes; /* what MaxUse leaves, what the quota can evict included */

	uint32_t captures_running; /* by other handlers: see capture_running() */
	uint32_t captures_of_uid;
	uint32_t max_captures;
	uint64_t small_bytes; /* memory up to that does not count as a capture: it fills no buffer */

	uint32_t full_of_signature; /* full captures of the same signature in the store */
	uint32_t full_per_signature; /* 0: no limit */
};

struct capture_verdict {
	enum capture_kind kind;
	const char *reason; /* static text; "as configured" when nothing lowered it */
};

struct capture_verdict capture_plan(const struct capture_budget *budget);

/*
 * How many places of `max_captures` are taken, when these users' captures are under way: of
 * one user no more than its share, for what is beyond that has stepped down.
 */
uint32_t capture_running(const uint32_t *uids, size_t n, uint32_t max_captures);

/* Why there is no place for one more of a user who has `of_uid`; NULL when there is one. */
const char *capture_no_place(uint32_t running, uint32_t of_uid, uint32_t max_captures);
