/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The state directory as one object: throttle file, events, counters and records, held
 * together by the ledger
 *
 *     crashes = kept weight + pending + in flight + evicted
 *
 * Taking the lock brings everything up to date first: a change that was cut off is
 * finished, a damaged throttle file is set aside and rebuilt, events that found the lock
 * taken are merged, and what dead handlers had in flight is kept if their record exists
 * and pending again if not. Under the lock nothing slow happens.
 */

#include <stdbool.h>
#include <stdint.h>

#include "io/config.h"
#include "io/state.h"
#include "policy/clock.h"
#include "policy/throttle.h"

#define LEDGER_WAIT_MS 2000
/* The next who waits for a lock that somebody has given up on. */
#define LEDGER_WAIT_AGAIN_MS 250
/* A keep whose handler cannot prove that it lives is given up after this long. */
#define LEDGER_ORPHAN_NS (900LL * 1000000000)

/* Unwinding costs: a process gets so many tries a second to show something new. */
#define LEDGER_PROBES_PER_SECOND 4

/* Folds that get a line in the log of their own, over all processes; the next tells of the rest. */
#define LEDGER_FOLD_LINES_PER_SECOND 10

/* Stands for evicted processes in the record that carries their weight. */
#define LEDGER_EVICTED "(evicted)"

/*
 * What doctor crashes as, to see that crashes arrive. Counted, but not throttled, and no
 * crash as far as the hours are concerned. Only the state's owner can crash so, who could
 * write any count.
 */
#define LEDGER_DRILL "corefold-doctor"
bool ledger_is_drill(uint32_t uid, const char *process);

enum {
	LEDGER_E_BUSY = STATE_E_BUSY,
	LEDGER_E_NEWER = STATE_E_NEWER,
	LEDGER_E_FOLD = 16,
};

struct ledger {
	const struct config *config; /* borrowed */
	int dir_fd; /* owned */
	int store_fd; /* owned */
	struct state *state; /* owned */
	struct clock_reading now;
	int64_t on_time_ns;
	bool covered; /* crashes come to us */
	bool imports_anchored; /* the first import has fixed the next for all of them */
	int64_t import_offset_ns; /* from wall time to on-time */
	bool rebuilt; /* the throttle file was bad and is new: who tells it clears this */
	char rebuilt_said[96]; /* then: what became of the windows, and lines left out */
	uint64_t events_left_out; /* lines of the events file that were none: likewise */
	const char *counters_failed; /* why the last line could not be appended, or NULL */
};

#define LEDGER_NULL { .dir_fd = -1, .store_fd = -1, .covered = true }

struct ledger_ticket;

/* A crash to be decided. */
struct ledger_crash {
	uint32_t uid;
	const char *process; /* cleaned */
	int64_t wall_ns; /* when it happened; 0: now, unless it is imported */
	bool imported; /* happened at wall_ns, maybe long ago: the hours are not marked */
	uint64_t signature; /* 0: unknown */
	/* Called when the decision stands, before its line in the counters; or NULL. */
	void (*decided)(void *userdata, const struct ledger_ticket *ticket);
	void *userdata;
};

/* What was decided, and the claim to settle it later. */
struct ledger_ticket {
	char id[STATE_ID_SIZE]; /* "" when folded */
	enum throttle_decision decision;
	char reason[80];
	bool loop_started;
	bool slow; /* in a loop by the slow window only */
	bool told; /* a fold: it gets a line in the log */
	uint64_t not_told; /* folds before it that got none */
	uint64_t pending; /* of the process, with this crash ... */
	uint64_t crashes; /* ... and all its crashes */
	bool without_lock; /* went to the events file */
	uint64_t weight;
	int64_t wall_ns; /* when it happened */
	int64_t on_time_ns;
	uint32_t uid;
	char process[NAME_SIZE];
	uint32_t slot;
	uint32_t inflight;
	bool may_be_novel; /* folded, but a new signature could still be kept: see ledger_probe() */
	struct state_claim claim[STATE_HASHES]; /* what is known of the crashes it stands for ... */
	uint32_t claims; /* ... besides this one */
	uint64_t known[STATE_HASHES]; /* cheap hashes the process has shown, if may_be_novel */
	uint64_t signature; /* set by the caller before settling: learned with it; 0 unknown.
			     * The key `exact` as a number. */
	uint64_t hash; /* likewise, the cheap hash */
	uint32_t captures_running; /* by other handlers: see capture_running() */
	uint32_t captures_of_uid; /* all of this user's besides this one */
};

