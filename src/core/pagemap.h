/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which pages of the held process exist: in memory or in swap. All others of its private
 * anonymous memory were never touched and are zeros, which the kernel's dump spells out
 * and we do not read.
 *
 * PAGEMAP_SCAN (Linux 6.7) walks page tables, so sixteen tebibytes with one page cost
 * microseconds. Before it /proc/PID/pagemap has eight bytes for every page there could be;
 * the walk stops at a deadline.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a process can make us hold; beyond it the smallest gaps are closed. */
#define PAGEMAP_RUNS_MAX (1u << 20)

struct pagemap_run {
	uint64_t start;
	uint64_t end;
};

/* Sorted, apart from each other. */
struct pagemap {
	struct pagemap_run *run;
	size_t runs;
	size_t room;
};

#define PAGEMAP_NULL { 0 }

/* Adds a run behind all others, or to the last one if they touch. 0 or -ENOMEM. */
int pagemap_add(struct pagemap *map, uint64_t start, uint64_t end);
void pagemap_done(struct pagemap *map);

/* Adds the runs between start and end. -ENOTTY: the kernel has no PAGEMAP_SCAN. */
int pagemap_scan(struct pagemap *map, int fd, uint64_t start, uint64_t end);

/* The same by reading. -ETIME at the deadline (CLOCK_MONOTONIC). */
int pagemap_walk(struct pagemap *map, int fd, uint64_t start, uint64_t end,
		 int64_t until_ms);

/*
 * How many of n bytes from there on are the process's own pages, in memory or swapped out:
 * reading them asks no file system, which might not answer.
 */
ssize_t pagemap_private_bytes(int fd, uint64_t address, size_t n);

/* What both have. 0 or -ENOMEM. */
int pagemap_common(const struct pagemap *a, const struct pagemap *b, struct pagemap *ret_map);

/* The first run that ends behind the address; map->runs if there is none. */
size_t pagemap_find(const struct pagemap *map, uint64_t address);
