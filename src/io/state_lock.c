/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Making, opening and locking the throttle file, and finishing what was cut off. */

#include "io/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/compat.h"
#include "io/dir.h"
#include "io/state_format.h"

int state_read_at(int fd, void *bytes, size_t n, off_t at)
{
	ssize_t got;

	do {
		got = pread(fd, bytes, n, at);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : STATE_E_BAD;
}

int state_write_at(int fd, const void *bytes, size_t n, off_t at)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t written = pwrite(fd, p, n, at);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		p += written;
		n -= (size_t)written;
		at += written;
	}
	return 0;
}

bool state_header_good(const struct state_header *header)
{
	return memcmp(header->magic, STATE_MAGIC, sizeof(header->magic)) == 0 &&
	       header->version == STATE_VERSION &&
	       header->byte_order == STATE_BYTE_ORDER && header->crc == CRC_OF(header);
}

/* These two and the version never move. */
static bool header_ours(const struct state_header *header)
{
	return memcmp(header->magic, STATE_MAGIC, sizeof(header->magic)) == 0 &&
	       header->byte_order == STATE_BYTE_ORDER;
}

/*
 * Of a corefold that was there before this one and may come back: it knows what its file
 * means.
 */
static bool header_newer(const struct state_header *header)
{
	return header_ours(header) && header->version > STATE_VERSION &&
	       header->version <= STATE_VERSION_MAX;
}

/* A file that is not as we make it: of a later corefold, of an earlier one, or damaged. */
static int foreign(struct state *state)
{
	struct state_header *header = &state->header;
	int r;

	r = state_read_at(state->fd, header, sizeof(*header), 0);
	if (r != 0)
		return r;
	if (header_newer(header))
		return STATE_E_NEWER;
	if (header_ours(header) && header->version < STATE_VERSION)
		state->older_version = header->version;
	return STATE_E_BAD;
}

/* ---- making and opening ---- */

static void header_init(struct state_header *header)
{
	*header = (struct state_header){ .version = STATE_VERSION,
					 .byte_order = STATE_BYTE_ORDER };
	memcpy(header->magic, STATE_MAGIC, sizeof(header->magic));
	header->crc = CRC_OF(header);
}

/*
 * Blocks are reserved now, so that a disk that fills up later cannot stop the counting.
 */
static int fill_new(int fd)
{
	struct state_header header;
	int r;

	r = -posix_fallocate(fd, 0, STATE_BYTES);
	if (r == -EOPNOTSUPP || r == -EINVAL)
		r = ftruncate(fd, STATE_BYTES) < 0 ? -errno : 0;
	if (r < 0)
		return r;
	header_init(&header);
	r = state_write_at(fd, &header, sizeof(header), 0);
	/* Or a power cut could leave a file without a header, which looks like a damaged one. */
	return r == 0 && fdatasync(fd) < 0 ? -errno : r;
}

/*
 * Gives the file its name unless there is one by now. Renamed and not linked: between link
 * and unlink it would have two names, which is how a planted file looks to another handler,
 * and a SIGKILL there would leave it so.
 */
static int publish(int dir_fd, const char *name)
{
	if (renameat2(dir_fd, name, dir_fd, STATE_FILE, RENAME_NOREPLACE) == 0 ||
	    errno == EEXIST)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot (NFS). */
	return linkat(dir_fd, name, dir_fd, STATE_FILE, 0) < 0 && errno != EEXIST ? -errno : 0;
}

/*
 * Several first crashes may come at once: each makes a file of its own name, and the
 * first to publish it wins.
 */
static int make_file(int dir_fd)
{
	_cleanup_close_ int fd = -1;
	char name[64];
	int r;

	(void)snprintf(name, sizeof(name), STATE_TEMP_PREFIX "%d", (int)getpid());
	r = dir_open_file(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC, &fd);
	if (r == 0)
		r = fill_new(fd);
	if (r == 0)
		r = publish(dir_fd, name);
	if (r == 0)
		(void)fsync(dir_fd); /* changes made durable in it want its name to be */
	(void)unlinkat(dir_fd, name, 0); /* gone already if ours won */
	return r;
}

static int open_file(struct state *state)
{
	int r;

	r = dir_open_file(state->dir_fd, STATE_FILE, O_RDWR, &state->fd);
	if (r == -ENOENT) {
		r = make_file(state->dir_fd);
		if (r == 0)
			r = dir_open_file(state->dir_fd, STATE_FILE, O_RDWR, &state->fd);
	}
	if (!dir_is_unsafe(r) && r != -EACCES && r != -EPERM)
		return r;
	/* A link, a pipe, somebody else's file: it cannot be locked, so it is just moved. */
	r = dir_move_aside(state->dir_fd, STATE_FILE);
	return r < 0 ? r : STATE_E_BAD;
}

/* Polling, because a blocking flock() cannot be bounded without signals. */
static int lock_bounded(int fd, unsigned int wait_ms)
{
	uint64_t waited_us = 0, step_us = 50;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct timespec pause = { .tv_nsec = (long)step_us * 1000 };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited_us >= (uint64_t)wait_ms * 1000)
			return STATE_E_BUSY;
		(void)nanosleep(&pause, NULL);
		waited_us += step_us;
		if (step_us < 2000)
			step_us *= 2;
	}
	return 0;
}

static void close_file(struct state *state)
{
	if (state->place)
		(void)munmap((void *)(uintptr_t)state->place, PLACES_BYTES);
	state->place = NULL;
	close_fd(&state->fd);
	memset(state->mine, 0, sizeof(state->mine));
}

