/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What must hold for any history: operational >= crash-free, nothing ever shrinks, windows
 * that touch add up to the whole; and what is left out of a history is named by its line.
 */

#include "summary/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/counters.h"
#include "io/dir.h"
#include "policy/rate.h"
#include "policy/units.h"
#include "unit.h"

#define HOUR (3600 * NS_PER_SEC)
#define START_S 1700000000LL

/* ---- rates ---- */

static const struct {
	const char *claim;
	uint64_t n;
	double low;
	double high;
} rates[] = {
	/* From the chi-squared distribution; see Garwood 1936, Ulm 1990. */
	{ "none", 0, 0, 3.688879 },
	{ "one", 1, 0.025318, 5.571643 },
	{ "ten", 10, 4.795389, 18.390356 },
	{ "last of the table", 30, 20.240874, 42.826865 },
	{ "first behind it", 31, 21.062996, 44.002026 },
	{ "a hundred", 100, 81.363991, 121.626794 },
	{ "a thousand", 1000, 938.973018, 1063.952136 },
};

START_TEST(test_rate)
{
	struct rate rate = rate_interval(rates[_i].n);
	double low = rate.low - rates[_i].low, high = rate.high - rates[_i].high;

	ck_assert_msg(low * low <= 4e-8 * rates[_i].low * rates[_i].low + 1e-9, "%s: low %f",
		      rates[_i].claim, rate.low);
	ck_assert_msg(high * high <= 4e-8 * rates[_i].high * rates[_i].high, "%s: high %f",
		      rates[_i].claim, rate.high);
}
END_TEST

START_TEST(test_rate_of_hours)
{
	struct rate rate = rate_per_1000_hours(10, 500 * HOUR);

	ck_assert_double_eq_tol(rate.value, 20, 1e-9);
	ck_assert_double_eq_tol(rate.low, 9.590778, 1e-5);
	ck_assert_double_eq_tol(rate_per_1000_hours(10, 0).high, 0, 1e-9);
	for (uint64_t n = 0, last = 0; n < 100000; last = n, n = n * 5 / 4 + 1)
		ck_assert(rate_interval(n).low <= (double)n && rate_interval(n).high > (double)n &&
			  rate_interval(n).high >= rate_interval(last).high);
}
END_TEST

/* ---- any history ---- */

static void tear(int dir_fd, uint64_t cut)
{
	struct stat st;

	if (fstatat(dir_fd, COUNTERS_FILE, &st, 0) == 0 && (uint64_t)st.st_size > cut) {
		int fd = openat(dir_fd, COUNTERS_FILE, O_WRONLY | O_CLOEXEC);

		ck_assert_int_eq(ftruncate(fd, st.st_size - (off_t)cut), 0);
		(void)close(fd);
	}
}

static void roll(int dir_fd)
{
	struct counters_roll r = COUNTERS_ROLL_NULL;

	ck_assert_int_eq(counters_roll_begin(dir_fd, 0, &r), 0);
	ck_assert_int_eq(counters_roll_end(dir_fd, &r), 0);
}

static void crash(struct ledger *ledger, const struct clock_reading *now, struct unit_random *random)
{
	static const char *const names[] = { "a", "b", "c" };
	const struct ledger_crash question = { .uid = (uint32_t)unit_below(random, 2),
					       .process = names[unit_below(random, 3)] };
	struct ledger_ticket ticket;

	ck_assert_int_eq(ledger_crash(ledger, &question, now, &ticket), 0);
	if (ticket.decision == THROTTLE_FOLD)
		return;
	if (unit_below(random, 2))
		ck_assert_int_eq(ledger_give_back(ledger, &ticket, now), 0);
	else
		ck_assert_int_eq(ledger_commit(ledger, &ticket, now), 0);
}

static void tick(struct ledger *ledger, const struct clock_reading *now)
{
	ck_assert_int_eq(ledger_lock(ledger, now), 0);
	ck_assert_int_eq(state_write(ledger->state, 0, NULL, STATE_INFLIGHT, false), 0);
	ck_assert_int_eq(ledger_snapshot(ledger, false), 0);
	ledger_unlock(ledger);
}

static void check_step(struct ledger *ledger, struct hours *last)
{
	const struct hours *h = &ledger->state->header.hours;

	ck_assert_uint_ge(h->operational, h->crashfree);
	ck_assert_uint_ge(h->operational, h->crashfree_slots);
	ck_assert_uint_ge(h->operational, last->operational);
	ck_assert_uint_ge(h->crashfree, last->crashfree);
	ck_assert_uint_ge(h->crashfree_slots, last->crashfree_slots);
	*last = *h;
}

