/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A ledger of one process adds up after any sequence of what can happen to a crash. */

#include "policy/account.h"

#include <string.h>

#include "unit.h"

static const struct throttle_limits defaults = THROTTLE_LIMITS_DEFAULT;

/*
 * Scripts: "c" a crash, "n" the last fold turns out novel, "p" takes the pending in
 * flight, "e3" enters 3, "k3" commits 3, "g3" gives 3 back.
 */
static const struct {
	const char *claim;
	const char *script;
	struct account wanted;
} scripts[] = {
	{ "a crash is in flight", "c", { .crashes = 1, .in_flight = 1 } },
	{ "a durable record is kept", "ck1", { .crashes = 1, .kept = 1, .kept_weight = 1 } },
	{ "a failed one waits", "cg1", { .crashes = 1, .throttle.pending = 1 } },
	{ "and comes with the next", "cg1c", { .crashes = 2, .in_flight = 2 } },
	{ "the ninth is pending", "ccccccccc",
	  { .crashes = 9, .folded = 1, .in_flight = 8, .throttle.pending = 1 } },
	{ "a novel one is no fold", "cccccccccn", { .crashes = 9, .in_flight = 9 } },
	{ "a known signature stays folded", "cccccccccncn",
	  { .crashes = 10, .in_flight = 9, .folded = 1, .throttle.pending = 1 } },
	{ "pending is taken as a whole", "ccccccccccp",
	  { .crashes = 10, .folded = 2, .in_flight = 10 } },
	{ "and becomes one record", "ccccccccccpk10",
	  { .crashes = 10, .folded = 2, .kept = 1, .kept_weight = 10 } },
	{ "nothing pending is taken as nothing", "p", { .crashes = 0 } },
	{ "decided elsewhere", "e3", { .crashes = 3, .in_flight = 3 } },
	{ "a rebuild gave it back before it was kept", "cg1k1",
	  { .crashes = 1, .kept = 1, .kept_weight = 1 } },
	{ "a rebuild lost the crash itself", "k4",
	  { .crashes = 4, .kept = 1, .kept_weight = 4 } },
	{ "half lost", "ck3", { .crashes = 3, .kept = 1, .kept_weight = 3 } },
	{ "giving back what is not there", "g5", { .crashes = 0 } },
	{ "giving back twice", "cg1g1", { .crashes = 1, .throttle.pending = 1 } },
};

static void step(struct account *account, const char **p)
{
	char verb = *(*p)++;
	uint64_t weight = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++)
		weight = weight * 10 + (uint64_t)(**p - '0');
	switch (verb) {
	case 'c':
		(void)account_crash(account, &defaults, 0, 0);
		break;
	case 'n':
		(void)account_novel(account, &defaults, 0, 7);
		break;
	case 'p':
		(void)account_take_pending(account);
		break;
	case 'e':
		account_enter(account, weight);
		break;
	case 'k':
		account_commit(account, weight);
		break;
	default:
		account_give_back(account, weight);
		break;
	}
	ck_assert(account_balanced(account));
}

START_TEST(test_script)
{
	const struct account *wanted = &scripts[_i].wanted;
	struct account account = { 0 };

	for (const char *p = scripts[_i].script; *p;)
		step(&account, &p);
	claim_int_eq(scripts[_i].claim, account.crashes, wanted->crashes);
	claim_int_eq(scripts[_i].claim, account.folded, wanted->folded);
	claim_int_eq(scripts[_i].claim, account.kept, wanted->kept);
	claim_int_eq(scripts[_i].claim, account.kept_weight, wanted->kept_weight);
	claim_int_eq(scripts[_i].claim, account.in_flight, wanted->in_flight);
	claim_int_eq(scripts[_i].claim, account.throttle.pending, wanted->throttle.pending);
}
END_TEST

START_TEST(test_disabled)
{
	struct throttle_limits limits = defaults;
	struct account account = { 0 };

	limits.enabled = false;
	for (int i = 0; i < 50; i++)
		(void)account_crash(&account, &limits, 0, 0);
	ck_assert_uint_eq(account.crashes, 50);
	ck_assert_uint_eq(account.in_flight, 50);
	ck_assert_uint_eq(account.folded, 0);
	ck_assert(account_balanced(&account));
}
END_TEST

static const struct {
	const char *claim;
	struct account account;
	bool balanced;
} balances[] = {
	{ "nothing", { .crashes = 0 }, true },
	{ "one of each", { .crashes = 3, .kept_weight = 1, .in_flight = 1, .throttle.pending = 1 },
	  true },
	{ "a crash in no place", { .crashes = 1 }, false },
	{ "a weight without a crash", { .kept_weight = 1 }, false },
};

START_TEST(test_balanced)
{
	claim_int_eq(balances[_i].claim, account_balanced(&balances[_i].account),
		     balances[_i].balanced);
}
END_TEST

/* ---- any sequence ---- */

struct flight {
	uint64_t weight[512];
	size_t n;
};

static void land(struct account *account, struct flight *flight, struct unit_random *random)
{
	size_t i;
	uint64_t weight;

	if (flight->n == 0)
		return;
	i = unit_below(random, flight->n);
	weight = flight->weight[i];
	flight->weight[i] = flight->weight[--flight->n];
	if (unit_below(random, 3) > 0)
		account_commit(account, weight);
	else
		account_give_back(account, weight);
}

static void take_off(struct flight *flight, uint64_t weight)
{
	if (weight > 0)
		flight->weight[flight->n++] = weight;
	check_that(flight->n < 512);
}

static uint64_t in_flight(const struct flight *flight)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < flight->n; i++)
		sum += flight->weight[i];
	return sum;
}

static void random_step(struct account *account, struct flight *flight,
			struct unit_random *random, int64_t now_ns)
{
	uint64_t kind = flight->n > 500 ? 9 : unit_below(random, 10);
	struct throttle_verdict verdict;

	if (kind < 5) {
		verdict = account_crash(account, &defaults, now_ns, unit_below(random, 50));
		take_off(flight, verdict.weight);
		if (verdict.decision == THROTTLE_FOLD && unit_below(random, 2) &&
		    account_novel(account, &defaults, now_ns, unit_next(random) % 50))
			take_off(flight, 1);
	} else if (kind == 5 && unit_below(random, 20) == 0) {
		take_off(flight, account_take_pending(account));
	} else if (kind == 6 && unit_below(random, 20) == 0) {
		account_enter(account, 1);
		take_off(flight, 1);
	} else {
		land(account, flight, random);
	}
}

START_TEST(test_random)
{
	struct unit_random random = unit_random(_i);
	struct flight flight = { 0 };
	struct account account = { 0 };
	struct totals totals = { 0 };
	int64_t now_ns = 0;

	for (int i = 0; i < 20000; i++) {
		now_ns += (int64_t)unit_below(&random, 60 * (uint64_t)SEC);
		random_step(&account, &flight, &random, now_ns);
		check_that(account_balanced(&account));
		check_that(account.in_flight == in_flight(&flight));
		check_that(account.folded <= account.crashes);
	}
	totals_add(&totals, &account);
	check_that(totals_balanced(&totals));
	totals.evicted++;
	check_that(!totals_balanced(&totals));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("account");
	TCase *account_case = unit_case(suite, "account");

	tcase_add_loop_test(account_case, test_script, 0, ROWS(scripts));
	tcase_add_test(account_case, test_disabled);
	tcase_add_loop_test(account_case, test_balanced, 0, ROWS(balances));
	tcase_add_loop_test(account_case, test_random, 0, 10);
	return unit_main(suite);
}
