/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The throttle file: what corefold remembers of every process, in a file of fixed size.
 *
 *   header    clock, hours, totals, the last id given
 *   places    which (uid, process) has which slot: scanned whole, so a lookup costs the
 *             same for one known process as for STATE_SLOTS
 *   inflight  keeps that have begun and not ended
 *   slots     one account each
 *   tally     which of its bugs a process's pending crashes were, as far as is known
 *   journal   the last change, whole
 *
 * A change is written to the journal first (with a checksum), then to its places, the
 * header last. Whoever takes the lock finishes a change that was cut off, so a SIGKILL at
 * any point leaves the state before or after it. The file belongs to one machine: native
 * byte order, checked.
 *
 * Everything here is called with the lock held, but for opening and locking.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/account.h"
#include "policy/clock.h"
#include "policy/hours.h"
#include "policy/name.h"
#include "policy/stops.h"

#define STATE_FILE "throttle"
#define STATE_TEMP_PREFIX ".throttle." /* a new one being made; litter if its maker was killed */
#define STATE_SLOTS 1024
#define STATE_INFLIGHT 256 /* as many as core_pipe_limit lets handlers run */
#define STATE_HASHES 32 /* cheap hashes of known crashes per process */
#define STATE_ID_SIZE 40
#define STATE_NO_SLOT UINT32_MAX /* an entry that stands for evicted processes */

enum {
	STATE_E_BUSY = 1, /* the lock was not to be had in time */
	STATE_E_BAD = 2, /* not a state file, or damaged */
	STATE_E_NONE = 3, /* no such process */
	STATE_E_FULL = 4, /* no free entry or place */
	STATE_E_NEWER = 5, /* of a later corefold: not ours to touch */
};

struct state_header {
	char magic[8];
	uint32_t version;
	uint32_t byte_order;
	uint64_t change; /* number of the last change */
	uint64_t sequence; /* last number given to an id */
	struct clock_state clock;
	struct hours hours;
	struct totals totals; /* over all processes ever, the evicted ones included */
	uint64_t events_bytes; /* consumed prefix of the events file ... */
	uint32_t events_crc; /* ... known by its checksum */
	uint32_t inflight_used;
	uint8_t kmsg_boot_id[CLOCK_BOOT_ID_BYTES]; /* kernel log read so far: boot and record */
	uint64_t kmsg_sequence;
	uint64_t places_sum; /* checksums of all places, folded into one by exclusive or */
	uint64_t machine; /* names this state in its counters; 0: not yet chosen */
	struct stops stops;
	uint8_t checked_boot_id[CLOCK_BOOT_ID_BYTES]; /* boot in which all of it was looked through */
	int64_t tick_ns; /* on-time of the last tick; 0: none yet */
	int64_t fold_log_second; /* on-time second of the last line that told of a fold ... */
	uint64_t fold_log_lines; /* ... how many there were in it ... */
	uint64_t folds_not_told; /* ... and folds since that got none */
	uint64_t reserved[6];
	uint32_t complete; /* bool: what counters and records tell has been put back */
	uint32_t crc; /* of all before it */
};

struct state_place {
	uint64_t hash;
	int64_t last_ns; /* on-time of the last crash */
	uint32_t uid;
	uint32_t used; /* bool */
	uint32_t busy; /* bool: has weight in flight */
	uint32_t crc;
};

struct state_slot {
	uint32_t uid;
	uint32_t hash_next;
	char process[NAME_SIZE];
	int64_t first_ns; /* on-time */
	int64_t last_ns;
	int64_t last_wall_ns;
	struct account account;
	uint64_t hash[STATE_HASHES]; /* cheap hashes of crashes seen, 0 empty */
	int64_t probe_second; /* on-time second of the last probe for novelty ... */
	uint64_t probes; /* ... and how many there were in it */
	uint32_t padding;
	uint32_t crc;
};

struct state_inflight {
	char id[STATE_ID_SIZE]; /* "": free */
	uint64_t weight;
	int64_t since_ns; /* on-time */
	uint32_t slot;
	uint32_t orphan; /* bool: came through the events file, no lock proves its handler alive */
	uint32_t hash_learned; /* bool: its process's slot knows the cheap hash of this crash */
	uint32_t claimed; /* bool: it has claims of the tally, see state_tally_claim() */
	uint32_t reserved;
	uint32_t crc; /* set when written */
};

struct state {
	int dir_fd; /* borrowed */
	int fd;
	bool locked;
	uint32_t older_version; /* of the file that was set aside, if that is why; else 0 */
	bool stalled; /* a change sits in the journal and could not be written home */
	bool mine[STATE_INFLIGHT]; /* entries that this object took */
	bool inflight_loaded;
	const struct state_place *place; /* STATE_SLOTS of them: the file's own, mapped */
	struct state_header header;
	struct state_inflight inflight[STATE_INFLIGHT];
};

