/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * On-time over boots.
 *
 * Scripts: a letter is the boot, a number its monotonic seconds, "-" behind it says that
 * crashes did not come to us then: "a10 b5-".
 */

#include "io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static const struct {
	const char *claim;
	const char *script;
	int64_t on_time_s;
	int64_t uncovered_s;
	uint64_t boots;
} scripts[] = {
	{ "the first reading starts at 0", "a1000", 0, 0, 1 },
	{ "time passes inside a boot", "a1000 a1060", 60, 0, 1 },
	{ "in two steps as in one", "a1000 a1020 a1060", 60, 0, 1 },
	{ "a new boot brings what it has run so far", "a1000 a1060 b5", 65, 0, 2 },
	{ "and goes on from there", "a1000 b5 b30", 30, 0, 2 },
	{ "boots of 45 minutes add up", "a0 a2700 b2700 c2700 d2700", 10800, 0, 4 },
	{ "a boot that comes back is a new boot", "a0 b10 a10", 20, 0, 3 },
	{ "suspended time is not there to be counted", "a100 a100", 0, 0, 1 },
	{ "a clock set back adds nothing", "a1000 a900", 0, 0, 1 },
	{ "nor is the way back counted twice", "a1000 a1100 a1040 a1150", 150, 0, 1 },
	{ "set back further, it goes on from there", "a1000 a1100 a1039 a1150", 211, 0, 1 },
	{ "... at once", "a10000000 a20 a30 a40", 20, 0, 1 },
	{ "... to before the first reading", "a1000 a1100 a0 a50", 150, 0, 1 },
	{ "... again and again", "a1000 a0 a1000 a0 a10", 1010, 0, 1 },
	{ "... uncovered", "a1000 a1100- a0 a50", 150, 100, 1 },
	{ "uncovered at both ends", "a0- a60-", 60, 60, 1 },
	{ "covered at the end only", "a0- a60", 60, 60, 1 },
	{ "covered at the start only", "a0 a60-", 60, 60, 1 },
	{ "covered again from the next mark on", "a0 a60- a100 a130", 130, 100, 1 },
	{ "a new boot before which we were covered", "a0 b60", 60, 0, 2 },
	{ "a new boot that is not covered yet", "a0 b60- b70", 70, 70, 2 },
	{ "a new boot after an uncovered one", "a0- b60", 60, 60, 2 },
	{ "the first reading has nothing to be uncovered", "a1000-", 0, 0, 1 },
};

static struct clock_reading reading(const char *word)
{
	struct clock_reading now = { .monotonic_ns = strtol(word + 1, NULL, 10) * SEC };

	memset(now.boot_id, word[0], sizeof(now.boot_id));
	return now;
}

START_TEST(test_script)
{
	struct clock_state state = { 0 };
	char copy[128], *save = NULL;
	int64_t last_ns = 0;

	(void)snprintf(copy, sizeof(copy), "%s", scripts[_i].script);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		struct clock_reading now = reading(word);
		int64_t on_time_ns = clock_advance(&state, &now, !strchr(word, '-'));

		ck_assert_int_ge(on_time_ns, last_ns);
		ck_assert_int_eq(on_time_ns, state.on_time_ns);
		last_ns = on_time_ns;
	}
	claim_int_eq(scripts[_i].claim, state.on_time_ns, scripts[_i].on_time_s * SEC);
	claim_int_eq(scripts[_i].claim, state.uncovered_ns, scripts[_i].uncovered_s * SEC);
	claim_int_eq(scripts[_i].claim, clock_covered_ns(&state),
		     (scripts[_i].on_time_s - scripts[_i].uncovered_s) * SEC);
	claim_int_eq(scripts[_i].claim, state.boots, scripts[_i].boots);
}
END_TEST

