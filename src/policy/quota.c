/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/quota.h"

#include <assert.h>

#define YOUNG_NS (3600LL * 1000000000)
#define NONE UINT32_MAX

/* Who goes when; higher tiers go later. */
enum tier {
	TIER_PLAIN,
	TIER_FIRST, /* first and latest are what people ask for */
	TIER_YOUNG,
	TIER_ONLY, /* of its group */
	TIER_ONLY_YOUNG,
	TIER_EMPTY, /* a group without cores */
};

struct plan {
	struct quota_item *items;
	uint32_t n;
	uint32_t groups; /* the first one */
	bool by_count; /* most is most cores, not most bytes */
};

static bool has_core(const struct quota_item *item)
{
	return item->bytes > 0 && !item->drop_core;
}

static bool is_young(const struct quota_item *item)
{
	return item->age_ns < YOUNG_NS;
}

static struct quota_scratch *at(const struct plan *plan, uint32_t index)
{
	return &plan->items[index].scratch;
}

/* ---- groups, and the shares of users in them ---- */

/* The group's first item, which is this one if the group is new. */
static uint32_t find_group(struct plan *plan, uint32_t index)
{
	const uint64_t group = plan->items[index].group;
	struct quota_scratch *bucket =
		at(plan, (uint32_t)(((group * 0x9e3779b97f4a7c15u) >> 32) % plan->n));
	struct quota_scratch *s = at(plan, index);

	for (uint32_t i = bucket->bucket; i != NONE; i = at(plan, i)->next_in_bucket)
		if (plan->items[i].group == group)
			return i;
	s->next_in_bucket = bucket->bucket;
	bucket->bucket = index;
	s->next_group = plan->groups;
	plan->groups = index;
	s->first_share = NONE;
	return index;
}

static uint32_t find_share(struct plan *plan, uint32_t index, struct quota_scratch *group)
{
	const uint32_t uid = plan->items[index].uid;
	struct quota_scratch *s = at(plan, index);

	for (uint32_t i = group->first_share; i != NONE; i = at(plan, i)->next_share)
		if (plan->items[i].uid == uid)
			return i;
	s->next_share = group->first_share;
	group->first_share = index;
	s->plain = s->young = s->last = NONE;
	return index;
}

static uint32_t find_user(struct plan *plan, uint32_t index)
{
	const uint32_t uid = plan->items[index].uid;
	struct quota_scratch *bucket =
		at(plan, (uint32_t)(((uid * 0x9e3779b97f4a7c15u) >> 32) % plan->n));
	struct quota_scratch *s = at(plan, index);

	for (uint32_t i = bucket->user_bucket; i != NONE; i = at(plan, i)->next_in_user_bucket)
		if (plan->items[i].uid == uid)
			return i;
	s->next_in_user_bucket = bucket->user_bucket;
	bucket->user_bucket = index;
	return index;
}

/* Items come oldest first, so the first of a group is its oldest. */
static void add_core(struct plan *plan, uint32_t index)
{
	const struct quota_item *item = &plan->items[index];
	struct quota_scratch *s = at(plan, index), *group, *share;

	s->group = find_group(plan, index);
	group = at(plan, s->group);
	s->share = find_share(plan, index, group);
	share = at(plan, s->share);
	group->group_bytes += item->bytes;
	group->group_cores++;
	share->share_bytes += item->bytes;
	share->share_cores++;
	s->user = find_user(plan, index);
	at(plan, s->user)->user_bytes += item->bytes;
	at(plan, s->user)->user_cores++;
	s->next_in_share = NONE;
	if (share->last != NONE)
		at(plan, share->last)->next_in_share = index;
	share->last = index;
	if (is_young(item)) {
		if (share->young == NONE)
			share->young = index;
	} else if (index != s->group) {
		group->group_plain++;
		if (share->plain == NONE)
			share->plain = index;
	}
}

/* ---- the next to go ---- */

static uint64_t most(const struct plan *plan, uint64_t bytes, uint32_t cores)
{
	return plan->by_count ? cores : bytes;
}

static enum tier tier_of(const struct plan *plan, uint32_t group_index)
{
	const struct quota_item *first = &plan->items[group_index];
	const struct quota_scratch *group = &first->scratch;

