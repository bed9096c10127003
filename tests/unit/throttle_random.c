/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The ring of 64 times against the original's unbounded list and a second window on it, on random traces whose gaps
 * favour the edges of the window; and the ledger over traces with signatures.
 */

#include "throttle_random.h"

#include "policy/throttle.h"

#include "unit.h"

#define BATCHES 20
#define TRACES 100 /* each batch */
#define CRASHES 300 /* at most, each trace */

/* The algorithm as published, with a list that grows. */
struct list {
	int64_t at_ns[CRASHES];
	size_t n;
	uint64_t since_kept;
};

static size_t younger(const struct list *list, int64_t age_ns, int64_t now_ns)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += now_ns - list->at_ns[i] < age_ns;
	return n;
}

static bool list_over(const struct list *list, const struct throttle_limits *limits,
		      int64_t now_ns)
{
	return younger(list, limits->age_out_ns, now_ns) > limits->limit ||
	       (limits->slow_limit > 0 &&
		younger(list, limits->slow_window_ns, now_ns) > limits->slow_limit);
}

static uint64_t list_crash(struct list *list, const struct throttle_limits *limits,
			   int64_t now_ns)
{
	uint64_t weight;

	list->at_ns[list->n++] = now_ns;
	list->since_kept++;
	if (list_over(list, limits, now_ns) && list->since_kept < limits->report_every)
		return 0;
	weight = list->since_kept;
	list->since_kept = 0;
	return weight;
}

static struct throttle_limits random_limits(struct unit_random *random)
{
	bool slow = unit_below(random, 2) == 0;

	return (struct throttle_limits){
		.enabled = true,
		.slow_limit = slow ? (uint32_t)unit_below(random, 64) : 0,
		.slow_window_ns = 1 + (int64_t)unit_below(random, 5000),
		.limit = 1 + (uint32_t)unit_below(random, unit_below(random, 4) ? 10 : 63),
		.report_every = 1 + (uint32_t)unit_below(random, 20),
		.novel_per_window = (uint32_t)unit_below(random, THROTTLE_NOVEL_MAX + 1),
		.age_out_ns = 1 + (int64_t)unit_below(random, 1000),
	};
}

static int64_t random_gap(struct unit_random *random, const struct throttle_limits *limits)
{
	switch (unit_below(random, 8)) {
	case 0:
		return limits->age_out_ns;
	case 1:
		return limits->age_out_ns - 1;
	case 2:
		return limits->age_out_ns / (limits->limit + 1);
	case 3:
		return limits->age_out_ns / limits->limit;
	case 4:
		return (int64_t)unit_below(random, 3 * (uint64_t)limits->age_out_ns);
	case 5:
		return (int64_t)unit_below(random, 3);
	default:
		return 0;
	}
}

static void compare_trace(struct unit_random *random)
{
	const struct throttle_limits limits = random_limits(random);
	struct throttle_process process = { 0 };
	struct list list = { 0 };
	int64_t now_ns = -(int64_t)unit_below(random, 2000);
	uint64_t n = 1 + unit_below(random, CRASHES);

	for (uint64_t i = 0; i < n; i++) {
		struct throttle_verdict verdict;
		uint64_t wanted;

		now_ns += random_gap(random, &limits);
		wanted = list_crash(&list, &limits, now_ns);
		verdict = throttle_crash(&process, &limits, now_ns, 0);
		check_that(verdict.weight == wanted);
		check_that(verdict.decision == (wanted ? THROTTLE_KEEP : THROTTLE_FOLD));
		check_that(process.pending == list.since_kept);
		check_that(throttle_window_over(&process.window, &limits, now_ns) ==
			   list_over(&list, &limits, now_ns));
	}
}

START_TEST(test_ring_is_list)
{
	struct unit_random random = unit_random(_i);

	for (int i = 0; i < TRACES; i++)
		compare_trace(&random);
}
END_TEST

/* Novel crashes stand for themselves, within the budget of any stretch of one age-out. */
static void check_budget(const int64_t *novel_ns, size_t n, const struct throttle_limits *limits)
{
	for (size_t first = 0, i = 0; i < n; i++) {
		while (novel_ns[i] - novel_ns[first] >= limits->age_out_ns)
			first++;
		check_that(i - first + 1 <= limits->novel_per_window);
	}
}

static void conserve_trace(struct unit_random *random)
{
	struct throttle_limits limits = random_limits(random);
	struct throttle_process process = { 0 };
	int64_t now_ns = 0, novel_ns[CRASHES];
	uint64_t kept = 0;
	size_t novel = 0;

	for (uint64_t crashes = 1; crashes <= CRASHES; crashes++) {
		struct throttle_verdict verdict;

		now_ns += random_gap(random, &limits);
		limits.enabled = unit_below(random, 10) > 0;
		verdict = throttle_crash(&process, &limits, now_ns, unit_below(random, 60));
		kept += verdict.weight;
		check_that(crashes == kept + process.pending);
		check_that((verdict.weight == 0) == (verdict.decision == THROTTLE_FOLD));
		if (verdict.decision == THROTTLE_NOVEL)
			novel_ns[novel++] = now_ns;
	}
	check_budget(novel_ns, novel, &limits);
}

START_TEST(test_conservation)
{
	struct unit_random random = unit_random(BATCHES + _i);

	for (int i = 0; i < TRACES; i++)
		conserve_trace(&random);
}
END_TEST

void throttle_random_cases(Suite *suite)
{
	TCase *random = unit_case(suite, "random");

	tcase_add_loop_test(random, test_ring_is_list, 0, BATCHES);
	tcase_add_loop_test(random, test_conservation, 0, BATCHES);
}
