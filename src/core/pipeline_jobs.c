/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What there is to do for a block: read it, compress it, write it; and, when all has been
 * read, let the process go. Each job is entered and left with the lock held and works
 * without it, on a slot that its state gives to this thread alone.
 */

#include "core/pipeline_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "io/clock.h"
#include "io/dir.h"

/* Dirty pages are pushed to the disk in steps of this, so that fsync finds little to do. */
#define FLUSH_BYTES (16u << 20)

/* ---- ends ---- */

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

/* May another block be read, for which somebody is held? */
static void check_read_limits(struct pipeline *p)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms >= p->limits->hold_until_ms)
		set_end(p, PIPELINE_HELD_TOO_LONG, p->next_read);
	else if (now_ms >= p->limits->stop_at_ms)
		set_end(p, PIPELINE_TOO_SLOW, p->next_read);
}

/* ---- reading, and letting go ---- */

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

/* ---- compressing ---- */

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

/* ---- writing ---- */

static bool can_write(const struct pipeline *p)
{
	return !p->stopped && !p->writing && p->next_write < p->end &&
	       p->next_write < p->next_pack &&
	       p->slot[p->next_write % p->slots].state == SLOT_PACKED;
}

/* Other programs fill disks, too. */
static enum pipeline_end check_write_limits(const struct pipeline *p, uint64_t bytes)
{
	struct statvfs fs;

	if (clock_monotonic_ms() >= p->limits->stop_at_ms)
		return PIPELINE_TOO_SLOW;
	if (fstatvfs(p->out_fd, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize < p->limits->keep_free_bytes + bytes)
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
	end = check_write_limits(p, slot->stored_bytes);
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

/* ---- which job ---- */

bool pipeline_all_done(const struct pipeline *p)
{
	return reading_done(p) && !p->writing && (p->stopped || p->next_write >= p->end);
}

bool pipeline_do_job(struct worker *w)
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
