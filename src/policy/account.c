/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/account.h"

struct throttle_verdict account_crash(struct account *account,
				      const struct throttle_limits *limits,
				      int64_t now_ns, uint64_t signature)
{
	struct throttle_verdict verdict =
		throttle_crash(&account->throttle, limits, now_ns, signature);

	account->crashes++;
	account->in_flight += verdict.weight;
	if (verdict.decision == THROTTLE_FOLD)
		account->folded++;
	return verdict;
}

bool account_novel(struct account *account, const struct throttle_limits *limits,
		   int64_t now_ns, uint64_t signature)
{
	if (!throttle_novel(&account->throttle, limits, now_ns, signature))
		return false;
	account->folded--;
	account->in_flight++;
	return true;
}

bool account_probe(struct account *account)
{
	if (account->throttle.pending == 0)
		return false;
	account->throttle.pending--;
	account->in_flight++;
	account->folded--;
	return true;
}

void account_unprobe(struct account *account)
{
	account_give_back(account, 1);
	account->folded++;
}

bool account_reserve(struct account *account, uint64_t weight)
{
	if (weight == 0 || account->throttle.pending < weight)
		return false;
	account->throttle.pending -= weight;
	account->in_flight += weight;
	return true;
}

uint64_t account_take_pending(struct account *account)
{
	uint64_t weight = account->throttle.pending;

	account->throttle.pending = 0;
	account->in_flight += weight;
	return weight;
}

/* A state rebuilt meanwhile may know less than the caller's ticket: never below zero. */
static uint64_t take(uint64_t *from, uint64_t weight)
{
	uint64_t taken = *from < weight ? *from : weight;

	*from -= taken;
	return taken;
}

/*
 * Weight that is not in flight here was given back as pending by a rebuild, or the crash
 * itself was lost with the old state: look there next, and count what is nowhere.
 */
void account_commit(struct account *account, uint64_t weight)
{
	uint64_t found = take(&account->in_flight, weight);

	found += take(&account->throttle.pending, weight - found);
	account->crashes += weight - found;
	account->kept_weight += weight;
	account->kept++;
}

void account_give_back(struct account *account, uint64_t weight)
{
	account->throttle.pending += take(&account->in_flight, weight);
}

void account_enter(struct account *account, uint64_t weight)
{
	account->crashes += weight;
	account->in_flight += weight;
}

bool account_balanced(const struct account *account)
{
	return account->crashes == account->kept_weight + account->throttle.pending +
					   account->in_flight;
}

void totals_add(struct totals *totals, const struct account *account)
{
	totals->crashes += account->crashes;
	totals->folded += account->folded;
	totals->kept += account->kept;
	totals->kept_weight += account->kept_weight;
	totals->pending += account->throttle.pending;
	totals->in_flight += account->in_flight;
}

bool totals_balanced(const struct totals *totals)
{
	return totals->crashes == totals->kept_weight + totals->pending + totals->in_flight +
					  totals->evicted;
}
