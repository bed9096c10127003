/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/capture.h"

#include <string.h>

/* A record and its directory entry must still fit where a core no longer does. */
#define RECORD_BYTES (64 * 1024)
#define INODES_SPARE 8

static const char *const kind_names[] = { "none", "notes", "threads", "full" };

const char *capture_kind_name(enum capture_kind kind)
{
	return kind_names[kind];
}

bool capture_kind_parse(const char *name, enum capture_kind *ret_kind)
{
	for (size_t i = 0; i < sizeof(kind_names) / sizeof(*kind_names); i++) {
		if (strcmp(name, kind_names[i]) == 0) {
			*ret_kind = (enum capture_kind)i;
			return true;
		}
	}
	return false;
}

static void lower(struct capture_verdict *verdict, enum capture_kind kind, const char *reason)
{
	if (verdict->kind <= kind)
		return;
	verdict->kind = kind;
	verdict->reason = reason;
}

/* The kind below that is still possible when the memory as a whole is too much. */
static enum capture_kind part(const struct capture_budget *budget)
{
	return budget->threads_possible ? CAPTURE_THREADS : CAPTURE_NOTES;
}

/* Whoever crashes most leaves one capture to the others. */
static uint32_t share_of_uid(uint32_t max_captures)
{
	return max_captures > 1 ? max_captures - 1 : 1;
}

uint32_t capture_running(const uint32_t *uids, size_t n, uint32_t max_captures)
{
	uint32_t running = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t before = 0;

		for (size_t j = 0; j < i; j++)
			before += uids[j] == uids[i];
		running += before < share_of_uid(max_captures);
	}
	return running;
}

const char *capture_no_place(uint32_t running, uint32_t of_uid, uint32_t max_captures)
{
	if (running >= max_captures)
		return "MaxCaptures running";
	return of_uid >= share_of_uid(max_captures) ?
		       "this user's share of MaxCaptures running" :
		       NULL;
}

static void limit_by_running(const struct capture_budget *budget,
			     struct capture_verdict *verdict)
{
	const char *reason = capture_no_place(budget->captures_running, budget->captures_of_uid,
					      budget->max_captures);

	if (reason && budget->memory_bytes > budget->small_bytes)
		lower(verdict, part(budget), reason);
}

static void limit_by_size(const struct capture_budget *budget, struct capture_verdict *verdict)
{
	if (budget->memory_bytes == UINT64_MAX)
		return; /* the capture itself stops at the limit */
	if (budget->memory_bytes > budget->max_core_bytes)
		lower(verdict, part(budget), "larger than MaxCoreSize");
	if (budget->hold_bytes > 0 && budget->memory_bytes > budget->hold_bytes)
		lower(verdict, part(budget), "takes longer than MaxHold");
	if (budget->memory_bytes > budget->rlimit_bytes)
		lower(verdict, part(budget), "larger than the process's RLIMIT_CORE");
}

static void limit_by_disk(const struct capture_budget *budget, struct capture_verdict *verdict)
{
	uint64_t memory = budget->memory_bytes == UINT64_MAX ? 0 : budget->memory_bytes;
	uint64_t usable = budget->free_bytes > budget->keep_free_bytes ?
				  budget->free_bytes - budget->keep_free_bytes :
				  0;

	if (budget->free_inodes < INODES_SPARE)
		lower(verdict, CAPTURE_NONE, "no free inodes");
	if (usable < RECORD_BYTES)
		lower(verdict, CAPTURE_NONE, "KeepFree reached");
	if (budget->quota_bytes == 0)
		lower(verdict, CAPTURE_NONE, "MaxUse reached");
	/* Compression is not counted on: half the memory must fit. */
	if (memory / 2 > usable)
		lower(verdict, part(budget), "larger than the free space KeepFree leaves");
	if (memory / 2 > budget->quota_bytes)
		lower(verdict, part(budget), "larger than MaxUse leaves");
	if (verdict->kind == CAPTURE_THREADS && budget->threads_bytes > usable)
		lower(verdict, CAPTURE_NOTES, "free space too small for the threads");
}

struct capture_verdict capture_plan(const struct capture_budget *budget)
{
	struct capture_verdict verdict = {
		.kind = budget->wanted_auto ? CAPTURE_FULL : budget->wanted,
		.reason = budget->wanted_auto ? "within all limits" : "as configured",
	};

	if (verdict.kind == CAPTURE_THREADS && !budget->threads_possible)
		lower(&verdict, CAPTURE_NOTES, "memory of the process not accessible");
	if (budget->rlimit_bytes == 0)
		lower(&verdict, CAPTURE_NONE, "RLIMIT_CORE of the process is 0");
	if (budget->unlocked)
		lower(&verdict, part(budget), "kept small: the state was locked");
	limit_by_size(budget, &verdict);
	if (budget->full_per_signature > 0 &&
	    budget->full_of_signature >= budget->full_per_signature)
		lower(&verdict, part(budget), "FullPerSignature reached");
	limit_by_running(budget, &verdict);
	limit_by_disk(budget, &verdict);
	return verdict;
}