/* Large: allocate it zeroed, then state_init(). */
void state_init(struct state *state);

/*
 * Takes the lock, waiting at most wait_ms, and loads header, places and in-flight entries;
 * the file is made if it is missing. STATE_E_BUSY, STATE_E_NEWER, -errno, or STATE_E_BAD: the
 * file was no good and has been set aside as throttle.bad; the next call makes a new one.
 */
int state_lock(struct state *state, int dir_fd, unsigned int wait_ms);
void state_unlock(struct state *state);

/* Unlocks and closes; in-flight entries we hold count as abandoned from now on. */
void state_done(struct state *state);

/*
 * With the lock held: damage was found, set the file aside. The lock is gone afterwards.
 * One that was never complete goes, and what was set aside before stays.
 */
int state_set_aside(struct state *state);

/* What is still good of the file that was set aside last. */
struct state_salvage {
	struct state_header header;
	struct state_slot *slot; /* owned; each good in itself */
	size_t slots;
};

/* Finds nothing (slots 0) where there is no such file or its header is not good. -ENOMEM. */
int state_salvage(int dir_fd, struct state_salvage *ret_salvage);
void state_salvage_done(struct state_salvage *salvage);

/*
 * A look at what every crash relies on, cheap enough for every crash: the places are those
 * that were written, and so are the entries in flight.
 */
bool state_intact(const struct state *state);

/* Checks every slot and place, and the totals against them. STATE_E_BAD if anything is wrong. */
int state_verify(struct state *state);

int state_read_slot(struct state *state, uint32_t index, struct state_slot *ret_slot);
/* The next slot in use from *index on, which is where it is then. STATE_E_NONE: no more. */
int state_next_slot(struct state *state, uint32_t *index, struct state_slot *ret_slot);

/* STATE_E_NONE if the process is not known. */
int state_find(struct state *state, uint32_t uid, const char *process,
	       uint32_t *ret_index, struct state_slot *ret_slot);

/*
 * Finds the process or gives it a place, another one's if need be. Nothing is written, and
 * nobody evicted, before state_write() for that slot. STATE_E_FULL when every place is busy.
 */
int state_claim(struct state *state, uint32_t uid, const char *process,
		uint32_t *ret_index, struct state_slot *ret_slot);

/*
 * Writes one change: the header, and the slot and in-flight entry named (slot NULL,
 * inflight_index STATE_INFLIGHT: none). All or nothing after SIGKILL; sync makes it durable.
 * The totals follow what the slot held before; a slot that was another process's leaves
 * its counts in the totals and its pending weight as evicted.
 */
int state_write(struct state *state, uint32_t index, const struct state_slot *slot,
		uint32_t inflight_index, bool sync);

/* A free in-flight entry, its lock taken as proof that we live. STATE_E_FULL if none. */
int state_inflight_take(struct state *state, uint32_t *ret_index);

/* Is the process that made this entry still alive? Our own entries are. */
bool state_inflight_alive(struct state *state, uint32_t index);

/* Lets go of the proof that we live. */
void state_inflight_release(struct state *state, uint32_t index);

/* ---- which bugs the pending crashes were: hints, see state_tally.c ---- */

/* So many of the crashes that a kept one stands for had this cheap hash. */
struct state_claim {
	uint64_t hash;
	uint64_t signature; /* of crashes with that hash; 0: not known ... */
	bool mixed; /* ... because they are of several */
	uint64_t count;
};

/* Without the lock: a crash was folded whose hash stands at `place` of the slot's. */
void state_tally_fold(struct state *state, uint32_t slot, uint32_t place, uint32_t uid,
		      const char *process, uint64_t hash);

/* The rest is called with the lock held. The slot has this hash at `place`; signature 0: as before. */
void state_tally_learn(struct state *state, uint32_t slot, uint32_t place,
		       const struct state_slot *of, uint64_t signature);

/* As state_tally_fold(). */
void state_tally_add(struct state *state, uint32_t slot, uint32_t place);

/*
 * The pending crashes, `most` of them, go with an in-flight entry: what is known of them.
 * Returns how many claims there are; the rest of `most` is not known. The entry is to be
 * written afterwards.
 */
size_t state_tally_claim(struct state *state, uint32_t slot, const struct state_slot *of,
			 uint32_t inflight, uint64_t most,
			 struct state_claim ret_claims[static STATE_HASHES]);

/* They are pending again. The entry is to be written afterwards. */
void state_tally_give_back(struct state *state, uint32_t slot, uint32_t inflight);
