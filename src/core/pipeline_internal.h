/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of the pipeline share. */

#include <pthread.h>

#include "core/member.h"
#include "core/pipeline.h"

/* A member fits in place of its plain bytes: MEMBER_BOUND is 3 KiB above MEMBER_PLAIN. */
#define SLOT_BYTES (MEMBER_PLAIN + 4096u)

/* A slot is the place of one block in the buffer; it takes these states in order. */
enum slot_state {
	SLOT_FREE,
	SLOT_READING,
	SLOT_FULL,
	SLOT_PACKING,
	SLOT_PACKED,
};

struct slot {
	enum slot_state state;
	bool zeros;
	uint32_t plain_bytes;
	uint32_t stored_bytes;
};

struct pipeline {
	const struct pipeline_input *input;
	const struct pipeline_limits *limits;
	int out_fd;
	unsigned char *memory; /* lanes * lane_slots * SLOT_BYTES */
	struct slot *slot;
	uint64_t slots;
	uint64_t lanes, lane_slots;
	bool late; /* the buffer holds it all: compress when it is read */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. Blocks below next_write are done; next_read <= next_write + slots. */
	uint64_t next_read, next_pack, next_write;
	uint64_t own, next_own; /* blocks below own are read when all others are */
	uint64_t end; /* blocks there are; UINT64_MAX while not known */
	unsigned int reading;
	bool writing;
	bool letting_go; /* release() is called, or was */
	bool released; /* and has answered */
	bool stopped; /* nothing more is to be written */
	int error;
	uint64_t flushed_bytes;
	struct pipeline_result result;
};

/* What a thread has of its own. */
struct worker {
	struct pipeline *p;
	struct member_writer *writer;
	unsigned char *packed; /* MEMBER_BOUND */
	bool first; /* what it cannot do nobody does */
	bool helpless; /* no memory to compress with */
	bool stepped_back;
};

/* ---- pipeline_jobs.c: with the lock held, which is let go of during a job ---- */

/* One job, the most urgent. False when there is none just now. */
bool pipeline_do_job(struct worker *w);
/* Nothing is under way, and nothing is left to read or write. */
bool pipeline_all_done(const struct pipeline *p);
