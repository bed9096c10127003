/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which cores go: by examples, and against the rule as it reads. */

#include "policy/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define HOUR_NS (3600 * SEC)
#define ITEMS_MAX 5000

/* ---- tables ---- */

/*
 * Items, oldest first: "GROUP[uid]bytes", a small letter for one under an hour old. The
 * plan: each core kept in order, "-" for one dropped, "x" for a record dropped as well.
 */
struct row {
	const char *claim;
	const char *items;
	struct quota_limits limits;
	const char *plan;
};

#define NO_LIMIT .max_bytes = UINT64_MAX, .max_records = 1000

static const struct row rows[] = {
	{ "within the limits nothing goes", "A10 A10 B10", { NO_LIMIT }, "AAB" },
	{ "the loudest group pays", "A10 A10 A10 B10 B10", { .max_bytes = 40, .max_records = 9 },
	  "A-ABB" },
	{ "of it the oldest but the very first", "A10 A10 A10 A10",
	  { .max_bytes = 20, .max_records = 9 }, "A--A" },
	{ "larger counts as louder", "A10 A10 A10 B50 B50", { .max_bytes = 100, .max_records = 9 },
	  "AAAB-" },
	{ "a group's only core stays while another can go", "A90 B1 B1",
	  { .max_bytes = 91, .max_records = 9 }, "AB-" },
	{ "the first of many before young ones", "A5 a5 a5", { .max_bytes = 10, .max_records = 9 },
	  "-aa" },
	{ "one under an hour stays while another can go", "A5 A5 a5 B1 B1 B1",
	  { .max_bytes = 7, .max_records = 9 }, "--aB--" },
	{ "young ones before only ones", "A5 b5 b5", { .max_bytes = 10, .max_records = 9 }, "A-b" },
	{ "an old only one before a young only one", "a5 B5", { .max_bytes = 5, .max_records = 9 },
	  "a-" },
	{ "the user with most pays in the group", "A1 A[1]9 A[2]4 A[1]9 A[2]4",
	  { .max_bytes = 20, .max_records = 9 }, "A-AAA" },
	{ "of only ones the user who has most pays, young or not", "A9 b[1]5 c[1]5 d[1]5",
	  { .max_bytes = 20, .max_records = 9 }, "A-cd" },
	{ "many names do not push out another user's only one", "a20 b[1]3 c[1]3 d[1]3 e[1]3",
	  { NO_LIMIT, .max_count = 2 }, "a---e" },
	{ "nor do they where others must go first", "A20 B1 b1 c[1]3 d[1]3 e[1]3",
	  { NO_LIMIT, .max_count = 4 }, "A-b-de" },
	{ "louder by count is having more", "A90 A90 B1 B1 B1", { NO_LIMIT, .max_count = 4 },
	  "AAB-B" },
	{ "by count", "A1 A1 A1 B1", { NO_LIMIT, .max_count = 3 }, "A-AB" },
	{ "too old is too old for anything", "A1 A1 B1",
	  { NO_LIMIT, .max_age_ns = 90 * HOUR_NS }, "xxx" },
	{ "what free space wants", "A10 A10 A10 B5", { NO_LIMIT, .must_free_bytes = 11 }, "A--B" },
	{ "what is too old is freed first", "A10 A10",
	  { NO_LIMIT, .must_free_bytes = 10, .max_age_ns = 1000 * HOUR_NS }, "A-" },
	{ "records without a core go first", "A0 A1 A0 A0",
	  { .max_bytes = UINT64_MAX, .max_records = 2 }, "xAx0" },
	{ "of the user who has most", "A0 B[1]0 C[1]0 D[1]0",
	  { .max_bytes = UINT64_MAX, .max_records = 2 }, "0xx0" },
	{ "then the oldest", "A1 A1 A1", { .max_bytes = UINT64_MAX, .max_records = 1 }, "xxA" },
	{ "nothing helps: all cores go, and that is the end", "A1 a1 B1 c1", { .max_records = 9 },
	  "----" },
	{ "no items", "", { .max_records = 0 }, "" },
};

static size_t read_items(const char *text, struct quota_item *items)
{
	size_t n = 0;

	while (*text) {
		char letter = *text++, *end;
		uint32_t uid = 0;

		if (*text == '[') {
			uid = (uint32_t)strtoul(text + 1, &end, 10);
			text = end + 1;
		}
		items[n] = (struct quota_item){
			.group = (uint64_t)(letter | 0x20),
			.age_ns = letter >= 'a' ? HOUR_NS - 1 : 100 * HOUR_NS - (int64_t)n,
			.uid = uid,
			.bytes = strtoul(text, &end, 10),
		};
		n++;
		text = end + strspn(end, " ");
	}
	return n;
}

