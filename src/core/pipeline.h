/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Threads that read a core in blocks, compress them and write them, over a bounded buffer.
 *
 * All threads are alike and take what is most urgent: reading, because a process waits for
 * it; then writing, which frees the buffer; then compressing. When the buffer holds the
 * whole core, nothing is compressed before everything is read and the process has gone;
 * whoever works after that does so at low priority.
 *
 * Block number i holds plain bytes i * MEMBER_PLAIN to (i + 1) * MEMBER_PLAIN and becomes
 * one member.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PIPELINE_THREADS_MAX 16u

enum pipeline_end {
	PIPELINE_ALL, /* read to the end */
	PIPELINE_READ_FAILED,
	PIPELINE_TOO_LARGE,
	PIPELINE_HELD_TOO_LONG,
	PIPELINE_TOO_SLOW,
	PIPELINE_DISK_FULL,
	PIPELINE_KEEP_FREE,
};

struct pipeline_input {
	void *userdata;
	/*
	 * Fills block number `index` (MEMBER_PLAIN bytes): the count, less than a block only
	 * for the last one, 0 behind the end, -errno (-EFBIG ends it as PIPELINE_TOO_LARGE).
	 * *ret_zeros may be set instead of writing zeros. Called in order if readers is 1,
	 * else by several threads at once.
	 */
	ssize_t (*read)(void *userdata, uint64_t index, void *block, bool *ret_zeros);
	/*
	 * Called once, by any thread: nothing will be read any more but own blocks, and why.
	 * False when what was read is not wanted either.
	 */
	bool (*release)(void *userdata, enum pipeline_end end);
	unsigned int readers; /* how many may read at once */
	uint64_t blocks; /* UINT64_MAX: not known */
	/*
	 * So many first ones need nobody to be held: read after release() where the buffer
	 * allows.
	 */
	uint64_t own_blocks;
};

struct pipeline_limits {
	uint64_t buffer_bytes;
	int64_t hold_until_ms; /* CLOCK_MONOTONIC: then reading stops */
	int64_t stop_at_ms; /* then everything stops */
	uint64_t keep_free_bytes; /* stop when the file system has less than that */
};

struct pipeline_result {
	enum pipeline_end end;
	int read_error; /* -errno; 0: none */
	uint64_t plain_bytes; /* written, in whole members */
	uint64_t stored_bytes;
};

/*
 * 0 however it ended, -errno when nothing could be done at all or writing failed in a way
 * that more space would not cure. The file may have a torn member at its end: cut it to
 * stored_bytes.
 */
int pipeline_run(const struct pipeline_input *input, const struct pipeline_limits *limits,
		 int out_fd, struct pipeline_result *ret_result);

/* How many processors we may run on, at most PIPELINE_THREADS_MAX. */
unsigned int pipeline_processors(void);
