/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How the throttle file is laid out; for the files of the state only. */

#include <stddef.h>
#include <sys/types.h>
#include <zlib.h>

#include "io/state.h"

#define STATE_MAGIC "corefold"
/*
 * Grows with every change of a structure below. A file of a lower version is set aside, and
 * its totals come back from counters and records, whose keys are only ever added to; one of
 * a higher version is left alone. Magic, version and byte order stay where they are.
 */
#define STATE_VERSION 5
/* A higher number than any that is near is damage. */
#define STATE_VERSION_MAX (STATE_VERSION + 16)
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

/* For each of a slot's hashes: folds ever, with a tag; see state_tally.c. Claims look the same. */
struct state_counters {
	uint64_t counter[STATE_HASHES];
};

struct state_shares {
	struct state_share {
		uint64_t signature; /* 0: not known */
		uint32_t taken; /* of the counter: carried off by kept crashes */
		uint32_t reserved;
	} share[STATE_HASHES];
};

/* Each part begins on a page of its own, so that parts are written back apart. */
#define PAGE 4096u
#define PAGES(bytes) (((bytes) + PAGE - 1) / PAGE * PAGE)
#define PLACES_AT PAGES(sizeof(struct state_header))
#define PLACES_BYTES PAGES(sizeof(struct state_place) * STATE_SLOTS)
#define INFLIGHT_AT (PLACES_AT + PLACES_BYTES)
#define JOURNAL_AT (INFLIGHT_AT + PAGES(sizeof(struct state_inflight) * STATE_INFLIGHT))
#define SLOTS_AT (JOURNAL_AT + PAGES(sizeof(struct journal)))
/* No slot lies across two pages: of a page a power cut leaves the old or the new one. */
#define SLOTS_PER_PAGE (PAGE / sizeof(struct state_slot))
#define SLOT_AT(index) \
	(SLOTS_AT + (index) / SLOTS_PER_PAGE * PAGE + (index) % SLOTS_PER_PAGE * sizeof(struct state_slot))
#define SLOTS_BYTES ((STATE_SLOTS + SLOTS_PER_PAGE - 1) / SLOTS_PER_PAGE * PAGE)
#define COUNTERS_AT (SLOTS_AT + SLOTS_BYTES)
#define SHARES_AT (COUNTERS_AT + PAGES(sizeof(struct state_counters) * STATE_SLOTS))
#define CLAIMS_AT (SHARES_AT + PAGES(sizeof(struct state_shares) * STATE_SLOTS))
#define STATE_BYTES (CLAIMS_AT + PAGES(sizeof(struct state_counters) * STATE_INFLIGHT))

/* Byte ranges past the end, locked to prove that an in-flight entry's handler lives. */
#define ALIVE_AT (1LL << 40)

#define CRC_OF(object) state_checksum(object, offsetof(__typeof__(*(object)), crc))

static inline uint32_t state_checksum(const void *bytes, size_t n)
{
	return (uint32_t)crc32(0, bytes, (uInt)n);
}

static inline off_t state_place_at(uint32_t index)
{
	return (off_t)(PLACES_AT + index * sizeof(struct state_place));
}

static inline off_t state_inflight_at(uint32_t index)
{
	return (off_t)(INFLIGHT_AT + index * sizeof(struct state_inflight));
}

static inline off_t state_slot_at(uint32_t index)
{
	return (off_t)SLOT_AT(index);
}

static inline off_t state_counters_at(uint32_t slot)
{
	return (off_t)(COUNTERS_AT + slot * sizeof(struct state_counters));
}

static inline off_t state_shares_at(uint32_t slot)
{
	return (off_t)(SHARES_AT + slot * sizeof(struct state_shares));
}

static inline off_t state_claims_at(uint32_t inflight)
{
	return (off_t)(CLAIMS_AT + inflight * sizeof(struct state_counters));
}

/* What a process is found by. */
uint64_t state_key(uint32_t uid, const char *process);

/* All n bytes or an error; STATE_E_BAD when the file ends before. */
int state_read_at(int fd, void *bytes, size_t n, off_t at);
int state_write_at(int fd, const void *bytes, size_t n, off_t at);

bool state_header_good(const struct state_header *header);
bool state_slot_good(const struct state_slot *slot);

/* Writes a change to where it belongs, the header last. */
int state_apply(int fd, const struct journal *journal);