START_TEST(tables)
{
	const struct row *row = &rows[_i];
	struct quota_item items[16];
	size_t n = read_items(row->items, items);
	char plan[17] = "";

	quota_plan(items, n, &row->limits);
	for (size_t i = 0; i < n; i++) {
		char letter = (char)items[i].group;

		plan[i] = items[i].drop_record	    ? 'x' :
			  items[i].drop_core	    ? '-' :
			  items[i].bytes == 0	    ? '0' :
			  items[i].age_ns < HOUR_NS ? letter :
						      (char)(letter - 0x20);
	}
	claim_str_eq(row->claim, plan, row->plan);
}
END_TEST

/* ---- against the rule as it reads ---- */

struct standing {
	unsigned int tier;
	bool only;
	uint64_t group_most; /* bytes, or cores where their number is over its limit */
	uint64_t share_most;
	uint64_t user_most;
	uint64_t bytes;
};

static bool has_core(const struct quota_item *item)
{
	return item->bytes > 0 && !item->drop_core;
}

static struct standing standing_of(const struct quota_item *items, size_t n, size_t index,
				   bool by_count)
{
	struct standing s = { 0 };
	bool first = true, young = items[index].age_ns < HOUR_NS;
	size_t cores = 0;

	for (size_t i = 0; i < n; i++) {
		const uint64_t amount = by_count ? 1 : items[i].bytes;
		const bool same_user = items[i].uid == items[index].uid;

		if (!has_core(&items[i]))
			continue;
		s.user_most += same_user ? amount : 0;
		if (items[i].group != items[index].group)
			continue;
		cores++;
		s.group_most += amount;
		s.share_most += same_user ? amount : 0;
		first = first && i >= index;
	}
	s.only = cores == 1;
	s.bytes = items[index].bytes;
	s.tier = cores == 1 ? (young ? 4 : 3) : young ? 2 : first ? 1 : 0;
	return s;
}

static bool goes_before(const struct standing *a, const struct standing *b)
{
	if (a->only && b->only && a->user_most != b->user_most)
		return a->user_most > b->user_most;
	if (a->tier != b->tier)
		return a->tier < b->tier;
	if (a->only && b->only)
		return a->bytes > b->bytes;
	if (a->group_most != b->group_most)
		return a->group_most > b->group_most;
	return a->share_most > b->share_most;
}

static size_t choose_slowly(const struct quota_item *items, size_t n, bool by_count)
{
	struct standing best = { 0 };
	size_t chosen = n;

	for (size_t i = 0; i < n; i++) {
		struct standing s;

		if (!has_core(&items[i]))
			continue;
		s = standing_of(items, n, i, by_count);
		if (chosen == n || goes_before(&s, &best)) {
			chosen = i;
			best = s;
		}
	}
	return chosen;
}

struct sums {
	uint64_t bytes, cores, freed, records;
};

static struct sums sums_of(const struct quota_item *items, size_t n)
{
	struct sums s = { 0 };

	for (size_t i = 0; i < n; i++) {
		s.bytes += has_core(&items[i]) ? items[i].bytes : 0;
		s.cores += has_core(&items[i]);
		s.freed += items[i].drop_core ? items[i].bytes : 0;
		s.records += !items[i].drop_record;
	}
	return s;
}

static bool over_bytes(const struct sums *s, const struct quota_limits *limits)
{
	return s->bytes > limits->max_bytes || s->freed < limits->must_free_bytes;
}

static bool over(const struct sums *s, const struct quota_limits *limits)
{
	return over_bytes(s, limits) ||
	       (limits->max_count > 0 && s->cores > limits->max_count);
}

/* Drops cores by the rule until the limits hold. Returns the last one, or n. */
static size_t plan_slowly(struct quota_item *items, size_t n, const struct quota_limits *limits)
{
	size_t last = n;

	for (size_t i = 0; i < n; i++)
		if (limits->max_age_ns > 0 && items[i].age_ns > limits->max_age_ns) {
			items[i].drop_core = items[i].bytes > 0;
			items[i].drop_record = true;
		}
	for (;;) {
		const struct sums s = sums_of(items, n);
		size_t i = over(&s, limits) ?
				   choose_slowly(items, n, !over_bytes(&s, limits)) :
				   n;

		if (i == n)
			return last;
		items[i].drop_core = true;
		last = i;
	}
}