	if (group->group_cores == 0)
		return TIER_EMPTY;
	if (group->group_plain > 0 && group->group_cores > 1)
		return TIER_PLAIN;
	if (group->group_cores > 1)
		return has_core(first) && !is_young(first) ? TIER_FIRST : TIER_YOUNG;
	return TIER_ONLY; /* or young besides: told by the item */
}

/* The share's oldest core of that kind behind the ones that went. */
static uint32_t next_of(const struct plan *plan, uint32_t *from, bool young, uint32_t first)
{
	while (*from != NONE) {
		const struct quota_item *item = &plan->items[*from];

		if (has_core(item) && is_young(item) == young && (young || *from != first))
			return *from;
		*from = item->scratch.next_in_share;
	}
	return NONE;
}

static uint32_t candidate_of(const struct plan *plan, uint32_t group_index, uint32_t share_index,
			     enum tier tier)
{
	struct quota_scratch *share = at(plan, share_index);
	const bool first_here = at(plan, group_index)->share == share_index;
	const bool first_left = first_here && has_core(&plan->items[group_index]);
	uint32_t i = NONE;

	if (tier == TIER_PLAIN || tier == TIER_ONLY)
		i = next_of(plan, &share->plain, false, group_index);
	if (tier == TIER_YOUNG || (tier == TIER_ONLY && i == NONE))
		i = next_of(plan, &share->young, true, group_index);
	if ((tier == TIER_FIRST || (tier == TIER_ONLY && i == NONE)) && first_left)
		i = group_index;
	return i;
}

/* Of the user who takes most, the oldest. */
static void choose_in_group(const struct plan *plan, uint32_t group_index)
{
	struct quota_scratch *group = at(plan, group_index);
	enum tier tier = tier_of(plan, group_index);

	group->best = NONE;
	for (uint32_t s = group->first_share; tier != TIER_EMPTY && s != NONE;
	     s = at(plan, s)->next_share) {
		uint64_t share = most(plan, at(plan, s)->share_bytes, at(plan, s)->share_cores);
		uint32_t i = candidate_of(plan, group_index, s, tier);

		if (i == NONE || (group->best != NONE &&
				  (share < group->best_share ||
				   (share == group->best_share && i > group->best))))
			continue;
		group->best = i;
		group->best_share = share;
	}
	if (tier == TIER_ONLY && is_young(&plan->items[group->best]))
		tier = TIER_ONLY_YOUNG;
	group->tier = tier;
}

static uint64_t most_of_group(const struct plan *plan, const struct quota_scratch *group)
{
	return most(plan, group->group_bytes, group->group_cores);
}

/* Of the user whose core is the next of the group to go. */
static uint64_t most_of_user(const struct plan *plan, const struct quota_scratch *group)
{
	const struct quota_scratch *user = at(plan, at(plan, group->best)->user);

	return most(plan, user->user_bytes, user->user_cores);
}

/* Both groups have one core. Whoever has most such pays: old or young, large or small. */
static bool goes_before_as_only(const struct plan *plan, const struct quota_scratch *a,
				const struct quota_scratch *b)
{
	uint64_t user_a = most_of_user(plan, a), user_b = most_of_user(plan, b);

	if (user_a != user_b)
		return user_a > user_b;
	if (a->tier != b->tier)
		return a->tier < b->tier;
	if (a->group_bytes != b->group_bytes)
		return a->group_bytes > b->group_bytes;
	return a->best < b->best;
}

static bool goes_before(const struct plan *plan, const struct quota_scratch *a,
			const struct quota_scratch *b)
{
	if (a->tier >= TIER_ONLY && b->tier >= TIER_ONLY)
		return goes_before_as_only(plan, a, b);
	if (a->tier != b->tier)
		return a->tier < b->tier;
	if (most_of_group(plan, a) != most_of_group(plan, b))
		return most_of_group(plan, a) > most_of_group(plan, b);
	if (a->best_share != b->best_share)
		return a->best_share > b->best_share;
	return a->best < b->best;
}