static int open_and_lock(struct state *state, unsigned int wait_ms)
{
	for (int attempt = 0; attempt < 8; attempt++) {
		int r;

		if (state->fd < 0) {
			r = open_file(state);
			if (r != 0)
				return r;
		}
		r = lock_bounded(state->fd, wait_ms);
		if (r != 0)
			return r;
		/*
		 * Not to know is an error: closing a file that is still the state would end the
		 * proof that we live.
		 */
		r = dir_is_named(state->dir_fd, STATE_FILE, state->fd);
		if (r < 0)
			(void)flock(state->fd, LOCK_UN);
		if (r != 0)
			return r < 0 ? r : 0;
		close_file(state);
	}
	return STATE_E_BUSY;
}

/* ---- the journal ---- */

/* Writes a change to where it belongs, the header last. */
int state_apply(int fd, const struct journal *journal)
{
	int r = 0;

	if (journal->has_slot) {
		r = state_write_at(fd, &journal->slot, sizeof(journal->slot),
			     state_slot_at(journal->slot_index));
		if (r == 0)
			r = state_write_at(fd, &journal->place, sizeof(journal->place),
				     state_place_at(journal->slot_index));
	}
	if (r == 0 && journal->has_inflight)
		r = state_write_at(fd, &journal->inflight, sizeof(journal->inflight),
			     state_inflight_at(journal->inflight_index));
	if (r == 0)
		r = state_write_at(fd, &journal->header, sizeof(journal->header), 0);
	return r;
}

static bool journal_good(const struct journal *journal)
{
	return journal->crc == CRC_OF(journal) && state_header_good(&journal->header) &&
	       (!journal->has_slot || journal->slot_index < STATE_SLOTS) &&
	       (!journal->has_inflight || journal->inflight_index < STATE_INFLIGHT);
}

/* Finishes the change that the last holder of the lock may have left half done. */
static int recover(struct state *state)
{
	struct journal journal;
	int r;

	r = state_read_at(state->fd, &state->header, sizeof(state->header), 0);
	if (r != 0)
		return r;
	if (header_newer(&state->header)) /* the journal does not know better, either */
		return STATE_E_NEWER;
	r = state_read_at(state->fd, &journal, sizeof(journal), JOURNAL_AT);
	if (r != 0)
		return r;
	if (!journal_good(&journal))
		return state_header_good(&state->header) ? 0 : foreign(state);
	if (state_header_good(&state->header) && state->header.change >= journal.change)
		return 0;
	r = state_apply(state->fd, &journal);
	if (r == 0)
		state->header = journal.header;
	return r;
}

/*
 * Mapped, not read: a lookup scans all places, and copying them would cost a crash more
 * than all other reads together. Changes are written with pwrite() and show here.
 */
static int map_places(struct state *state)
{
	void *map;

	if (state->place)
		return 0;
	map = mmap(NULL, PLACES_BYTES, PROT_READ, MAP_SHARED | MAP_POPULATE, state->fd,
		   PLACES_AT);
	if (map == MAP_FAILED)
		return -errno;
	state->place = map;
	return 0;
}

static int load_inflight(struct state *state)
{
	if (state->header.inflight_used == 0) {
		if (state->inflight_loaded)
			memset(state->inflight, 0, sizeof(state->inflight));
		state->inflight_loaded = false;
		return 0;
	}
	state->inflight_loaded = true;
	return state_read_at(state->fd, state->inflight, sizeof(state->inflight), INFLIGHT_AT);
}

static int load(struct state *state)
{
	struct stat st;
	int r;

	if (fstat(state->fd, &st) < 0)
		return -errno;
	if (st.st_size != STATE_BYTES)
		return foreign(state);
	r = recover(state);
	if (r == 0)
		r = map_places(state);
	return r == 0 ? load_inflight(state) : r;
}

int state_lock(struct state *state, int dir_fd, unsigned int wait_ms)
{
	int r;

	assert(!state->locked);
	state->dir_fd = dir_fd;
	r = open_and_lock(state, wait_ms);
	if (r != 0)
		return r;
	state->stalled = false;
	state->locked = true;
	r = load(state);
	if (r == 0)
		return 0;
	if (r == STATE_E_BAD && state_set_aside(state) < 0)
		r = -EIO;
	state_unlock(state);
	return r;
}

void state_unlock(struct state *state)
{
	if (!state->locked)
		return;
	(void)flock(state->fd, LOCK_UN);
	state->locked = false;
}

void state_init(struct state *state)
{
	state->dir_fd = state->fd = -1;
}

void state_done(struct state *state)
{
	state_unlock(state);
	close_file(state);
}

/* Its rebuild never came to an end, so it holds nothing that its sources do not. */
static bool is_unfinished(const struct state *state)
{
	struct state_header header;

	return state_read_at(state->fd, &header, sizeof(header), 0) == 0 &&
	       state_header_good(&header) && !header.complete;
}

/*
 * Renamed under its own lock: whoever waits for it finds that it has lost its name and
 * opens the new one, so a good file is never taken for the bad one. One that was being
 * rebuilt must not take the place of the one that it is rebuilt from.
 */
int state_set_aside(struct state *state)
{
	int r;

	assert(state->locked);
	if (is_unfinished(state))
		r = unlinkat(state->dir_fd, STATE_FILE, 0) < 0 ? -errno : 0;
	else
		r = dir_move_aside(state->dir_fd, STATE_FILE);
	state_done(state);
	return r;
}
