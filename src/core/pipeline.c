/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/hugepages.h"
#include "core/member.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/dir.h"
#include "io/process.h"

/* A member fits in place of its plain bytes: MEMBER_BOUND is 3 KiB above MEMBER_PLAIN. */
#define SLOT_BYTES (MEMBER_PLAIN + 4096u)
#define SLOTS_MIN 4u
/* In fewer there is less to gain than a huge page more costs. */
#define LANE_SLOTS_MIN 4u
/* Dirty pages are pushed to the disk in steps of this, so that fsync finds little to do. */
#define FLUSH_BYTES (16u << 20)
/* A core of so few blocks is done before threads have started. */
#define ALONE_BLOCKS 2u

enum slot_state {
	SLOT_FREE,
	SLOT_READING,
	SLOT_FULL,
	SLOT_PACKING,
	SLOT_PACKED,
	SLOT_WRITING,
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

unsigned int pipeline_processors(void)
{
	cpu_set_t set;
	int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n > (int)PIPELINE_THREADS_MAX ? PIPELINE_THREADS_MAX : (unsigned int)n;
}

/* ---- ends, with the lock held ---- */

static void set_end(struct pipeline *p, enum pipeline_end end, uint64_t blocks)
{
	if (p->result.end == PIPELINE_ALL)
		p->result.end = end;
	if (blocks < p->end)
		p->end = blocks;
}

static void stop_writing(struct pipeline *p, enum pipeline_end end, int error)
{
	set_end(p, end, p->next_write);
	p->stopped = true;
	if (p->error == 0)
		p->error = error;
}

static bool reading_done(const struct pipeline *p)
{
	return p->reading == 0 && (p->next_read >= p->end || p->stopped);
}

static bool all_done(const struct pipeline *p)
{
	return reading_done(p) && !p->writing && (p->stopped || p->next_write >= p->end);
}

/* May another block be read, for which somebody is held? */
static void check_read_limits(struct pipeline *p)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms >= p->limits->hold_until_ms)
		set_end(p, PIPELINE_HELD_TOO_LONG, p->next_read);
	else if (now_ms >= p->limits->stop_at_ms)
		set_end(p, PIPELINE_TOO_SLOW, p->next_read);
}

/* ---- the three jobs; each is entered and left with the lock held ---- */

/*
 * Blocks that are read at the same time lie in lanes far from each other: two threads that
 * touch one new huge page both fill it with zeros, and one of them in vain.
 */
static unsigned char *slot_memory(const struct pipeline *p, uint64_t index)
{
	uint64_t slot = index % p->slots;

	return p->memory +
	       (slot % p->lanes * p->lane_slots + slot / p->lanes) * SLOT_BYTES;
}

static bool can_read(struct pipeline *p)
{
	if (p->stopped || p->next_read >= p->end || p->reading >= p->input->readers ||
	    p->next_read - p->next_write >= p->slots)
		return false;
	check_read_limits(p);
	return p->next_read < p->end;
}

static bool can_read_own(const struct pipeline *p)
{
	return p->released && !p->stopped && p->next_own < p->own && p->next_own < p->end;
}

static enum pipeline_end end_of_read(int error)
{
	switch (error) {
	case -ETIME:
		return PIPELINE_HELD_TOO_LONG;
	case -EFBIG:
		return PIPELINE_TOO_LARGE;
	default:
		return PIPELINE_READ_FAILED;
	}
}

static void take_read(struct pipeline *p, uint64_t index, ssize_t n, bool zeros)
{
	struct slot *slot = &p->slot[index % p->slots];

	if (n < 0) {
		p->result.read_error = (int)n;
		set_end(p, end_of_read((int)n), index);
	} else if (n < (ssize_t)MEMBER_PLAIN) {
		set_end(p, PIPELINE_ALL, n > 0 ? index + 1 : index);
	}
	slot->zeros = zeros && n == (ssize_t)MEMBER_PLAIN;
	slot->plain_bytes = n > 0 ? (uint32_t)n : 0;
	slot->state = SLOT_FULL;
}

static void read_block(struct pipeline *p, uint64_t index)
{
	bool zeros = false;
	ssize_t n;

	p->slot[index % p->slots].state = SLOT_READING;
	p->reading++;
	(void)pthread_mutex_unlock(&p->lock);
	n = p->input->read(p->input->userdata, index, slot_memory(p, index), &zeros);
	(void)pthread_mutex_lock(&p->lock);
	p->reading--;
	take_read(p, index, n, zeros);
}

