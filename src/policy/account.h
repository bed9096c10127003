/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The ledger of one process: every crash is in exactly one place.
 *
 *   crashes = kept weight + pending + in flight
 *
 * A crash starts as pending (folded) or in flight (being kept). What is in flight becomes
 * kept weight when its record is durable, and pending again when the attempt ends without
 * one. Over all processes, those evicted from the state included:
 *
 *   crashes = kept weight + pending + in flight + evicted
 */

#include "policy/throttle.h"

struct account {
	struct throttle_process throttle; /* holds pending */
	uint64_t crashes;
	uint64_t folded; /* crashes whose verdict was fold */
	uint64_t kept; /* durable records */
	uint64_t kept_weight;
	uint64_t in_flight;
};

/* Sums over processes; also what remains of evicted ones. */
struct totals {
	uint64_t crashes;
	uint64_t folded;
	uint64_t kept;
	uint64_t kept_weight;
	uint64_t pending;
	uint64_t in_flight;
	uint64_t evicted; /* pending weight of evicted processes, not yet in a record */
	uint64_t unseen; /* crashes only the kernel log knows; not part of the ledger */
};

/* Decides and counts; the weight of a kept crash is in flight afterwards. */
struct throttle_verdict account_crash(struct account *account,
				      const struct throttle_limits *limits,
				      int64_t now_ns, uint64_t signature);

/* The fold just decided is kept as novel after all (see throttle_novel). */
bool account_novel(struct account *account, const struct throttle_limits *limits,
		   int64_t now_ns, uint64_t signature);

/* Pending weight goes in flight. False, and nothing done, if there is not so much. */
bool account_reserve(struct account *account, uint64_t weight);

/*
 * The fold just decided may turn out novel: its one crash goes in flight while that is
 * found out. False if another keep has carried it off already. Ends with
 * account_commit(), or account_unprobe() when it was nothing new.
 */
bool account_probe(struct account *account);
void account_unprobe(struct account *account);

/* Takes all that is pending in flight, to be written as a folded record. Returns the weight. */
uint64_t account_take_pending(struct account *account);

/* In flight to kept: the record that stands for `weight` crashes is durable. */
void account_commit(struct account *account, uint64_t weight);

/* In flight to pending: no record became durable. */
void account_give_back(struct account *account, uint64_t weight);

/* A crash that was decided elsewhere (without the lock) enters as in flight. */
void account_enter(struct account *account, uint64_t weight);

bool account_balanced(const struct account *account);

void totals_add(struct totals *totals, const struct account *account);
bool totals_balanced(const struct totals *totals);