static void step(struct ledger *ledger, struct clock_reading *now, struct unit_random *random)
{
	int64_t ns = (int64_t)unit_below(random, 3 * 3600) * NS_PER_SEC / (int64_t)(1 + unit_below(random, 60));

	now->monotonic_ns += ns;
	now->wall_ns += ns;
	switch (unit_below(random, 12)) {
	case 0:
		now->boot_id[0]++;
		now->monotonic_ns = (int64_t)unit_below(random, 1000) * NS_PER_SEC;
		break;
	case 1:
		now->wall_ns += (int64_t)unit_below(random, 200000) * NS_PER_SEC;
		break;
	case 2:
		now->wall_ns -= (int64_t)unit_below(random, 4000) * NS_PER_SEC;
		break;
	case 3:
		tear(ledger->dir_fd, 1 + unit_below(random, 300));
		break;
	case 4:
		ledger->covered = unit_below(random, 2);
		break;
	case 5:
		roll(ledger->dir_fd);
		break;
	default:
		break;
	}
	if (unit_below(random, 2))
		crash(ledger, now, random);
	else
		tick(ledger, now);
}

static struct summary_tally tally(struct ledger *ledger, int64_t since_ns, int64_t until_ns,
				  uint64_t *ret_processes)
{
	struct summary summary = SUMMARY_NULL;
	struct summary_tally result;

	summary.window = (struct summary_window){ since_ns, until_ns };
	ck_assert_int_eq(ledger_lock(ledger, &ledger->now), 0);
	ck_assert_int_eq(summary_take_state(&summary, ledger), 0);
	ledger_unlock(ledger);
	summary.bins.wanted = true;
	ck_assert_int_eq(summary_take_history(&summary, ledger->dir_fd), 0);
	/* What was torn, and what was written before the clock was set back: never a good line. */
	for (size_t i = 0; i < summary.skipped_lines && i < SUMMARY_SKIPPED_MAX; i++)
		ck_assert(strcmp(summary.skipped[i].why, "not JSON") == 0 ||
			  strcmp(summary.skipped[i].why, "dated in the future") == 0);
	*ret_processes = summary.other_crashes;
	for (size_t i = 0; i < summary.processes; i++)
		*ret_processes += summary.process[i].counts.crashes;
	result = summary.window_tally;
	ck_assert_uint_le(result.crashfree, result.operational + 1); /* an hour can end in the next */
	if (since_ns == INT64_MIN && until_ns == INT64_MAX) {
		uint64_t binned = 0;

		for (size_t i = 0; i < summary.bins.n; i++)
			binned += summary.bins.crashes[i];
		ck_assert_uint_eq(binned, result.crashes);
	}
	summary_done(&summary);
	return result;
}

static void check_windows(struct ledger *ledger, int64_t start_ns, struct unit_random *random)
{
	uint64_t processes, crashes = 0, operational = 0, crashfree = 0, slots = 0, named = 0;
	struct summary_tally whole = tally(ledger, INT64_MIN, INT64_MAX, &processes);
	int64_t span_ns = ledger->now.wall_ns - start_ns, from_ns = INT64_MIN;

	ck_assert_uint_eq(whole.crashes, ledger->state->header.totals.crashes);
	ck_assert_uint_eq(processes, whole.crashes);
	for (int i = 0; i < 5; i++) {
		int64_t to_ns = INT64_MAX;
		struct summary_tally part;

		if (i < 4 && span_ns > 0)
			to_ns = start_ns + span_ns / 5 * i +
				(int64_t)unit_below(random, (uint64_t)span_ns / 5 + 1);
		part = tally(ledger, from_ns, to_ns, &processes);
		crashes += part.crashes;
		operational += part.operational;
		crashfree += part.crashfree;
		slots += part.crashfree_slots;
		named += processes;
		from_ns = to_ns;
		if (to_ns == INT64_MAX)
			break;
	}
	ck_assert_uint_eq(crashes, whole.crashes);
	ck_assert_uint_eq(named, whole.crashes);
	ck_assert_uint_eq(operational, whole.operational);
	ck_assert_uint_eq(crashfree, whole.crashfree);
	ck_assert_uint_eq(slots, whole.crashfree_slots);
}