static void release(struct pipeline *p)
{
	enum pipeline_end end = p->result.end;
	bool wanted;

	p->letting_go = true;
	(void)pthread_mutex_unlock(&p->lock);
	wanted = p->input->release(p->input->userdata, end);
	(void)pthread_mutex_lock(&p->lock);
	/* Not before: nobody is to write what may not be wanted. */
	p->released = true;
	if (!wanted)
		stop_writing(p, end, 0);
}

static bool can_pack(const struct worker *w)
{
	const struct pipeline *p = w->p;

	return !w->helpless && !p->stopped && p->next_pack < p->end &&
	       p->slot[p->next_pack % p->slots].state == SLOT_FULL &&
	       (p->released || !p->late);
}

/*
 * Not before there is something to pack: loading an engine takes as long as reading a small
 * process, which need not wait for it.
 */
static void equip(struct worker *w)
{
	struct pipeline *p = w->p;

	(void)pthread_mutex_unlock(&p->lock);
	w->packed = malloc(MEMBER_BOUND);
	w->writer = w->packed ? member_writer_new() : NULL;
	(void)pthread_mutex_lock(&p->lock);
	w->helpless = !w->writer;
	if (w->helpless && w->first)
		stop_writing(p, PIPELINE_DISK_FULL, -ENOMEM);
}

static int pack_slot(struct worker *w, struct slot *slot, unsigned char *memory)
{
	size_t stored_bytes;
	int r;

	if (slot->zeros)
		r = member_write_zeros(w->writer, w->packed, &stored_bytes);
	else
		r = member_write(w->writer, memory, slot->plain_bytes, w->packed,
				 &stored_bytes);
	if (r < 0)
		return r;
	memcpy(memory, w->packed, stored_bytes);
	slot->stored_bytes = (uint32_t)stored_bytes;
	return 0;
}

static void pack_block(struct worker *w)
{
	struct pipeline *p = w->p;
	uint64_t index = p->next_pack++;
	struct slot *slot = &p->slot[index % p->slots];
	int r;

	slot->state = SLOT_PACKING;
	(void)pthread_mutex_unlock(&p->lock);
	r = pack_slot(w, slot, slot_memory(p, index));
	(void)pthread_mutex_lock(&p->lock);
	slot->state = SLOT_PACKED;
	if (r < 0)
		stop_writing(p, PIPELINE_DISK_FULL, r);
}

static bool can_write(const struct pipeline *p)
{
	return !p->stopped && !p->writing && p->next_write < p->end &&
	       p->next_write < p->next_pack &&
	       p->slot[p->next_write % p->slots].state == SLOT_PACKED;
}

/* Other programs fill disks, too. */
static enum pipeline_end check_write_limits(const struct pipeline *p)
{
	struct statvfs fs;

