/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which kind of capture the room that is left allows, and which reason is told. */

#include "policy/capture.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

#define MIB (1ULL << 20)

/* A machine with room, a process of 100 MiB, nothing else going on. */
static struct capture_budget plenty(void)
{
	return (struct capture_budget){
		.wanted_auto = true,
		.threads_possible = true,
		.memory_bytes = 100 * MIB,
		.threads_bytes = MIB,
		.max_core_bytes = 2048 * MIB,
		.rlimit_bytes = UINT64_MAX,
		.free_bytes = 10240 * MIB,
		.free_inodes = 100000,
		.keep_free_bytes = 1024 * MIB,
		.quota_bytes = 1024 * MIB,
		.max_captures = 4,
		.full_per_signature = 3,
	};
}

/* Each row changes fields of plenty(). */
struct change {
	enum {
		NOTHING,
		WANTED,
		NO_PARTS,
		MEMORY,
		THREADS,
		MAX_CORE,
		RLIMIT,
		FREE,
		INODES,
		QUOTA,
		RUNNING,
		OF_UID,
		MAX_CAPTURES,
		OF_SIGNATURE,
		PER_SIGNATURE,
		SMALL,
	} field;
	uint64_t value;
};

static const struct {
	const char *claim;
	struct change changes[3];
	enum capture_kind kind;
	const char *reason;
} rows[] = {
	{ "room for all", { { 0 } }, CAPTURE_FULL, "within all limits" },
	{ "full is wanted", { { WANTED, CAPTURE_FULL } }, CAPTURE_FULL, "as configured" },
	{ "threads are wanted", { { WANTED, CAPTURE_THREADS } }, CAPTURE_THREADS, "as configured" },
	{ "notes are wanted", { { WANTED, CAPTURE_NOTES } }, CAPTURE_NOTES, "as configured" },
	{ "nothing is wanted", { { WANTED, CAPTURE_NONE } }, CAPTURE_NONE, "as configured" },
	{ "threads are wanted of a pipe", { { WANTED, CAPTURE_THREADS }, { NO_PARTS, 1 } },
	  CAPTURE_NOTES, "memory of the process not accessible" },
	{ "a pipe with room is full", { { NO_PARTS, 1 } }, CAPTURE_FULL, "within all limits" },

	{ "RLIMIT_CORE 0 keeps the record only", { { RLIMIT, 0 } }, CAPTURE_NONE,
	  "RLIMIT_CORE of the process is 0" },
	{ "RLIMIT_CORE below the memory", { { RLIMIT, 100 * MIB - 1 } }, CAPTURE_THREADS,
	  "larger than the process's RLIMIT_CORE" },
	{ "RLIMIT_CORE of just the memory", { { RLIMIT, 100 * MIB } }, CAPTURE_FULL,
	  "within all limits" },
	{ "MaxCoreSize of just the memory", { { MAX_CORE, 100 * MIB } }, CAPTURE_FULL,
	  "within all limits" },
	{ "MaxCoreSize below the memory", { { MAX_CORE, 100 * MIB - 1 } }, CAPTURE_THREADS,
	  "larger than MaxCoreSize" },
	{ "the same from a pipe", { { MAX_CORE, 100 * MIB - 1 }, { NO_PARTS, 1 } }, CAPTURE_NOTES,
	  "larger than MaxCoreSize" },
	{ "memory not known: the capture itself stops", { { MEMORY, UINT64_MAX } }, CAPTURE_FULL,
	  "within all limits" },
	{ "memory not known, RLIMIT_CORE 0", { { MEMORY, UINT64_MAX }, { RLIMIT, 0 } },
	  CAPTURE_NONE, "RLIMIT_CORE of the process is 0" },

	{ "enough of this signature", { { OF_SIGNATURE, 3 } }, CAPTURE_THREADS,
	  "FullPerSignature reached" },
	{ "one fewer of it", { { OF_SIGNATURE, 2 } }, CAPTURE_FULL, "within all limits" },
	{ "no limit of a signature", { { OF_SIGNATURE, 9999 }, { PER_SIGNATURE, 0 } },
	  CAPTURE_FULL, "within all limits" },

	{ "all captures run", { { RUNNING, 4 } }, CAPTURE_THREADS, "MaxCaptures running" },
	{ "one place left", { { RUNNING, 3 } }, CAPTURE_FULL, "within all limits" },
	{ "one place is left to other users", { { RUNNING, 3 }, { OF_UID, 3 } }, CAPTURE_THREADS,
	  "this user's share of MaxCaptures running" },
	{ "two places are not", { { RUNNING, 2 }, { OF_UID, 2 } }, CAPTURE_FULL,
	  "within all limits" },
	{ "the place left is another user's", { { RUNNING, 3 }, { OF_UID, 2 } }, CAPTURE_FULL,
	  "within all limits" },
	{ "a small process is no capture", { { RUNNING, 9 }, { SMALL, 100 * MIB } }, CAPTURE_FULL,
	  "within all limits" },
	{ "a page more is one", { { RUNNING, 9 }, { SMALL, 100 * MIB - 4096 } }, CAPTURE_THREADS,
	  "MaxCaptures running" },
	{ "one capture at all, none running", { { MAX_CAPTURES, 1 } }, CAPTURE_FULL,
	  "within all limits" },
	{ "one capture at all, running", { { MAX_CAPTURES, 1 }, { RUNNING, 1 } }, CAPTURE_THREADS,
	  "MaxCaptures running" },

	{ "no inodes", { { INODES, 7 } }, CAPTURE_NONE, "no free inodes" },
	{ "just enough inodes", { { INODES, 8 } }, CAPTURE_FULL, "within all limits" },
	{ "less free than KeepFree", { { FREE, 1023 * MIB } }, CAPTURE_NONE, "KeepFree reached" },
	{ "nothing free", { { FREE, 0 } }, CAPTURE_NONE, "KeepFree reached" },
	{ "KeepFree leaves half the memory", { { FREE, 1074 * MIB } }, CAPTURE_FULL,
	  "within all limits" },
	{ "KeepFree leaves less", { { FREE, 1074 * MIB - 1 } }, CAPTURE_THREADS,
	  "larger than the free space KeepFree leaves" },
	{ "and less than the threads", { { FREE, 1025 * MIB - 1 } }, CAPTURE_NOTES,
	  "free space too small for the threads" },
	{ "MaxUse reached", { { QUOTA, 0 } }, CAPTURE_NONE, "MaxUse reached" },
	{ "MaxUse leaves half the memory", { { QUOTA, 50 * MIB } }, CAPTURE_FULL,
	  "within all limits" },
	{ "MaxUse leaves less", { { QUOTA, 50 * MIB - 1 } }, CAPTURE_THREADS,
	  "larger than MaxUse leaves" },
	{ "less than the threads, from a pipe", { { FREE, 1025 * MIB - 1 }, { NO_PARTS, 1 } },
	  CAPTURE_NOTES, "larger than the free space KeepFree leaves" },

	{ "the first of two limits is named", { { MAX_CORE, 1 }, { RUNNING, 4 } },
	  CAPTURE_THREADS, "larger than MaxCoreSize" },
	{ "unless the second goes lower", { { MAX_CORE, 1 }, { INODES, 0 } }, CAPTURE_NONE,
	  "no free inodes" },
	{ "a limit never raises what is wanted", { { WANTED, CAPTURE_NOTES }, { MAX_CORE, 1 } },
	  CAPTURE_NOTES, "as configured" },
	{ "sizes beyond all sums", { { MEMORY, UINT64_MAX - 1 } }, CAPTURE_THREADS,
	  "larger than MaxCoreSize" },
};

