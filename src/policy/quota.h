/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which cores go when the store is over its limits.
 *
 * Fair to kinds of crash first and to users next: the group (a signature, or a process
 * where there is none) that takes most space pays, in it the user who takes most, of theirs
 * the oldest but the very first. A group's only core, and one younger than an hour, goes
 * only when nothing else can. Too old is too old for anything.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quota_item {
	uint64_t bytes; /* of its core on disk; 0: has none */
	int64_t age_ns;
	uint64_t group;
	uint32_t uid;
	bool drop_core; /* out */
	bool drop_record; /* out */
};

struct quota_limits {
	uint64_t max_bytes; /* of all cores */
	uint64_t must_free_bytes; /* to get the file system above KeepFree */
	uint64_t max_count; /* of cores; 0: no limit */
	uint64_t max_records;
	int64_t max_age_ns; /* 0: no limit */
};

/* Marks what is to go. Items are in order of time, oldest first. */
void quota_plan(struct quota_item *items, size_t n, const struct quota_limits *limits);