static uint32_t choose(const struct plan *plan)
{
	const struct quota_scratch *best = NULL;

	for (uint32_t g = plan->groups; g != NONE; g = at(plan, g)->next_group)
		if (at(plan, g)->tier != TIER_EMPTY &&
		    (!best || goes_before(plan, at(plan, g), best)))
			best = at(plan, g);
	return best ? best->best : NONE;
}

static void drop(struct plan *plan, uint32_t index)
{
	struct quota_item *item = &plan->items[index];
	struct quota_scratch *group = at(plan, item->scratch.group);

	item->drop_core = true;
	group->group_bytes -= item->bytes;
	group->group_cores--;
	group->group_plain -= !is_young(item) && index != item->scratch.group;
	at(plan, item->scratch.share)->share_bytes -= item->bytes;
	at(plan, item->scratch.share)->share_cores--;
	at(plan, item->scratch.user)->user_bytes -= item->bytes;
	at(plan, item->scratch.user)->user_cores--;
	choose_in_group(plan, item->scratch.group);
}

static void reset(struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n; i++)
		*at(plan, i) = (struct quota_scratch){ .bucket = NONE, .user_bucket = NONE };
}

static void prepare(struct plan *plan)
{
	reset(plan);
	for (uint32_t i = 0; i < plan->n; i++)
		if (has_core(&plan->items[i]))
			add_core(plan, i);
}

static void choose_in_groups(struct plan *plan, bool by_count)
{
	plan->by_count = by_count;
	for (uint32_t g = plan->groups; g != NONE; g = at(plan, g)->next_group)
		choose_in_group(plan, g);
}

/* ---- the plan ---- */

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
	struct plan plan = { .items = items, .n = (uint32_t)n, .groups = NONE };
	bool prepared = false;

	for (;;) {
		bool large = bytes > limits->max_bytes || freed < limits->must_free_bytes;
		uint32_t i;

		if (!large && (limits->max_count == 0 || cores <= limits->max_count))
			return;
		if (!prepared)
			prepare(&plan);
		if (!prepared || plan.by_count == large)
			choose_in_groups(&plan, !large);
		prepared = true;
		i = choose(&plan);
		if (i == NONE)
			return;
		drop(&plan, i);
		bytes -= items[i].bytes;
		freed += items[i].bytes;
		cores--;
	}
}

static bool counts_here(const struct quota_item *item, bool with_core)
{
	return !item->drop_record && has_core(item) == with_core;
}

static void count_records(struct plan *plan, bool with_core)
{
	reset(plan);
	for (uint32_t i = 0; i < plan->n; i++) {
		if (!counts_here(&plan->items[i], with_core))
			continue;
		at(plan, i)->user = find_user(plan, i);
		at(plan, at(plan, i)->user)->user_records++;
	}
}

/* The oldest of whoever has most of these. */
static uint32_t choose_record(const struct plan *plan, bool with_core)
{
	uint32_t most_records = 0, user = NONE;

	for (uint32_t i = 0; i < plan->n; i++) {
		if (at(plan, i)->user_records <= most_records)
			continue;
		most_records = at(plan, i)->user_records;
		user = i;
	}
	for (uint32_t i = 0; user != NONE && i < plan->n; i++)
		if (counts_here(&plan->items[i], with_core) && at(plan, i)->user == user)
			return i;
	return NONE;
}

/* Records of no core go first. */
static void drop_records(struct quota_item *items, size_t n, uint64_t max_records)
{
	struct plan plan = { .items = items, .n = (uint32_t)n };
	uint64_t records = 0;

	for (size_t i = 0; i < n; i++)
		records += !items[i].drop_record;
	for (int with_core = 0; with_core < 2 && records > max_records; with_core++) {
		count_records(&plan, with_core);
		while (records > max_records) {
			uint32_t i = choose_record(&plan, with_core);

			if (i == NONE)
				break;
			at(&plan, at(&plan, i)->user)->user_records--;
			items[i].drop_record = true;
			items[i].drop_core = items[i].bytes > 0;
			records--;
		}
	}
}

void quota_plan(struct quota_item *items, size_t n, const struct quota_limits *limits)
{
	uint64_t bytes = 0, cores = 0, freed = 0;

	assert(n < NONE);
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