/* The boot id differs in its last byte only; wall time steps as it likes. */
START_TEST(test_whole_boot_id)
{
	struct clock_state state = { 0 };
	struct clock_reading now = { .monotonic_ns = 50 * SEC, .wall_ns = 1000 * SEC };

	(void)clock_advance(&state, &now, true);
	now.wall_ns = -1000 * SEC;
	ck_assert_int_eq(clock_advance(&state, &now, true), 0);
	now.boot_id[CLOCK_BOOT_ID_BYTES - 1] = 1;
	ck_assert_int_eq(clock_advance(&state, &now, true), 50 * SEC);
}
END_TEST

static const struct {
	const char *claim;
	const char *text;
	int64_t ns;
} offsets[] = {
	{ "the initial namespace", "monotonic           0         0\nboottime            0         0\n", 0 },
	{ "one that is ahead", "monotonic    10000000         5\nboottime     7 0\n",
	  10000000 * SEC + 5 },
	{ "one that is behind", "monotonic -5 250000000\nboottime 7 0\n", -4750000000 },
	{ "another order", "boottime 7 0\nmonotonic 3 0\n", 3 * SEC },
	{ "no such line", "boottime 7 0\n", 0 },
	{ "half a line", "monotonic 3", 0 },
	{ "nothing", "", 0 },
	{ "more than there is", "monotonic 9223372036854775807 0\n", 0 },
};

START_TEST(test_offset)
{
	claim_int_eq(offsets[_i].claim, clock_offset_ns(offsets[_i].text), offsets[_i].ns);
}
END_TEST

static const struct {
	const char *claim;
	int64_t on_time_ns;
	int64_t wall_now_ns;
	int64_t wall_ns;
	int64_t wanted_ns;
} walls[] = {
	{ "now is now", 100 * SEC, 5000 * SEC, 5000 * SEC, 100 * SEC },
	{ "a minute ago", 100 * SEC, 5000 * SEC, 4940 * SEC, 40 * SEC },
	{ "before the first second of on-time", 100 * SEC, 5000 * SEC, 0, -4900 * SEC },
	{ "tomorrow", 100 * SEC, 5000 * SEC, 91400 * SEC, 86500 * SEC },
	{ "the first instant there is", 100 * SEC, 5000 * SEC, INT64_MIN, INT64_MIN },
	{ "the last instant there is", 9000 * SEC, 5000 * SEC, INT64_MAX, INT64_MAX },
	{ "a wall clock before 1970", 0, -5 * SEC, INT64_MAX, INT64_MAX },
};

START_TEST(test_wall)
{
	struct clock_state state = { .on_time_ns = walls[_i].on_time_ns, .started = true };
	struct clock_reading now = { .wall_ns = walls[_i].wall_now_ns };

	claim_int_eq(walls[_i].claim, clock_on_time_of_wall(&state, &now, walls[_i].wall_ns),
		     walls[_i].wanted_ns);
}
END_TEST

START_TEST(test_random)
{
	struct unit_random random = unit_random(_i);
	struct clock_state state = { 0 };
	int64_t last_ns = 0;

	for (int i = 0; i < 5000; i++) {
		struct clock_reading now = {
			.monotonic_ns = (int64_t)unit_below(&random, 100 * (uint64_t)SEC),
		};

		now.boot_id[0] = (uint8_t)unit_below(&random, 2);
		(void)clock_advance(&state, &now, unit_below(&random, 2));
		check_that(state.on_time_ns >= last_ns);
		check_that(clock_covered_ns(&state) >= 0);
		check_that(state.uncovered_ns >= 0);
		last_ns = state.on_time_ns;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *clock_case = unit_case(suite, "clock");

	tcase_add_loop_test(clock_case, test_script, 0, ROWS(scripts));
	tcase_add_test(clock_case, test_whole_boot_id);
	tcase_add_loop_test(clock_case, test_offset, 0, ROWS(offsets));
	tcase_add_loop_test(clock_case, test_wall, 0, ROWS(walls));
	tcase_add_loop_test(clock_case, test_random, 0, 5);
	return unit_main(suite);
}
