/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any life of a machine, and some that were thought of. Whatever comes in whichever order
 * (crashes, ticks, reboots, a torn last line, a lost throttle file): operational >= crash-free by
 * both definitions, neither ever goes backwards, no crash that was synced is lost, and the
 * windows of the history add up to its total.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/counters.h"
#include "sim.h"
#include "summary/summary.h"
#include "unit.h"

#define START_NS (1700000000LL * NS_PER_SEC)

static char root[32], path[64];
static struct sim sim;

static void begin(uint64_t seed)
{
	(void)snprintf(root, sizeof(root), "/tmp/cflife.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/state", root); /* its parent must be safe, too */
	ck_assert_int_eq(mkdir(path, 0700), 0);
	sim_open(&sim, path, seed);
	sim.now.wall_ns = START_NS;
	sim_boot(&sim, 0);
	sim_tick(&sim, false);
}

static void end(void)
{
	char command[128];

	sim_done(&sim);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

/* The window as `summary` would tell it at this moment. */
static struct summary_tally tally(int64_t since_ns, int64_t until_ns)
{
	struct summary summary = SUMMARY_NULL;
	struct summary_tally result;

	summary.window = (struct summary_window){ since_ns, until_ns };
	ck_assert_int_eq(ledger_lock(&sim.ledger, &sim.now), 0);
	ck_assert_int_eq(summary_take_state(&summary, &sim.ledger), 0);
	ledger_unlock(&sim.ledger);
	ck_assert_int_eq(summary_take_history(&summary, sim.ledger.dir_fd), 0);
	result = summary.window_tally;
	summary_done(&summary);
	return result;
}

static struct summary_tally ever(void)
{
	return tally(INT64_MIN, INT64_MAX);
}

static void crash(const char *process)
{
	const struct sim_crash crash = { .process = process, .uid = 7, .signal = 11 };
	struct ledger_ticket ticket;

	sim_crash(&sim, &crash, &ticket);
}

static void run_hours(int hours)
{
	for (int i = 0; i < hours * 12; i++) {
		sim_pass(&sim, 5 * SIM_MINUTE);
		sim_tick(&sim, false);
	}
}

/* ---- any life ---- */

/* A power cut tore the line that was being written. */
static void tear(void)
{
	struct stat st;
	int fd = openat(sim.ledger.dir_fd, COUNTERS_FILE, O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(ftruncate(fd, st.st_size - 1 - (off_t)sim_chance(&sim, 20)), 0);
	(void)close(fd);
}

/* The throttle file is gone: all comes back from counters and records. */
static void lose_state(void)
{
	const struct sim before = sim;
	char file[96];

	sim_done(&sim);
	(void)snprintf(file, sizeof(file), "%s/throttle", path);
	ck_assert_int_eq(unlink(file), 0);
	sim_open(&sim, path, before.random);
	sim.now = before.now;
	sim.boot = before.boot;
	sim.covered = before.covered;
}

static void happen(void)
{
	static const char *const processes[] = { "a", "b", "c", "d" };

	switch (sim_chance(&sim, 20)) {
	case 0:
		sim_boot(&sim, (int64_t)sim_chance(&sim, 7200) * NS_PER_SEC);
		break;
	case 1:
		sim_tick(&sim, true);
		sim_boot(&sim, (int64_t)sim_chance(&sim, 7200) * NS_PER_SEC);
		break;
	case 2:
		tear();
		sim_tick(&sim, false); /* power is back; what was synced before is there */
		break;
	case 3:
		sim_tick(&sim, false);
		lose_state();
		break;
	case 4:
		sim.covered = !sim.covered;
		break;
	case 5:
		sim.now.wall_ns += ((int64_t)sim_chance(&sim, 7200) - 3600) * NS_PER_SEC;
		break;
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
		crash(processes[sim_chance(&sim, 4)]);
		break;
	default:
		sim_pass(&sim, (int64_t)sim_chance(&sim, 5400) * NS_PER_SEC);
		sim_tick(&sim, false);
	}
}

static void hold(const struct summary_tally *before, const struct summary_tally *now, int step)
{
	ck_assert_msg(now->operational >= now->crashfree &&
			      now->operational >= now->crashfree_slots,
		      "step %d: operational %" PRIu64 ", rolling %" PRIu64 ", slots %" PRIu64, step,
		      now->operational, now->crashfree, now->crashfree_slots);
	ck_assert_msg(now->operational >= before->operational &&
			      now->crashfree >= before->crashfree &&
			      now->crashfree_slots >= before->crashfree_slots &&
			      now->crashes >= before->crashes && now->kept >= before->kept,
		      "step %d: went backwards", step);
}

static void windows_add_up(void)
{
	struct summary_tally total = ever(), sum = { 0 };
	int64_t since_ns = INT64_MIN;

	for (int i = 0; i < 9; i++) {
		int64_t until_ns = i == 8 ? INT64_MAX :
					    START_NS + (int64_t)sim_chance(&sim, 40) * (i + 1) *
							       SIM_HOUR / 4;
		struct summary_tally part;

		if (until_ns < since_ns)
			continue;
		part = tally(since_ns, until_ns);
		sum.operational += part.operational;
		sum.crashfree += part.crashfree;
		sum.crashfree_slots += part.crashfree_slots;
		sum.crashes += part.crashes;
		sum.kept += part.kept;
		since_ns = until_ns;
	}
	ck_assert_uint_eq(sum.operational, total.operational);
	ck_assert_uint_eq(sum.crashfree, total.crashfree);
	ck_assert_uint_eq(sum.crashfree_slots, total.crashfree_slots);
	ck_assert_uint_eq(sum.crashes, total.crashes);
	ck_assert_uint_eq(sum.kept, total.kept);
}

START_TEST(test_any_life)
{
	struct summary_tally before = { 0 };

	begin((uint64_t)_i + 1);
	for (int step = 0; step < 120; step++) {
		struct summary_tally now;

		happen();
		now = ever();
		hold(&before, &now, step);
		before = now;
	}
	windows_add_up();
	end();
}
END_TEST

/* ---- lives that were thought of ---- */

START_TEST(test_61_minutes)
{
	struct summary_tally t;

	begin(1);
	for (int i = 0; i < 60 * 61; i++) {
		sim_pass(&sim, SIM_MINUTE);
		if (i % 61 == 60)
			crash("metronome");
		else
			sim_tick(&sim, false);
	}
	t = ever();
	ck_assert_uint_eq(t.operational, 61);
	ck_assert_uint_eq(t.crashfree, 60); /* one before each of the 60 crashes */
	ck_assert_uint_eq(t.crashfree_slots, 2); /* the first and the last: the crash ends it */
	end();
}
END_TEST

START_TEST(test_off_for_a_month)
{
	struct summary_tally t;

	begin(1);
	run_hours(10);
	sim_tick(&sim, true);
	sim_boot(&sim, 30 * SIM_DAY);
	run_hours(10);
	t = ever();
	ck_assert_uint_eq(t.operational, 20);
	ck_assert_uint_eq(t.crashfree, 20);
	ck_assert_uint_eq(t.unclean, 0);
	end();
}
END_TEST

/* Wall time goes on over a suspend, the monotonic clock does not. */
START_TEST(test_suspended)
{
	begin(1);
	run_hours(3);
	sim.now.wall_ns += 9 * SIM_HOUR;
	run_hours(3);
	ck_assert_uint_eq(ever().operational, 6);
	end();
}
END_TEST

START_TEST(test_clock_steps)
{
	begin(1);
	run_hours(2);
	sim.now.wall_ns += 400 * SIM_DAY;
	run_hours(2);
	sim.now.wall_ns -= 800 * SIM_DAY;
	run_hours(2);
	ck_assert_uint_eq(ever().operational, 6);
	ck_assert_uint_eq(ever().crashfree, 6);
	end();
}
END_TEST

/* Cron did not run for six hours: they count, a crash in them is where it was. */
START_TEST(test_ticks_missed)
{
	struct summary_tally t;

	begin(1);
	sim_pass(&sim, 3 * SIM_HOUR + 30 * SIM_MINUTE);
	crash("a");
	sim_pass(&sim, 3 * SIM_HOUR);
	sim_tick(&sim, false);
	t = ever();
	ck_assert_uint_eq(t.operational, 6);
	ck_assert_uint_eq(t.crashfree, 6); /* 3 before and 3 after it */
	ck_assert_uint_eq(t.crashfree_slots, 5);
	end();
}
END_TEST

/* A boot that ran 45 minutes, again and again: no part of an hour is lost. */
START_TEST(test_short_boots)
{
	begin(1);
	for (int i = 0; i < 8; i++) {
		sim_pass(&sim, 45 * SIM_MINUTE - 20 * NS_PER_SEC);
		sim_tick(&sim, true);
		sim_boot(&sim, SIM_MINUTE);
		sim_tick(&sim, false);
	}
	ck_assert_uint_eq(ever().operational, 6);
	ck_assert_uint_eq(ever().unclean, 0);
	end();
}
END_TEST

START_TEST(test_unclean)
{
	begin(1);
	sim_boot(&sim, 0); /* who never says that it stops cannot be told to have crashed */
	sim_tick(&sim, false);
	ck_assert_uint_eq(ever().unclean, 0);
	sim_tick(&sim, true);
	sim_boot(&sim, 0);
	sim_tick(&sim, false);
	ck_assert_uint_eq(ever().unclean, 0);
	sim_boot(&sim, 0);
	sim_tick(&sim, false);
	ck_assert_uint_eq(ever().unclean, 1);
	end();
}
END_TEST

/* The same boot, and the clock far behind the mark: hours go on as if nothing was. */
START_TEST(test_restored_snapshot)
{
	begin(1);
	run_hours(3);
	sim.now.monotonic_ns = 5 * NS_PER_SEC;
	sim_tick(&sim, false);
	run_hours(1);
	ck_assert_uint_eq(ever().operational, 4);
	end();
}
END_TEST

/* 49.7 days of milliseconds are 2^32; 24.8 are 2^31. One boot runs over both. */
START_TEST(test_49_days)
{
	begin(1);
	for (int day = 0; day < 60; day++) {
		sim_pass(&sim, SIM_DAY);
		sim_tick(&sim, false);
	}
	ck_assert_uint_eq(ever().operational, 60 * 24);
	ck_assert_int_eq(ever().on_time_s, 60 * 86400);
	end();
}
END_TEST

/* From before 2^31 seconds to after them. */
START_TEST(test_2038)
{
	const int64_t edge_ns = (1LL << 31) * NS_PER_SEC;
	struct summary_tally t;

	begin(1);
	sim.now.wall_ns = edge_ns - 12 * SIM_HOUR;
	run_hours(11);
	crash("a");
	sim_pass(&sim, 2 * SIM_HOUR);
	crash("b");
	run_hours(11);
	t = ever();
	ck_assert_uint_eq(t.operational, 24);
	ck_assert_uint_eq(t.crashes, 2);
	ck_assert_uint_eq(tally(INT64_MIN, edge_ns).crashes, 1);
	ck_assert_uint_eq(tally(edge_ns, INT64_MAX).crashes, 1);
	ck_assert_uint_eq(tally(edge_ns, INT64_MAX).operational, 13);
	end();
}
END_TEST

START_TEST(test_state_lost)
{
	struct summary_tally before, t;

	begin(1);
	run_hours(5);
	crash("a");
	run_hours(5);
	before = ever();
	lose_state();
	t = ever();
	ck_assert_uint_eq(t.operational, before.operational);
	ck_assert_uint_eq(t.crashfree, before.crashfree);
	ck_assert_uint_eq(t.crashes, 1);
	run_hours(2);
	ck_assert_uint_ge(ever().operational, before.operational + 1);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("life");
	TCase *tcase = unit_case(suite, "life");

	tcase_add_loop_test(tcase, test_any_life, 0, 6);
	tcase_add_test(tcase, test_61_minutes);
	tcase_add_test(tcase, test_off_for_a_month);
	tcase_add_test(tcase, test_suspended);
	tcase_add_test(tcase, test_clock_steps);
	tcase_add_test(tcase, test_ticks_missed);
	tcase_add_test(tcase, test_short_boots);
	tcase_add_test(tcase, test_unclean);
	tcase_add_test(tcase, test_restored_snapshot);
	tcase_add_test(tcase, test_49_days);
	tcase_add_test(tcase, test_2038);
	tcase_add_test(tcase, test_state_lost);
	tcase_set_timeout(tcase, 200);
	return unit_main(suite);
}
