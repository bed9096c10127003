/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which process gives up its place in a full state. Names are the attacker's to multiply,
 * so the user with most places pays: of that user's, the one that crashed longest ago.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evict_candidate {
	int64_t last_ns;
	uint32_t uid;
	bool busy; /* a crash of it is being kept right now: may not go */
};

/* Index of the one to go, or n when all are busy. O(n), n <= EVICT_MAX. */
#define EVICT_MAX 4096
size_t evict_choose(const struct evict_candidate *candidates, size_t n);