static void change(struct capture_budget *budget, const struct change *change)
{
	uint32_t small = (uint32_t)change->value;

	switch (change->field) {
	case NOTHING:
		break;
	case WANTED:
		budget->wanted_auto = false;
		budget->wanted = (enum capture_kind)small;
		break;
	case NO_PARTS:
		budget->threads_possible = false;
		break;
	case MEMORY:
		budget->memory_bytes = change->value;
		break;
	case THREADS:
		budget->threads_bytes = change->value;
		break;
	case MAX_CORE:
		budget->max_core_bytes = change->value;
		break;
	case RLIMIT:
		budget->rlimit_bytes = change->value;
		break;
	case FREE:
		budget->free_bytes = change->value;
		break;
	case INODES:
		budget->free_inodes = change->value;
		break;
	case QUOTA:
		budget->quota_bytes = change->value;
		break;
	case RUNNING:
		budget->captures_running = small;
		break;
	case OF_UID:
		budget->captures_of_uid = small;
		break;
	case MAX_CAPTURES:
		budget->max_captures = small;
		break;
	case OF_SIGNATURE:
		budget->full_of_signature = small;
		break;
	case PER_SIGNATURE:
		budget->full_per_signature = small;
		break;
	case SMALL:
		budget->small_bytes = change->value;
		break;
	}
}

