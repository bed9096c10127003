/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who gives up its place: against the rule as it reads, and under a flood of names. */

#include "policy/evict.h"

#include <string.h>

#include "unit.h"

/* uid, last crash, busy; up to the first all-zero candidate. The index, or n: nobody. */
static const struct {
	const char *claim;
	struct evict_candidate candidates[8];
	size_t n;
	size_t chosen;
} rows[] = {
	{ "nobody there", { { 0 } }, 0, 0 },
	{ "the only one", { { 5, 1000, false } }, 1, 0 },
	{ "the only one is busy", { { 5, 1000, true } }, 1, 1 },
	{ "the oldest of one user", { { 7, 1, false }, { 3, 1, false }, { 9, 1, false } }, 3, 1 },
	{ "the user with most places pays, however old another's",
	  { { 1, 1000, false }, { 8, 2000, false }, { 9, 2000, false } }, 3, 1 },
	{ "root is a user as any",
	  { { 1, 1000, false }, { 8, 0, false }, { 9, 0, false } }, 3, 1 },
	{ "as many each: the oldest of all",
	  { { 4, 1, false }, { 2, 2, false }, { 3, 1, false }, { 5, 2, false } }, 4, 1 },
	{ "busy ones are passed over",
	  { { 1, 1, true }, { 2, 1, false }, { 3, 1, false }, { 0, 2, false } }, 4, 1 },
	{ "busy ones count as places",
	  { { 1, 1, true }, { 2, 1, true }, { 9, 1, false }, { 0, 2, false } }, 4, 2 },
	{ "the first user is all busy: the next pays",
	  { { 1, 1, true }, { 2, 1, true }, { 9, 2, false } }, 3, 2 },
	{ "all busy", { { 1, 1, true }, { 2, 2, true }, { 3, 3, true } }, 3, 3 },
	{ "before the first second", { { 0, 1, false }, { INT64_MIN, 1, false } }, 2, 1 },
	{ "uids that meet in one bucket",
	  { { 5, 0, false }, { 4, 8192, false }, { 3, 16384, false }, { 6, 8192, false } }, 4, 1 },
};

START_TEST(test_row)
{
	claim_int_eq(rows[_i].claim, evict_choose(rows[_i].candidates, rows[_i].n),
		     rows[_i].chosen);
}
END_TEST

static uint32_t places_of(const struct evict_candidate *candidates, size_t n, uint32_t uid)
{
	uint32_t places = 0;

	for (size_t i = 0; i < n; i++)
		places += candidates[i].uid == uid;
	return places;
}

/* By the definition, in O(n^2). */
static size_t choose_slowly(const struct evict_candidate *candidates, size_t n)
{
	size_t chosen = n;
	uint32_t most = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t places = places_of(candidates, n, candidates[i].uid);

		if (candidates[i].busy)
			continue;
		if (chosen == n || places > most ||
		    (places == most && candidates[i].last_ns < candidates[chosen].last_ns)) {
			chosen = i;
			most = places;
		}
	}
	return chosen;
}

START_TEST(test_random)
{
	struct unit_random random = unit_random(_i);
	struct evict_candidate candidates[200];

	for (int round = 0; round < 200; round++) {
		size_t n = unit_below(&random, 201), chosen;
		uint64_t users = 1 + unit_below(&random, 200);

		for (size_t i = 0; i < n; i++)
			candidates[i] = (struct evict_candidate){
				.last_ns = (int64_t)unit_below(&random, 50),
				.uid = (uint32_t)(unit_below(&random, users) * 0x10000001u),
				.busy = unit_below(&random, 3) == 0,
			};
		chosen = evict_choose(candidates, n);
		ck_assert_uint_eq(chosen, choose_slowly(candidates, n));
		ck_assert(chosen == n || !candidates[chosen].busy);
	}
}
END_TEST

/* One user fills the state: another's process is safe for as long as that user has more. */
START_TEST(test_flood)
{
	static struct evict_candidate candidates[EVICT_MAX];

	for (size_t i = 0; i < EVICT_MAX; i++)
		candidates[i] = (struct evict_candidate){ .last_ns = (int64_t)(1000 + i),
							  .uid = i % 16 == 0 ? (uint32_t)i : 666 };
	for (int round = 0; round < 1000; round++) {
		size_t chosen = evict_choose(candidates, EVICT_MAX);

		ck_assert_uint_eq(candidates[chosen].uid, 666);
		candidates[chosen].last_ns = 100000 + round;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("evict");
	TCase *evict_case = unit_case(suite, "evict");

	tcase_add_loop_test(evict_case, test_row, 0, ROWS(rows));
	tcase_add_loop_test(evict_case, test_random, 0, 5);
	tcase_add_test(evict_case, test_flood);
	return unit_main(suite);
}