static size_t random_items(struct unit_random *random, struct quota_item *items, size_t max)
{
	size_t n = unit_below(random, max + 1);
	uint64_t groups = 1 + unit_below(random, 6), uids = 1 + unit_below(random, 3);

	for (size_t i = 0; i < n; i++)
		items[i] = (struct quota_item){
			.bytes = unit_below(random, 5) ? 1 + unit_below(random, 20) : 0,
			/* Not always in order: an unreadable record has no age. */
			.age_ns = (int64_t)unit_below(random, 4) * HOUR_NS / 2,
			.group = unit_below(random, groups),
			.uid = (uint32_t)unit_below(random, uids),
		};
	return n;
}

static struct quota_limits random_limits(struct unit_random *random)
{
	return (struct quota_limits){
		.max_bytes = unit_below(random, 2) ? unit_below(random, 300) : UINT64_MAX,
		.must_free_bytes = unit_below(random, 3) ? 0 : unit_below(random, 100),
		.max_count = unit_below(random, 3) ? 0 : unit_below(random, 20),
		.max_records = UINT64_MAX,
		.max_age_ns = unit_below(random, 5) ? 0 : HOUR_NS,
	};
}

START_TEST(the_plan_is_the_rule)
{
	struct unit_random random = unit_random(_i);

	for (int round = 0; round < 500; round++) {
		struct quota_item items[40], slow[40];
		const struct quota_limits limits = random_limits(&random);
		size_t n = random_items(&random, items, 40), last;
		struct sums s;

		memcpy(slow, items, sizeof(items));
		quota_plan(items, n, &limits);
		last = plan_slowly(slow, n, &limits);
		for (size_t i = 0; i < n; i++) {
			check_that(items[i].drop_core == slow[i].drop_core);
			check_that(items[i].drop_record == slow[i].drop_record);
		}
		s = sums_of(items, n);
		check_that(!over(&s, &limits) || s.cores == 0);
		if (last == n)
			continue;
		/* The last one to go was needed. */
		items[last].drop_core = false;
		s = sums_of(items, n);
		check_that(over(&s, &limits));
	}
}
END_TEST

START_TEST(records_have_their_own_bound)
{
	struct unit_random random = unit_random(_i);

	for (int round = 0; round < 2000; round++) {
		struct quota_item items[40];
		struct quota_limits limits = random_limits(&random);
		size_t n = random_items(&random, items, 40);
		struct sums s;

		limits.max_records = unit_below(&random, 40);
		quota_plan(items, n, &limits);
		s = sums_of(items, n);
		check_that(s.records <= limits.max_records);
		for (size_t i = 0; i < n; i++)
			check_that(!items[i].drop_record || !has_core(&items[i]));
	}
}
END_TEST

/*
 * What the worst users can make of it: the old plan, which looked at every pair of items for
 * each core that went, took hours for these.
 */
static const struct {
	const char *claim;
	uint64_t groups, uids;
} many[] = {
	{ "one group of one user", 1, 1 },
	{ "one group, each core another user's", 1, ITEMS_MAX },
	{ "each core a group of its own", ITEMS_MAX, 1 },
	{ "a hundred groups of a hundred users", 100, 100 },
};

START_TEST(thousands_go_in_no_time)
{
	struct quota_item *items = calloc(ITEMS_MAX, sizeof(*items));
	const struct quota_limits limits = { .max_bytes = 1000, .max_records = ITEMS_MAX };
	struct sums s;

	ck_assert_ptr_nonnull(items);
	for (uint32_t i = 0; i < ITEMS_MAX; i++)
		items[i] = (struct quota_item){ .bytes = 1 + i % 7,
						.age_ns = 100 * HOUR_NS,
						.group = i * 7919u % many[_i].groups,
						.uid = (uint32_t)(i * 104729u % many[_i].uids) };
	quota_plan(items, ITEMS_MAX, &limits);
	s = sums_of(items, ITEMS_MAX);
	ck_assert_msg(s.bytes <= 1000 && s.bytes > 1000 - 7, "%s", many[_i].claim);
	free(items);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *plan = unit_case(suite, "plan");

	tcase_add_loop_test(plan, tables, 0, ROWS(rows));
	tcase_add_loop_test(plan, the_plan_is_the_rule, 0, 8);
	tcase_add_loop_test(plan, records_have_their_own_bound, 0, 2);
	tcase_add_loop_test(plan, thousands_go_in_no_time, 0, ROWS(many));
	return unit_main(suite);
}
