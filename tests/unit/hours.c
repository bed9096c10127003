/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The published vectors of the crash-free interval tracker, in its order (a crash only
 * moves the mark) and in ours (it settles first).
 *
 * Scripts: "+N" lets N minutes pass, "c" is a crash, "u" an update that prints the
 * (operational, crash-free) hours since the update before. Time starts at a moment that
 * is no multiple of anything.
 */

#include "policy/hours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/account.h"
#include "unit.h"

#define MINUTE (60 * SEC)
#define HOUR (60 * MINUTE)
#define START 123456789LL

/* ---- the primitive ---- */

static const struct {
	const char *claim;
	int64_t mark_ns;
	int64_t now_ns;
	int64_t interval_ns;
	uint64_t count;
	int64_t mark_after_ns;
} elapsed[] = {
	{ "mark now", 1000 * SEC, 1000 * SEC, 10 * SEC, 0, 1000 * SEC },
	{ "mark one interval ago", 990 * SEC, 1000 * SEC, 10 * SEC, 1, 1000 * SEC },
	{ "mark two and a half ago", 975 * SEC, 1000 * SEC, 10 * SEC, 2, 995 * SEC },
	{ "mark in the future", 1005 * SEC, 1000 * SEC, 10 * SEC, 0, 1000 * SEC },
	{ "a nanosecond short", 990 * SEC + 1, 1000 * SEC, 10 * SEC, 0, 990 * SEC + 1 },
	{ "before the first second", -25 * SEC, 0, 10 * SEC, 2, -5 * SEC },
	{ "the whole of time", INT64_MIN, INT64_MAX, 1, UINT64_MAX, INT64_MAX },
	{ "the whole of time in half of it", INT64_MIN, INT64_MAX, INT64_MAX, 2, INT64_MAX - 1 },
	{ "from the last instant back to the first", INT64_MAX, INT64_MIN, 1, 0, INT64_MIN },
};

START_TEST(test_elapsed)
{
	int64_t mark_ns = elapsed[_i].mark_ns;

	claim_int_eq(elapsed[_i].claim,
		     hours_elapsed(&mark_ns, elapsed[_i].now_ns, elapsed[_i].interval_ns),
		     elapsed[_i].count);
	claim_int_eq(elapsed[_i].claim, mark_ns, elapsed[_i].mark_after_ns);
}
END_TEST

/* ---- the vectors ---- */

/*
 * The row of the 60 s interval gives (120,60) in the original's order. In ours the same
 * events give (120,120): the crash comes after sixty crash-free minutes that are settled
 * before the mark moves, and sixty more follow it.
 */
static const struct {
	const char *claim;
	const char *script;
	int64_t interval_ns;
	const char *original;
	const char *ours;
} vectors[] = {
	{ "two hours of peace", "+120 u", HOUR, "(2,2)", "(2,2)" },
	{ "a crash in the middle, counted in minutes", "+60 c +60 u", MINUTE, "(120,60)",
	  "(120,120)" },
	{ "half hours add up over updates", "+30 u +30 u", HOUR, "(0,0) (1,1)", "(0,0) (1,1)" },
	{ "a crash begins the hour again", "+30 u c +30 u +30 u +30 u", HOUR,
	  "(0,0) (1,0) (0,1) (1,0)", "(0,0) (1,0) (0,1) (1,0)" },
	{ "hours before a late crash are lost by the original only",
	  "+180 u +170 c +10 u +10 c +170 u", HOUR, "(3,3) (3,0) (3,2)", "(3,3) (3,2) (3,2)" },
	{ "four crashes at once, then an hour", "c c c c +60 u", HOUR, "(1,1)", "(1,1)" },
	{ "a crash at the very end of an hour", "+60 c u", HOUR, "(1,0)", "(1,1)" },
	{ "nothing at all", "u u", HOUR, "(0,0) (0,0)", "(0,0) (0,0)" },
};

