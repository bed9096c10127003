/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/evict.h"

#include <assert.h>

/* Places per uid, by open addressing in a table twice as large as there can be uids. */
struct tally {
	uint32_t uid;
	uint32_t places;
};

static struct tally *tally_of(struct tally *table, uint32_t uid)
{
	size_t i = (uid * 0x9e3779b1u) % (2 * EVICT_MAX);

	while (table[i].places > 0 && table[i].uid != uid)
		i = (i + 1) % (2 * EVICT_MAX);
	table[i].uid = uid;
	return &table[i];
}

size_t evict_choose(const struct evict_candidate *candidates, size_t n)
{
	struct tally table[2 * EVICT_MAX] = { 0 };
	uint32_t most = 0;
	size_t chosen = n;

	assert(n <= EVICT_MAX);
	for (size_t i = 0; i < n; i++)
		tally_of(table, candidates[i].uid)->places++;
	for (size_t i = 0; i < n; i++) {
		uint32_t places = tally_of(table, candidates[i].uid)->places;

		if (candidates[i].busy)
			continue;
		if (chosen == n || places > most ||
		    (places == most && candidates[i].last_ns < candidates[chosen].last_ns)) {
			chosen = i;
			most = places;
		}
	}
	return chosen;
}
