/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/quota.h"

#define YOUNG_NS (3600LL * 1000000000)

static bool has_core(const struct quota_item *item)
{
	return item->bytes > 0 && !item->drop_core;
}

/* What a core's group and user have, and where in its group it stands. */
struct standing {
	uint64_t group_bytes;
	uint64_t group_cores;
	uint64_t user_bytes; /* of this user in this group */
	bool first; /* the oldest of its group */
};

static struct standing standing_of(const struct quota_item *items, size_t n, size_t index)
{
	struct standing s = { .first = true };

	for (size_t i = 0; i < n; i++) {
		if (!has_core(&items[i]) || items[i].group != items[index].group)
			continue;
		s.group_cores++;
		s.group_bytes += items[i].bytes;
		if (items[i].uid == items[index].uid)
			s.user_bytes += items[i].bytes;
		if (i < index)
			s.first = false;
	}
	return s;
}

/* Higher tiers go later. */
static unsigned int tier_of(const struct quota_item *item, const struct standing *s)
{
	unsigned int tier = 0;

	if (s->first && s->group_cores > 1)
		tier = 1; /* first and latest are what people ask for */
	if (item->age_ns < YOUNG_NS)
		tier = 2;
	if (s->group_cores == 1)
		tier = 3;
	if (s->group_cores == 1 && item->age_ns < YOUNG_NS)
		tier = 4;
	return tier;
}

static bool goes_before(const struct standing *a, unsigned int tier_a,
			const struct standing *b, unsigned int tier_b)
{
	if (tier_a != tier_b)
		return tier_a < tier_b;
	if (a->group_bytes != b->group_bytes)
		return a->group_bytes > b->group_bytes;
	return a->user_bytes > b->user_bytes; /* equal: the older one, which came first */
}

static size_t choose(const struct quota_item *items, size_t n)
{
	struct standing best = { 0 };
	unsigned int best_tier = 0;
	size_t chosen = n;

	for (size_t i = 0; i < n; i++) {
		struct standing s;
		unsigned int tier;

		if (!has_core(&items[i]))
			continue;
		s = standing_of(items, n, i);
		tier = tier_of(&items[i], &s);
		if (chosen == n || goes_before(&s, tier, &best, best_tier)) {
			chosen = i;
			best = s;
			best_tier = tier;
		}
	}
	return chosen;
}

static void drop_old(struct quota_item *items, size_t n, int64_t max_age_ns)
{
	for (size_t i = 0; i < n; i++) {
		if (max_age_ns <= 0 || items[i].age_ns <= max_age_ns)
			continue;
		items[i].drop_core = items[i].bytes > 0;
		items[i].drop_record = true;
	}
}

static void drop_cores(struct quota_item *items, size_t n, const struct quota_limits *limits,
		       uint64_t bytes, uint64_t cores, uint64_t freed)
{
	while (bytes > limits->max_bytes || freed < limits->must_free_bytes ||
	       (limits->max_count > 0 && cores > limits->max_count)) {
		size_t i = choose(items, n);

		if (i == n)
			return;
		items[i].drop_core = true;
		bytes -= items[i].bytes;
		freed += items[i].bytes;
		cores--;
	}
}

/* Records of no core go first, oldest first. */
static void drop_records(struct quota_item *items, size_t n, uint64_t max_records)
{
	uint64_t records = 0;

	for (size_t i = 0; i < n; i++)
		records += !items[i].drop_record;
	for (int with_core = 0; with_core < 2; with_core++) {
		for (size_t i = 0; i < n && records > max_records; i++) {
			if (items[i].drop_record || has_core(&items[i]) != (bool)with_core)
				continue;
			items[i].drop_record = true;
			items[i].drop_core = items[i].bytes > 0;
			records--;
		}
	}
}

void quota_plan(struct quota_item *items, size_t n, const struct quota_limits *limits)
{
	uint64_t bytes = 0, cores = 0, freed = 0;

	drop_old(items, n, limits->max_age_ns);
	for (size_t i = 0; i < n; i++) {
		if (has_core(&items[i])) {
			bytes += items[i].bytes;
			cores++;
		} else if (items[i].drop_core) {
			freed += items[i].bytes;
		}
	}
	drop_cores(items, n, limits, bytes, cores, freed);
	drop_records(items, n, limits->max_records);
}