START_TEST(test_any_history)
{
	struct clock_reading now = { .wall_ns = START_S * NS_PER_SEC, .monotonic_ns = 1 };
	struct ledger ledger = LEDGER_NULL;
	struct unit_random random = unit_random(_i);
	struct hours last = { 0 };
	struct config config;

	config_init(&config);
	ck_assert_int_eq(ledger_open(&ledger, &config, unit_dir()), 0);
	for (int i = 0; i < 150; i++) {
		step(&ledger, &now, &random);
		check_step(&ledger, &last);
	}
	tick(&ledger, &now);
	check_windows(&ledger, START_S * NS_PER_SEC, &random);
	ledger_done(&ledger);
}
END_TEST

/* ---- what does not belong ---- */

#define LINE(time, machine, crashes, on_time)                                            \
	"{\"time\":" time ",\"machine\":\"" machine "\",\"crashes\":" crashes               \
	",\"on_time_seconds\":" on_time "}\n"
#define HOURS(key, value)                                                                \
	"{\"time\":1500,\"crashes\":2,\"on_time_seconds\":6,\"" key "\":" value "}\n"
#define PROCESS(crashes)                                                                 \
	"{\"time\":1500,\"crashes\":2,\"on_time_seconds\":6,\"processes\":[{\"uid\":1,"         \
	"\"process\":\"a\",\"first_ms\":5,\"crashes\":" crashes "}]}\n"
#define OURS "00000000000000aa"

static const struct {
	const char *claim;
	const char *text;
	unsigned int line; /* 0: none */
	const char *why;
	uint64_t crashes;
} foreign[] = {
	{ "all ours", LINE("1000", OURS, "1", "5") LINE("2000", OURS, "3", "9"), 0, "", 3 },
	{ "no JSON", LINE("1000", OURS, "1", "5") "hello\n" LINE("2000", OURS, "3", "9"), 2,
	  "not JSON", 3 },
	{ "JSON of something else", LINE("1000", OURS, "1", "5") "[1]\n", 2, "not a JSON object", 1 },
	{ "an object of something else", "{\"x\":1}\n" LINE("1000", OURS, "1", "5"), 1,
	  "not a line of counters", 1 },
	{ "another machine's", LINE("1000", OURS, "1", "5") LINE("1500", "bb", "70", "8")
	  LINE("2000", OURS, "3", "9"), 2, "of another machine", 3 },
	{ "from the future", LINE("1000", OURS, "1", "5") LINE("999999999999", OURS, "2", "8")
	  LINE("2000", OURS, "3", "9"), 2, "dated in the future", 3 },
	{ "counts back", LINE("1000", OURS, "4", "5") LINE("1500", OURS, "3", "8"), 2,
	  "counts fewer crashes than the line before it", 4 },
	{ "a clock set back is no mistake", LINE("2000", OURS, "1", "5") LINE("1000", OURS, "3", "9"),
	  0, "", 3 },
	{ "a torn last line", LINE("1000", OURS, "1", "5") "{\"time\":2000,\"cra", 0, "", 1 },
	{ "too many crashes", LINE("1000", OURS, "1", "5") LINE("1000", OURS, "80", "5")
	  LINE("2000", OURS, "3", "9") LINE("2100", OURS, "4", "9"), 2,
	  "counts more crashes than the lines after it", 4 },
	{ "more crashes than there are", LINE("1000", OURS, "1", "5")
	  LINE("2000", OURS, "999999999", "5") LINE("2000", OURS, "3", "9"), 2,
	  "counts more crashes than there have been", 3 },
	{ "more at the end", LINE("1000", OURS, "1", "5") LINE("2000", OURS, "999999999", "5"), 2,
	  "counts more crashes than there have been", 1 },
	{ "too many in the first line", LINE("900", OURS, "80", "5") LINE("1000", OURS, "1", "5")
	  LINE("2000", OURS, "3", "9"), 1, "counts more crashes than the lines after it", 3 },
	{ "too few in the midst", LINE("1000", OURS, "2", "5") LINE("2000", OURS, "1", "5")
	  LINE("2000", OURS, "3", "9") LINE("2000", OURS, "4", "9"), 2,
	  "counts fewer crashes than the line before it", 4 },
	{ "too long a time", LINE("1000", OURS, "1", "5") LINE("2000", OURS, "2", "90")
	  LINE("2000", OURS, "2", "6") LINE("2000", OURS, "3", "9"), 2,
	  "has run for more time than the lines after it", 3 },
	{ "more hours than there are", LINE("1000", OURS, "1", "5")
	  HOURS("operational_hours", "9223372036854775807") LINE("2000", OURS, "3", "9"), 2,
	  "counts more hours than there have been", 3 },
	{ "more crash-free hours than there are", LINE("1000", OURS, "1", "5")
	  HOURS("crashfree_hours", "1000000") LINE("2000", OURS, "3", "9"), 2,
	  "counts more hours than there have been", 3 },
	{ "too many hours", LINE("1000", OURS, "1", "5") HOURS("crashfree_hours", "70")
	  LINE("2000", OURS, "3", "9") LINE("2000", OURS, "4", "9"), 2,
	  "counts more hours than the lines after it", 4 },
	{ "too many of a process", LINE("1000", OURS, "1", "5") PROCESS("1000000000")
	  LINE("2000", OURS, "3", "9"), 2, "counts more of a process than there have been", 3 },
	{ "more of a process than the state has", LINE("1000", OURS, "1", "5") PROCESS("2")
	  LINE("2000", OURS, "3", "9"), 2, "counts more of a process than there have been", 3 },
	{ "as many of a process as the state has", LINE("1000", OURS, "1", "5") PROCESS("1")
	  LINE("2000", OURS, "3", "9"), 0, "", 3 },
	{ "more kept than crashed", LINE("1000", OURS, "1", "5") HOURS("kept_weight", "8")
	  LINE("2000", OURS, "3", "9"), 2, "counts more folded or kept than crashed", 3 },
	{ "a NUL byte is told", "{\"time\":1,\"crashes\":2}garbage\n" LINE("1000", OURS, "1", "5"), 1,
	  "not JSON", 1 },
};

