/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * For each item the longest chain that ends with it is found: the longest one before it
 * that it fits, and itself. To try all items before it would take n * n steps, and a list
 * may have lines of years.
 *
 * But nearly all items fit their neighbour, so the list falls into few runs in which each
 * fits the one before it. If an item fits one of an earlier run it fits all that stand
 * before that in the run, and the chains that end there only get longer along the run. So
 * of each earlier run one item is worth a look, the last that fits, and bisection finds it.
 */

#include "summary/chain.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* How many runs back are looked at: who mixes more lists loses some of their items. */
#define RUNS_MAX 64
#define NO_ITEM SIZE_MAX

/* The longest chain found so far that ends with an item. */
struct link {
	size_t length;
	size_t before; /* the item it continues from; NO_ITEM: the chain begins here */
};

/* Items that each fit the one before them. */
struct run {
	size_t first;
	size_t last;
};

struct search {
	chain_fits *fits;
	const void *userdata;
	struct link *link; /* one for each item */
	struct run run[RUNS_MAX]; /* a ring: the newest ones */
	size_t runs; /* begun so far */
};

/* Counted from the newest, which is 1. */
static struct run *run_back(struct search *s, size_t n)
{
	return &s->run[(s->runs - n) % RUNS_MAX];
}

/* Of chains as long the one that is offered last stays. */
static void offer(struct search *s, size_t before, size_t item)
{
	size_t length = before == NO_ITEM ? 1 : s->link[before].length + 1;

	if (length >= s->link[item].length)
		s->link[item] = (struct link){ .length = length, .before = before };
}

/* The last item of the run that this one fits, NO_ITEM if none. */
static size_t last_fitting(const struct search *s, const struct run *run, size_t item)
{
	size_t low = run->first, high = run->last + 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->fits(s->userdata, middle, item))
			low = middle + 1;
		else
			high = middle;
	}
	return low > run->first ? low - 1 : NO_ITEM;
}

/* Newest first, so that of chains as long the one from the oldest run stays. */
static void offer_earlier_runs(struct search *s, size_t item)
{
	for (size_t back = 2; back <= s->runs && back <= RUNS_MAX; back++) {
		size_t before = last_fitting(s, run_back(s, back), item);

		if (before != NO_ITEM)
			offer(s, before, item);
	}
}

static void find_links(struct search *s, size_t n)
{
	for (size_t item = 0; item < n; item++) {
		offer(s, NO_ITEM, item);
		if (item > 0 && s->fits(s->userdata, item - 1, item)) {
			offer(s, item - 1, item);
		} else {
			s->runs++;
			run_back(s, 1)->first = item;
		}
		offer_earlier_runs(s, item);
		run_back(s, 1)->last = item;
	}
}

static void pick(const struct search *s, size_t n, bool *ret_picked)
{
	size_t end = NO_ITEM;

	for (size_t item = 0; item < n; item++) {
		ret_picked[item] = false;
		if (end == NO_ITEM || s->link[item].length > s->link[end].length)
			end = item;
	}
	for (size_t item = end; item != NO_ITEM; item = s->link[item].before)
		ret_picked[item] = true;
}

int chain_find(size_t n, chain_fits *fits, const void *userdata, bool *ret_picked)
{
	struct search search = { .fits = fits, .userdata = userdata };

	search.link = calloc(n + 1, sizeof(*search.link));
	if (!search.link)
		return -ENOMEM;
	find_links(&search, n);
	pick(&search, n, ret_picked);
	free(search.link);
	return 0;
}
