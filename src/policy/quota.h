/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which cores go when the store is over its limits.
 *
 * Fair to kinds of crash first and to users next: the group (a signature, or a process
 * where there is none) that takes most space pays, in it the user who takes most, of theirs
 * the oldest but the very first. A group's only core, and one younger than an hour, goes
 * only when nothing else can. Where all that is left are the only ones of their groups, the
 * user who has most of them pays: names are anybody's to multiply. "Most" is bytes, or cores
 * where it is their number that is over its limit. Records go by user, too, those without a
 * core first. Too old is too old for anything.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * quota_plan()'s own: what it knows of a group and of a user's share of it is kept in the
 * first item of each. Numbers are indexes.
 */
struct quota_scratch {
	/* Of every item. */
	uint32_t bucket; /* of a hash table as large as there are items: its first group or share */
	uint32_t user_bucket; /* of another one: its first user */
	uint32_t group; /* the group's first item */
	uint32_t user; /* the user's first item */
	uint32_t share; /* the share's first item */
	uint32_t next_in_share;

	/* Of a group. */
	uint64_t group_bytes;
	uint32_t group_cores;
	uint32_t group_plain; /* cores that go first: neither young nor the oldest */
	uint32_t next_in_bucket; /* also of a share */
	uint32_t next_group;
	uint32_t first_share;
	uint32_t best; /* the core to go next ... */
	uint32_t tier; /* ... and how late that is */
	uint64_t best_share; /* what its user has in this group */

	/* Of a user, over all groups. */
	uint64_t user_bytes;
	uint32_t user_cores;
	uint32_t user_records;
	uint32_t next_in_user_bucket;

	/* Of a share. */
	uint64_t share_bytes;
	uint32_t share_cores;
	uint32_t next_share;
	uint32_t plain; /* the oldest that is left of the plain ones ... */
	uint32_t young; /* ... and of the young ones */
	uint32_t last;
};

struct quota_item {
	uint64_t bytes; /* of its core on disk; 0: has none */
	int64_t age_ns;
	uint64_t group;
	uint32_t uid;
	bool drop_core; /* out */
	bool drop_record; /* out */
	struct quota_scratch scratch;
};

struct quota_limits {
	uint64_t max_bytes; /* of all cores */
	uint64_t must_free_bytes; /* to get the file system above KeepFree */
	uint64_t max_count; /* of cores; 0: no limit */
	uint64_t max_records;
	int64_t max_age_ns; /* 0: no limit */
};

/*
 * Marks what is to go. Items are in order of time, oldest first. Each core that goes costs
 * a look at every group and at every share of its own, so thousands take milliseconds.
 */
void quota_plan(struct quota_item *items, size_t n, const struct quota_limits *limits);