START_TEST(test_row)
{
	struct capture_budget budget = plenty();
	struct capture_verdict verdict;

	for (size_t i = 0; i < 3; i++)
		change(&budget, &rows[_i].changes[i]);
	verdict = capture_plan(&budget);
	claim_str_eq(rows[_i].claim, capture_kind_name(verdict.kind),
		     capture_kind_name(rows[_i].kind));
	claim_str_eq(rows[_i].claim, verdict.reason, rows[_i].reason);
}
END_TEST

/* Less room never captures more. */
START_TEST(test_monotonic)
{
	struct unit_random random = unit_random(_i);

	for (int i = 0; i < 20000; i++) {
		struct capture_budget budget = plenty(), less;

		budget.memory_bytes = unit_below(&random, 4096) * MIB;
		budget.free_bytes = unit_below(&random, 4096) * MIB;
		budget.quota_bytes = unit_below(&random, 2048) * MIB;
		budget.captures_running = (uint32_t)unit_below(&random, 6);
		budget.captures_of_uid = (uint32_t)unit_below(&random, 4);
		budget.threads_possible = unit_below(&random, 2);
		less = budget;
		less.free_bytes /= 1 + unit_below(&random, 4);
		less.quota_bytes /= 1 + unit_below(&random, 4);
		less.captures_running += (uint32_t)unit_below(&random, 3);
		less.max_core_bytes /= 1 + unit_below(&random, 4);
		check_that(capture_plan(&less).kind <= capture_plan(&budget).kind);
	}
}
END_TEST

START_TEST(test_names)
{
	static const char *const wrong[] = { "", "Full", "full ", "auto", "core" };
	enum capture_kind kind = CAPTURE_NONE;

	for (int i = CAPTURE_NONE; i <= CAPTURE_FULL; i++) {
		ck_assert(capture_kind_parse(capture_kind_name((enum capture_kind)i), &kind));
		ck_assert_int_eq(kind, i);
	}
	for (int i = 0; i < ROWS(wrong); i++)
		ck_assert(!capture_kind_parse(wrong[i], &kind));
	ck_assert_int_eq(kind, CAPTURE_FULL);
}
END_TEST

/* Users of captures under way, a letter each. */
static const struct {
	const char *claim;
	const char *uids;
	uint32_t max, running;
} running_rows[] = {
	{ "none", "", 4, 0 },
	{ "each is a place", "abc", 4, 3 },
	{ "of one user its share", "aaaaaaaa", 4, 3 },
	{ "beside it another user counts", "aaaaaaaab", 5, 5 },
	{ "of each user its share", "abababab", 4, 6 },
	{ "one place: one of each user", "aabb", 1, 2 },
	{ "two places: one of each user", "aaab", 2, 2 },
};

START_TEST(test_running)
{
	const char *text = running_rows[_i].uids;
	uint32_t uids[16];
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		uids[i] = (uint32_t)text[i];
	claim_int_eq(running_rows[_i].claim,
		     capture_running(uids, n, running_rows[_i].max),
		     running_rows[_i].running);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("capture");
	TCase *capture_case = unit_case(suite, "capture");

	tcase_add_loop_test(capture_case, test_row, 0, ROWS(rows));
	tcase_add_loop_test(capture_case, test_monotonic, 0, 4);
	tcase_add_loop_test(capture_case, test_running, 0, ROWS(running_rows));
	tcase_add_test(capture_case, test_names);
	return unit_main(suite);
}