struct player {
	struct hours hours;
	struct hours printed;
	int64_t now_ns;
	int64_t interval_ns;
	bool settles_first;
	struct unit_text text;
};

static void play_word(struct player *p, const char *word)
{
	struct hours *h = &p->hours;

	if (word[0] == '+') {
		p->now_ns += strtol(word + 1, NULL, 10) * MINUTE;
	} else if (word[0] == 'c' && p->settles_first) {
		hours_crash(h, p->now_ns, p->interval_ns);
	} else if (word[0] == 'c') {
		hours_mark_crash(h, p->now_ns);
	} else {
		hours_settle(h, p->now_ns, p->interval_ns);
		unit_append(&p->text, "%s(%d,%d)", p->text.n ? " " : "",
			    (int)(h->operational - p->printed.operational),
			    (int)(h->crashfree - p->printed.crashfree));
		p->printed = *h;
	}
}

static void play(struct player *p, const char *script)
{
	char copy[256], *save = NULL;

	p->now_ns = START;
	hours_start(&p->hours, START);
	(void)snprintf(copy, sizeof(copy), "%s", script);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		play_word(p, word);
}

START_TEST(test_original_order)
{
	struct player player = { .interval_ns = vectors[_i].interval_ns };

	play(&player, vectors[_i].script);
	claim_str_eq(vectors[_i].claim, player.text.bytes, vectors[_i].original);
}
END_TEST

START_TEST(test_our_order)
{
	struct player player = { .interval_ns = vectors[_i].interval_ns, .settles_first = true };

	play(&player, vectors[_i].script);
	claim_str_eq(vectors[_i].claim, player.text.bytes, vectors[_i].ours);
}
END_TEST

/* The vector of four crashes, with the counts by process that the original prints. */
START_TEST(test_crashes_by_process)
{
	static const struct throttle_limits limits = THROTTLE_LIMITS_DEFAULT;
	struct account memfaultd = { 0 }, collectd = { 0 };
	struct totals totals = { 0 };
	struct hours hours;

	hours_start(&hours, 0);
	for (int i = 0; i < 4; i++) {
		hours_crash(&hours, 0, HOUR);
		(void)account_crash(i < 3 ? &memfaultd : &collectd, &limits, 0, 0);
	}
	hours_settle(&hours, HOUR, HOUR);
	totals_add(&totals, &memfaultd);
	totals_add(&totals, &collectd);
	ck_assert_uint_eq(hours.operational, 1);
	ck_assert_uint_eq(hours.crashfree, 1);
	ck_assert_uint_eq(totals.crashes, 4);
	ck_assert_uint_eq(memfaultd.crashes, 3);
	ck_assert_uint_eq(collectd.crashes, 1);
}
END_TEST

/* ---- slots ---- */

static const struct {
	const char *claim;
	const char *script;
	uint64_t crashfree_slots;
} slots[] = {
	{ "a slot that runs does not count", "+59 u", 0 },
	{ "an hour without a crash", "+60 u", 1 },
	{ "a crash spoils the slot it falls in", "+30 c +30 u", 0 },
	{ "two crashes spoil it once", "+10 c +10 c +100 u", 1 },
	{ "a crash on the border belongs to the slot that begins", "+60 c +60 u", 1 },
	{ "slots do not move with the crash", "+59 c +61 u", 1 },
	{ "a long settling spoils one slot only", "+10 c +600 u", 9 },
	{ "two slots spoilt by two crashes", "+59 c +2 c +119 u", 1 },
	{ "clean slots between crashes", "+30 c +120 c +150 u", 3 },
};

START_TEST(test_slots)
{
	struct player player = { .interval_ns = HOUR, .settles_first = true };

	play(&player, slots[_i].script);
	claim_int_eq(slots[_i].claim, player.hours.crashfree_slots, slots[_i].crashfree_slots);
}
END_TEST