START_TEST(test_foreign)
{
	struct summary_process process = { .uid = 1, .process = "a", .first_ms = 5,
					   .ever = { .crashes = 1 } };
	struct summary summary = SUMMARY_NULL;
	struct history history;
	int dir_fd = unit_dir(), fd;

	fd = openat(dir_fd, COUNTERS_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dir_write_all(fd, foreign[_i].text, strlen(foreign[_i].text)), 0);
	(void)close(fd);
	summary.machine = 0xaa;
	summary.process = &process;
	summary.processes = 1;
	summary.ever = (struct summary_tally){ .crashes = 100, .kept = 100, .kept_weight = 100,
					       .on_time_s = 100, .operational = 100,
					       .crashfree = 100 };
	summary.now_ns = START_S * NS_PER_SEC;
	ck_assert_int_eq(history_init(&history, &summary), 0);
	ck_assert_int_eq(history_read(&history, dir_fd), 0);
	ck_assert_msg(history.last.crashes == foreign[_i].crashes, "%s: %llu crashes",
		      foreign[_i].claim, (unsigned long long)history.last.crashes);
	ck_assert_msg(summary.skipped_lines == (foreign[_i].line > 0), "%s: %llu skipped",
		      foreign[_i].claim, (unsigned long long)summary.skipped_lines);
	if (foreign[_i].line) {
		ck_assert_uint_eq(summary.skipped[0].line, foreign[_i].line);
		ck_assert_str_eq(summary.skipped[0].why, foreign[_i].why);
	}
	history_done(&history);
	(void)close(dir_fd);
}
END_TEST

/* ---- in words ---- */

static const struct {
	const char *claim;
	struct summary_tally tally;
	const char *has;
	const char *lacks;
} words[] = {
	{ "one of each", { .crashes = 1, .kept = 1, .kept_weight = 1 },
	  "1 record was kept, for 1 crash.\n", "stand for" },
	{ "many", { .crashes = 5, .kept = 2, .kept_weight = 4 },
	  "2 records were kept, for 4 crashes.\n", "stand for" },
	{ "kept, but counted before", { .crashes = 1, .kept = 4, .kept_weight = 4 },
	  "4 records were kept, for 4 crashes.\n"
	  "Records kept now stand for crashes from before this time, too.\n", "1 crashes" },
};

START_TEST(test_words)
{
	struct summary summary = SUMMARY_NULL;
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	summary.window_tally = words[_i].tally;
	summary_text(&summary, out);
	(void)fclose(out);
	ck_assert_msg(strstr(text, words[_i].has) && !strstr(text, words[_i].lacks), "%s: %s",
		      words[_i].claim, text);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history");
	TCase *tcase = unit_case(suite, "history");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_rate, 0, ROWS(rates));
	tcase_add_test(tcase, test_rate_of_hours);
	tcase_add_loop_test(tcase, test_any_history, 0, 40);
	tcase_add_loop_test(tcase, test_foreign, 0, ROWS(foreign));
	tcase_add_loop_test(tcase, test_words, 0, ROWS(words));
	return unit_main(suite);
}
