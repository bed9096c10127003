/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/cheaphash.h"

#include <string.h>

#include "policy/name.h"

/* Everything goes through one buffer, so that no field can run into the next. */
struct words {
	uint64_t word[4 + 2 * CHEAPHASH_ADDRESSES];
	size_t n;
};

static void add_place(struct words *w, const struct cheaphash_place *place)
{
	w->word[w->n++] =
		place->module ? name_hash(place->module, strlen(place->module)) : 0;
	/*
	 * Memory of no file lies anywhere: where in it says nothing, and who jumps at random
	 * must not look new each time. The null pointer is told apart, as in the signature.
	 */
	w->word[w->n++] = place->module ? place->offset : place->null;
}

uint64_t cheaphash(const struct cheaphash_crash *crash)
{
	struct words w = { 0 };
	uint64_t hash;

	w.word[w.n++] = (uint64_t)(uint32_t)crash->signal;
	w.word[w.n++] = (uint64_t)(uint32_t)crash->si_code;
	add_place(&w, &crash->pc);
	for (size_t i = 0; i < crash->addresses && i < CHEAPHASH_ADDRESSES; i++)
		add_place(&w, &crash->address[i]);
	hash = name_hash(w.word, w.n * sizeof(*w.word));
	return hash ?: 1;
}