/* A crash every 61 minutes: rolling reads well, slots tell the truth. */
START_TEST(test_flattering)
{
	struct hours hours;
	int64_t now_ns = START;
	double rolling, slot;

	hours_start(&hours, START);
	for (int i = 0; i < 60000; i++) {
		now_ns += 61 * MINUTE;
		hours_crash(&hours, now_ns, HOUR);
	}
	ck_assert_uint_eq(hours.operational, 61000);
	rolling = (double)hours.crashfree / (double)hours.operational;
	slot = (double)hours.crashfree_slots / (double)hours.operational;
	ck_assert_double_eq_tol(rolling, 0.983, 0.001);
	ck_assert_double_eq_tol(slot, 0.017, 0.001);
}
END_TEST

/* A device that reboots every 45 minutes logs its hours: marks are kept, not restarted. */
START_TEST(test_short_boots)
{
	struct hours hours, restarted;

	hours_start(&hours, START);
	for (int boot = 1; boot <= 40; boot++) {
		hours_settle(&hours, START + boot * 45 * MINUTE, HOUR);
		restarted = hours; /* as it goes through the file */
		hours = restarted;
	}
	ck_assert_uint_eq(hours.operational, 30);
	ck_assert_uint_eq(hours.crashfree, 30);
	ck_assert_uint_eq(hours.crashfree_slots, 30);
}
END_TEST

/* ---- properties ---- */

static void check_step(const struct hours *before, const struct hours *after)
{
	check_that(after->operational >= before->operational);
	check_that(after->crashfree >= before->crashfree);
	check_that(after->crashfree_slots >= before->crashfree_slots);
	check_that(after->operational >= after->crashfree);
	check_that(after->operational >= after->crashfree_slots);
}

START_TEST(test_properties)
{
	struct unit_random random = unit_random(_i);
	int64_t now_ns = START;
	struct hours hours;

	hours_start(&hours, START);
	for (int i = 0; i < 5000; i++) {
		struct hours before = hours;

		now_ns += (int64_t)unit_below(&random, 90 * MINUTE);
		if (unit_below(&random, 3) == 0)
			hours_crash(&hours, now_ns, HOUR);
		else
			hours_settle(&hours, now_ns, HOUR);
		check_step(&before, &hours);
		check_that(hours.operational_mark_ns <= now_ns);
		check_that(now_ns - hours.operational_mark_ns < HOUR);
	}
	check_that(hours.operational == (uint64_t)((now_ns - START) / HOUR));
}
END_TEST

/* However often it is settled in between, the count is the same. */
START_TEST(test_settling_often)
{
	struct unit_random random = unit_random(100 + _i);
	struct hours often, once;
	int64_t now_ns = START;

	hours_start(&often, START);
	hours_start(&once, START);
	for (int i = 0; i < 500; i++) {
		now_ns += (int64_t)unit_below(&random, 70 * MINUTE);
		if (unit_below(&random, 4) == 0) {
			hours_crash(&often, now_ns, HOUR);
			hours_crash(&once, now_ns, HOUR);
		} else {
			hours_settle(&often, now_ns, HOUR);
		}
	}
	hours_settle(&once, now_ns, HOUR);
	hours_settle(&often, now_ns, HOUR);
	ck_assert_mem_eq(&often, &once, sizeof(once));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hours");
	TCase *vector_case = unit_case(suite, "vectors");
	TCase *slot_case = unit_case(suite, "slots");
	TCase *random = unit_case(suite, "random");

	tcase_add_loop_test(vector_case, test_elapsed, 0, ROWS(elapsed));
	tcase_add_loop_test(vector_case, test_original_order, 0, ROWS(vectors));
	tcase_add_loop_test(vector_case, test_our_order, 0, ROWS(vectors));
	tcase_add_test(vector_case, test_crashes_by_process);
	tcase_add_loop_test(slot_case, test_slots, 0, ROWS(slots));
	tcase_add_test(slot_case, test_flattering);
	tcase_add_test(slot_case, test_short_boots);
	tcase_add_loop_test(random, test_properties, 0, 10);
	tcase_add_loop_test(random, test_settling_often, 0, 10);
	return unit_main(suite);
}