/* Takes over dir_fd. Opens the store below it. -errno, DIR_E_*. */
int ledger_open(struct ledger *ledger, const struct config *config, int dir_fd);
void ledger_done(struct ledger *ledger);

/* Lock and bring up to date, to `now`. LEDGER_E_BUSY when the lock is not to be had, LEDGER_E_NEWER, -errno. */
int ledger_lock(struct ledger *ledger, const struct clock_reading *now);
void ledger_unlock(struct ledger *ledger);

/*
 * Makes durable what was changed up to now. Without the lock: a disk takes its time, and in
 * a storm every other crash would wait for it. A power cut before it finds a record whose
 * end is not counted yet, which the next boot does.
 */
int ledger_sync(struct ledger *ledger);

/* After a rebuild, for the log: what became of the throttle's windows, and lines left out. */
const char *ledger_windows_said(const struct ledger *ledger);

/*
 * Counts the crash and decides. Locks by itself. When the state cannot be used (locked for
 * too long, of a later corefold) the crash goes to the events file (without_lock). The first
 * ones of a process are kept with weight 1, small; what would be beyond the crash loop limit
 * is folded, and pending as soon as the state can be used.
 */
int ledger_crash(struct ledger *ledger, const struct ledger_crash *crash,
		 const struct clock_reading *now, struct ledger_ticket *ret_ticket);

/* Has the process shown this cheap hash before (as of the decision)? It is noted then. */
bool ledger_knows_hash(struct ledger_ticket *ticket, uint64_t hash);

/*
 * A fold with a known hash is remembered as one of that kind, for the record that will
 * carry it. Takes no lock; the victim need not wait for it.
 */
void ledger_note_fold(struct ledger *ledger, const struct ledger_ticket *ticket);

/*
 * A crash that is kept tells its cheap hash (0: there is none) as soon as it is known, so
 * that the next crash of the same bug does not look new while this one is being kept.
 */
int ledger_learn_hash(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t hash,
		      const struct clock_reading *now);

/*
 * A folded crash with a cheap hash that is not known: takes it in flight with weight 1 and
 * an id while its signature is found out. LEDGER_E_FOLD: it stays folded (budget spent,
 * too many probes this second, carried off by another keep). Locks by itself.
 *
 * Then ledger_admit() with the signature, or ledger_unprobe().
 */
int ledger_probe(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t hash,
		 const struct clock_reading *now);

/*
 * The signature is known now: is it new? 0: the ticket says novel and is to be kept.
 * LEDGER_E_FOLD: nothing new, the crash is folded again and its hash learned.
 */
int ledger_admit(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t signature,
		 const struct clock_reading *now);

/* No signature could be had: folded again. */
int ledger_unprobe(struct ledger *ledger, struct ledger_ticket *ticket,
		   const struct clock_reading *now);

/* No crash: that process has shown this signature, if the process is known at all. */
int ledger_teach(struct ledger *ledger, const struct ledger_crash *crash,
		 const struct clock_reading *now);

/* The record is durable: its weight is kept. Locks by itself. */
int ledger_commit(struct ledger *ledger, const struct ledger_ticket *ticket,
		  const struct clock_reading *now);

/* Nothing durable came of it: its weight is pending again. Locks by itself. */
int ledger_give_back(struct ledger *ledger, const struct ledger_ticket *ticket,
		     const struct clock_reading *now);

/*
 * With the lock held: takes the pending weight of the slot (STATE_NO_SLOT: the evicted
 * weight) in flight, for a folded record. Weight 0: there was none.
 */
int ledger_take_pending(struct ledger *ledger, uint32_t slot, struct ledger_ticket *ret_ticket);

/* With the lock held: appends a snapshot of the totals to the counters. */
int ledger_snapshot(struct ledger *ledger, bool sync);