	if (clock_monotonic_ms() >= p->limits->stop_at_ms)
		return PIPELINE_TOO_SLOW;
	if (fstatvfs(p->out_fd, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize <
		    p->limits->keep_free_bytes + MEMBER_BOUND)
		return PIPELINE_KEEP_FREE;
	return PIPELINE_ALL;
}

static void flush(struct pipeline *p)
{
	uint64_t from = p->flushed_bytes;

	if (p->result.stored_bytes - from < FLUSH_BYTES && p->next_write < p->end)
		return;
	p->flushed_bytes = p->result.stored_bytes;
	/* Only a head start for fsync, which alone counts. */
	(void)sync_file_range(p->out_fd, (off_t)from, (off_t)(p->flushed_bytes - from),
			      SYNC_FILE_RANGE_WRITE);
}

static void write_block(struct pipeline *p)
{
	struct slot *slot = &p->slot[p->next_write % p->slots];
	enum pipeline_end end;
	int r = 0;

	p->writing = true;
	(void)pthread_mutex_unlock(&p->lock);
	end = check_write_limits(p);
	if (end == PIPELINE_ALL)
		r = dir_write_all(p->out_fd, slot_memory(p, p->next_write),
				  slot->stored_bytes);
	(void)pthread_mutex_lock(&p->lock);
	p->writing = false;
	if (end != PIPELINE_ALL) {
		stop_writing(p, end, 0);
		return;
	}
	if (r < 0) {
		bool full = r == -ENOSPC || r == -EDQUOT || r == -EFBIG;

		stop_writing(p, PIPELINE_DISK_FULL, full ? 0 : r);
		return;
	}
	p->result.plain_bytes += slot->plain_bytes;
	p->result.stored_bytes += slot->stored_bytes;
	slot->state = SLOT_FREE;
	p->next_write++;
	flush(p);
}

/* ---- the threads ---- */

/* Priorities are a thread's own, so each steps back by itself. */
static void step_back(struct worker *w)
{
	if (w->stepped_back || !w->p->released)
		return;
	w->stepped_back = true;
	process_step_back(-1);
}

/* One job, the most urgent. False when there is none just now. */
static bool work_once(struct worker *w)
{
	struct pipeline *p = w->p;

	if (can_read(p))
		read_block(p, p->next_read++);
	else if (!p->letting_go && reading_done(p))
		release(p);
	else if (can_read_own(p))
		read_block(p, p->next_own++);
	else if (can_write(p))
		write_block(p);
	else if (can_pack(w) && !w->writer)
		equip(w);
	else if (can_pack(w))
		pack_block(w);
	else
		return false;
	return true;
}

static void work(struct worker *w)
{
	struct pipeline *p = w->p;

	(void)pthread_mutex_lock(&p->lock);
	while (!all_done(p) || !p->released) {
		step_back(w);
		if (work_once(w))
			(void)pthread_cond_broadcast(&p->changed);
		else
			(void)pthread_cond_wait(&p->changed, &p->lock);
	}
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static void worker_done(struct worker *w)
{
	member_writer_free(w->writer);
	free(w->packed);
}

/* One that cannot compress still reads and writes: the first thread does the rest. */
static void *worker_thread(void *userdata)
{
	struct worker w = { .p = userdata };

	work(&w);
	worker_done(&w);
	return NULL;
}

static unsigned int start_threads(struct pipeline *p, pthread_t *threads)
{
	unsigned int wanted = pipeline_processors() - 1, n = 0;

	if (p->input->blocks <= ALONE_BLOCKS)
		return 0;
	while (n < wanted && pthread_create(&threads[n], NULL, worker_thread, p) == 0)
		n++;
	return n;
}

/* ---- the whole ---- */

static int init(struct pipeline *p)
{
	p->slots = p->limits->buffer_bytes / SLOT_BYTES;
	if (p->slots < SLOTS_MIN)
		p->slots = SLOTS_MIN;
	p->late = p->input->blocks <= p->slots;
	if (p->late)
		p->slots = p->input->blocks ? p->input->blocks : 1;
	p->own = p->late ? p->input->own_blocks : 0;
	p->next_read = p->own;
	p->end = p->input->blocks;
	p->slot = calloc(p->slots, sizeof(*p->slot));
	if (!p->slot)
		return -ENOMEM;
	p->lanes = p->slots < LANE_SLOTS_MIN * p->input->readers ? 1 : p->input->readers;
	p->lane_slots = (p->slots + p->lanes - 1) / p->lanes;
	p->memory = hugepages_alloc(p->lanes * p->lane_slots * SLOT_BYTES);
	return p->memory ? 0 : -ENOMEM;
}

static void done(struct pipeline *p)
{
	free(p->memory);
	free(p->slot);
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
}

static int run(struct pipeline *p)
{
	pthread_t threads[PIPELINE_THREADS_MAX];
	struct worker w = { .p = p, .first = true };
	unsigned int n;
	int r;

	r = init(p);
	if (r == 0) {
		n = start_threads(p, threads);
		work(&w);
		while (n > 0)
			(void)pthread_join(threads[--n], NULL);
		r = p->error;
	}
	worker_done(&w);
	return r;
}

int pipeline_run(const struct pipeline_input *input, const struct pipeline_limits *limits,
		 int out_fd, struct pipeline_result *ret_result)
{
	struct pipeline p = {
		.input = input,
		.limits = limits,
		.out_fd = out_fd,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	int r;

	r = run(&p);
	if (!p.letting_go)
		(void)input->release(input->userdata, PIPELINE_READ_FAILED);
	done(&p);
	if (r == 0)
		*ret_result = p.result;
	return r;
}
