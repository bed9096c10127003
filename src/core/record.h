/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The record of one crash: what is stored beside the core, as JSON. The schema is in
 * corefold-formats(5). No environment, ever.
 *
 * Text in a record is valid, printable UTF-8: whoever fills it in escapes first.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/state.h"
#include "policy/capture.h"
#include "policy/name.h"

enum record_decision {
	RECORD_KEEP,
	RECORD_NOVEL,
	RECORD_FOLDED, /* weight of crashes of which none was kept */
};

/* Where the memory came from. */
enum record_source {
	RECORD_SOURCE_NONE,
	RECORD_SOURCE_MEM,
	RECORD_SOURCE_PIPE,
	RECORD_SOURCE_FILE,
};

/* Grows only when a key changes its meaning: what is of a higher one is left alone. */
#define RECORD_VERSION 1

/* Beyond these a number was not written by corefold: 2^53, what wait(2) can tell, the year 9999. */
#define RECORD_WEIGHT_MAX (1LL << 53)
#define RECORD_SIGNAL_MAX 127
#define RECORD_TIME_MAX_S 253402300799LL

struct record {
	char id[STATE_ID_SIZE];
	int64_t time_ns; /* wall clock of the crash */
	int64_t on_time_ns;
	int64_t pid; /* 0: not known */
	int64_t tid;
	uint32_t uid;
	uint32_t gid;
	char process[NAME_SIZE];
	int signal;
	int dumpable; /* %d; 0: not known */
	uint64_t rlimit_core;
	bool identity_verified;

	enum record_decision decision;
	const char *decision_reason; /* borrowed, static text */
	uint64_t weight;

	enum capture_kind capture;
	char capture_reason[96];
	enum record_source source;
	bool complete;
	int64_t held_ms; /* -1: nobody was held */
	int64_t total_ms;
	uint64_t core_bytes; /* decompressed */
	uint64_t stored_bytes; /* on disk */

	json_t *details; /* object: argv, executable, cgroup, threads, modules ...; owned, may be NULL */
};

#define RECORD_NULL { .held_ms = -1, .complete = false }

void record_done(struct record *record);

/* Sets a detail; takes the reference. A NULL value (no memory) is left out. */
void record_set(struct record *record, const char *key, json_t *value);

/* New reference, NULL when memory runs out. */
json_t *record_to_json(const struct record *record);

/*
 * Reads the typed fields; unknown words get the nearest truth. -EINVAL if it is no record,
 * is_later, or has a number that cannot be.
 */
int record_from_json(const json_t *json, struct record *ret_record);

/* Is it of a later corefold, whose keys may mean something else? */
bool record_is_later(const json_t *json);

/* Is it the record of this id, dated as it is? */
bool record_is_of(const json_t *json, const char *id);

const char *record_decision_name(enum record_decision decision);
const char *record_source_name(enum record_source source);
