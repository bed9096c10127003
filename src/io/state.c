/* SPDX-License-Identifier: GPL-2.0-or-later */

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
#include <zlib.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "policy/account.h"
#include "policy/evict.h"

#define STATE_MAGIC "corefold"
/* Grows with every change of a structure below: another build's file is set aside. */
#define STATE_VERSION 3
#define STATE_BYTE_ORDER 0x01020304u

/* A change as the journal holds it. */
struct journal {
	uint64_t change;
	uint32_t has_slot;
	uint32_t slot_index;
	uint32_t has_inflight;
	uint32_t inflight_index;
	struct state_header header;
	struct state_place place;
	struct state_slot slot;
	struct state_inflight inflight;
	uint32_t padding;
	uint32_t crc;
};

/* Each part begins on a page of its own, so that parts are written back apart. */
#define PAGE 4096u
#define PAGES(bytes) (((bytes) + PAGE - 1) / PAGE * PAGE)
#define PLACES_AT PAGES(sizeof(struct state_header))
#define PLACES_BYTES PAGES(sizeof(struct state_place) * STATE_SLOTS)
#define INFLIGHT_AT (PLACES_AT + PLACES_BYTES)
#define JOURNAL_AT (INFLIGHT_AT + PAGES(sizeof(struct state_inflight) * STATE_INFLIGHT))
#define SLOTS_AT (JOURNAL_AT + PAGES(sizeof(struct journal)))
#define STATE_BYTES (SLOTS_AT + PAGES(sizeof(struct state_slot) * STATE_SLOTS))

/* Byte ranges past the end, locked to prove that an in-flight entry's handler lives. */
#define ALIVE_AT (1LL << 40)

#define CRC_OF(object) checksum(object, offsetof(__typeof__(*(object)), crc))

static uint32_t checksum(const void *bytes, size_t n)
{
	return (uint32_t)crc32(0, bytes, (uInt)n);
}

static off_t place_at(uint32_t index)
{
	return (off_t)(PLACES_AT + index * sizeof(struct state_place));
}

static off_t inflight_at(uint32_t index)
{
	return (off_t)(INFLIGHT_AT + index * sizeof(struct state_inflight));
}

static off_t slot_at(uint32_t index)
{
	return (off_t)(SLOTS_AT + index * sizeof(struct state_slot));
}

static int read_at(int fd, void *bytes, size_t n, off_t at)
{
	ssize_t got;

	do {
		got = pread(fd, bytes, n, at);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : STATE_E_BAD;
}

static int write_at(int fd, const void *bytes, size_t n, off_t at)
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

static bool header_good(const struct state_header *header)
{
	return memcmp(header->magic, STATE_MAGIC, sizeof(header->magic)) == 0 &&
	       header->version == STATE_VERSION &&
	       header->byte_order == STATE_BYTE_ORDER && header->crc == CRC_OF(header);
}

static bool slot_good(const struct state_slot *slot)
{
	return slot->crc == CRC_OF(slot) && account_balanced(&slot->account) &&
	       memchr(slot->process, '\0', sizeof(slot->process));
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
	return write_at(fd, &header, sizeof(header), 0);
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
	if (r != DIR_E_UNSAFE && r != -EACCES && r != -EPERM)
		return r;
	/* A link, a pipe, somebody else's file: it cannot be locked, so it is just moved. */
	r = dir_move_aside(state->dir_fd, STATE_FILE);
	return r < 0 ? r : STATE_E_BAD;
}

/*
 * Was the file renamed or replaced between our open and our lock? 1: no, 0: yes. Not to know
 * is an error: closing a file that is still the state would end the proof that we live.
 */
static int still_named(const struct state *state)
{
	struct stat ours, named;

	if (fstat(state->fd, &ours) < 0)
		return -errno;
	if (fstatat(state->dir_fd, STATE_FILE, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
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
		r = still_named(state);
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
static int apply(int fd, const struct journal *journal)
{
	int r = 0;

	if (journal->has_slot) {
		r = write_at(fd, &journal->slot, sizeof(journal->slot),
			     slot_at(journal->slot_index));
		if (r == 0)
			r = write_at(fd, &journal->place, sizeof(journal->place),
				     place_at(journal->slot_index));
	}
	if (r == 0 && journal->has_inflight)
		r = write_at(fd, &journal->inflight, sizeof(journal->inflight),
			     inflight_at(journal->inflight_index));
	if (r == 0)
		r = write_at(fd, &journal->header, sizeof(journal->header), 0);
	return r;
}

static bool journal_good(const struct journal *journal)
{
	return journal->crc == CRC_OF(journal) && header_good(&journal->header) &&
	       (!journal->has_slot || journal->slot_index < STATE_SLOTS) &&
	       (!journal->has_inflight || journal->inflight_index < STATE_INFLIGHT);
}

/* Finishes the change that the last holder of the lock may have left half done. */
static int recover(struct state *state)
{
	struct journal journal;
	int r;

	r = read_at(state->fd, &state->header, sizeof(state->header), 0);
	if (r != 0)
		return r;
	r = read_at(state->fd, &journal, sizeof(journal), JOURNAL_AT);
	if (r != 0)
		return r;
	if (!journal_good(&journal))
		return header_good(&state->header) ? 0 : STATE_E_BAD;
	if (header_good(&state->header) && state->header.change >= journal.change)
		return 0;
	r = apply(state->fd, &journal);
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
	return read_at(state->fd, state->inflight, sizeof(state->inflight), INFLIGHT_AT);
}

static int load(struct state *state)
{
	struct stat st;
	int r;

	if (fstat(state->fd, &st) < 0)
		return -errno;
	if (st.st_size != STATE_BYTES)
		return STATE_E_BAD;
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

/*
 * Renamed under its own lock: whoever waits for it finds that it has lost its name and
 * opens the new one, so a good file is never taken for the bad one.
 */
int state_set_aside(struct state *state)
{
	int r;

	assert(state->locked);
	r = dir_move_aside(state->dir_fd, STATE_FILE);
	state_done(state);
	return r;
}

/* ---- slots ---- */

int state_read_slot(struct state *state, uint32_t index, struct state_slot *ret_slot)
{
	struct state_slot slot;
	int r;

	assert(state->locked && index < STATE_SLOTS);
	r = read_at(state->fd, &slot, sizeof(slot), slot_at(index));
	if (r != 0)
		return r;
	if (!slot_good(&slot))
		return STATE_E_BAD;
	*ret_slot = slot;
	return 0;
}

static uint64_t key_hash(uint32_t uid, const char *process)
{
	return name_hash(process, strlen(process)) ^ (uid * 0x9e3779b97f4a7c15u);
}

int state_find(struct state *state, uint32_t uid, const char *process,
	       uint32_t *ret_index, struct state_slot *ret_slot)
{
	uint64_t hash = key_hash(uid, process);

	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		struct state_slot slot;
		int r;

		if (state->place[i].hash != hash || !state->place[i].used)
			continue;
		r = state_read_slot(state, i, &slot);
		if (r != 0)
			return r;
		if (slot.uid != uid || strcmp(slot.process, process) != 0)
			continue;
		*ret_index = i;
		*ret_slot = slot;
		return 0;
	}
	return STATE_E_NONE;
}

static int evict(struct state *state, uint32_t *ret_index)
{
	struct evict_candidate candidates[STATE_SLOTS];
	size_t chosen;

	for (uint32_t i = 0; i < STATE_SLOTS; i++)
		candidates[i] = (struct evict_candidate){ .last_ns = state->place[i].last_ns,
							  .uid = state->place[i].uid,
							  .busy = state->place[i].busy };
	chosen = evict_choose(candidates, STATE_SLOTS);
	if (chosen == STATE_SLOTS)
		return STATE_E_FULL;
	*ret_index = (uint32_t)chosen;
	return 0;
}

int state_claim(struct state *state, uint32_t uid, const char *process,
		uint32_t *ret_index, struct state_slot *ret_slot)
{
	uint32_t index = 0;
	int r;

	r = state_find(state, uid, process, ret_index, ret_slot);
	if (r != STATE_E_NONE)
		return r;
	while (index < STATE_SLOTS && state->place[index].used)
		index++;
	if (index == STATE_SLOTS) {
		r = evict(state, &index);
		if (r != 0)
			return r;
	}
	*ret_slot = (struct state_slot){ .uid = uid };
	(void)snprintf(ret_slot->process, sizeof(ret_slot->process), "%s", process);
	*ret_index = index;
	return 0;
}

static struct state_place place_of(const struct state_slot *slot)
{
	struct state_place place = {
		.hash = key_hash(slot->uid, slot->process),
		.last_ns = slot->last_ns,
		.uid = slot->uid,
		.used = true,
		.busy = slot->account.in_flight > 0,
	};

	place.crc = CRC_OF(&place);
	return place;
}

static void totals_subtract(struct totals *totals, const struct account *account)
{
	totals->crashes -= account->crashes;
	totals->folded -= account->folded;
	totals->kept -= account->kept;
	totals->kept_weight -= account->kept_weight;
	totals->pending -= account->throttle.pending;
	totals->in_flight -= account->in_flight;
}

/* What this slot adds to the totals is replaced; a process that leaves stays counted. */
static int update_totals(struct state *state, uint32_t index, const struct state_slot *slot)
{
	struct totals *totals = &state->header.totals;
	struct state_slot old;
	int r;

	if (state->place[index].used) {
		r = state_read_slot(state, index, &old);
		if (r != 0)
			return r;
		if (old.uid == slot->uid && strcmp(old.process, slot->process) == 0) {
			totals_subtract(totals, &old.account);
		} else {
			totals->pending -= old.account.throttle.pending;
			totals->evicted += old.account.throttle.pending;
		}
	}
	totals_add(totals, &slot->account);
	return 0;
}

int state_write(struct state *state, uint32_t index, const struct state_slot *slot,
		uint32_t inflight_index, bool sync)
{
	struct journal journal = { 0 };
	int r;

	assert(state->locked);
	if (state->stalled)
		return -EIO; /* the journal must survive until it has been applied */
	if (slot) {
		r = update_totals(state, index, slot);
		if (r != 0)
			return r;
	}
	journal.change = ++state->header.change;
	if (slot) {
		struct state_place place = place_of(slot);

		state->header.places_sum ^= state->place[index].crc ^ place.crc;
		journal.has_slot = true;
		journal.slot_index = index;
		journal.slot = *slot;
		journal.slot.crc = CRC_OF(&journal.slot);
		journal.place = place;
	}
	if (inflight_index < STATE_INFLIGHT) {
		state->inflight_loaded = true;
		journal.has_inflight = true;
		journal.inflight_index = inflight_index;
		journal.inflight = state->inflight[inflight_index];
		journal.inflight.crc = CRC_OF(&journal.inflight);
	}
	state->header.crc = CRC_OF(&state->header);
	journal.header = state->header;
	journal.crc = CRC_OF(&journal);
	r = write_at(state->fd, &journal, sizeof(journal), JOURNAL_AT);
	if (r < 0)
		return r;
	/* From here on the change is made: what cannot be written home now, the next holder writes. */
	state->stalled = apply(state->fd, &journal) != 0;
	return sync && fdatasync(state->fd) < 0 ? -errno : 0;
}

static bool inflight_intact(const struct state *state)
{
	uint32_t used = 0;

	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++) {
		const struct state_inflight *entry = &state->inflight[i];

		if (!entry->id[0])
			continue;
		if (entry->crc != CRC_OF(entry))
			return false;
		used++;
	}
	return used == state->header.inflight_used;
}

bool state_intact(const struct state *state)
{
	uint64_t sum = 0;

	assert(state->locked);
	for (uint32_t i = 0; i < STATE_SLOTS; i++)
		sum ^= state->place[i].crc;
	return sum == state->header.places_sum && totals_balanced(&state->header.totals) &&
	       clock_possible(&state->header.clock) && inflight_intact(state);
}

static int verify_slot(struct state *state, uint32_t index, struct totals *totals)
{
	const struct state_place *place = &state->place[index];
	struct state_slot slot;
	int r;

	if (!place->used && place->crc == 0)
		return 0;
	if (place->crc != CRC_OF(place))
		return STATE_E_BAD;
	r = state_read_slot(state, index, &slot);
	if (r != 0)
		return r;
	if (place->hash != key_hash(slot.uid, slot.process))
		return STATE_E_BAD;
	totals_add(totals, &slot.account);
	return 0;
}

/* What is in flight has an entry each, or it would never land. */
static int verify_inflight(const struct state *state, const struct totals *sum)
{
	uint64_t of_slots = 0, of_evicted = 0;

	for (uint32_t i = 0; state->header.inflight_used > 0 && i < STATE_INFLIGHT; i++) {
		const struct state_inflight *entry = &state->inflight[i];

		if (!entry->id[0])
			continue;
		if (entry->slot != STATE_NO_SLOT && entry->slot >= STATE_SLOTS)
			return STATE_E_BAD;
		*(entry->slot == STATE_NO_SLOT ? &of_evicted : &of_slots) += entry->weight;
	}
	if (of_slots != sum->in_flight ||
	    of_slots + of_evicted != state->header.totals.in_flight)
		return STATE_E_BAD;
	return 0;
}

int state_verify(struct state *state)
{
	const struct totals *totals = &state->header.totals;
	struct totals sum = { 0 };

	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		int r = verify_slot(state, i, &sum);

		if (r != 0)
			return r;
	}
	if (!totals_balanced(totals) || sum.pending != totals->pending ||
	    sum.crashes > totals->crashes || sum.kept_weight > totals->kept_weight)
		return STATE_E_BAD;
	return verify_inflight(state, &sum);
}

/* ---- in flight ---- */

/*
 * Locks of an open file description (not of a process) stay while any descriptor of it is
 * open and vanish with a SIGKILL, which is just the proof that is wanted.
 */
static struct flock alive_range(short type, uint32_t index)
{
	return (struct flock){ .l_type = type,
			       .l_whence = SEEK_SET,
			       .l_start = ALIVE_AT + index,
			       .l_len = 1 };
}

int state_inflight_take(struct state *state, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < STATE_INFLIGHT; i++) {
		struct flock range = alive_range(F_WRLCK, i);

		if (state->inflight[i].id[0])
			continue;
		if (fcntl(state->fd, F_OFD_SETLK, &range) < 0)
			continue; /* its last holder is not quite gone */
		state->mine[i] = true;
		*ret_index = i;
		return 0;
	}
	return STATE_E_FULL;
}

bool state_inflight_alive(struct state *state, uint32_t index)
{
	struct flock range = alive_range(F_WRLCK, index);

	if (state->mine[index])
		return true; /* asking tells of others only */
	if (fcntl(state->fd, F_OFD_GETLK, &range) < 0)
		return true; /* cannot tell: leave it alone */
	return range.l_type != F_UNLCK;
}

void state_inflight_release(struct state *state, uint32_t index)
{
	struct flock range = alive_range(F_UNLCK, index);

	state->mine[index] = false;
	(void)fcntl(state->fd, F_OFD_SETLK, &range); /* closing would do as well */
}
