/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Signatures that were seen, in the file `signatures`: what makes a signature new outlives
 * the records, which are removed after days. Ticks keep it up to date; merging a record
 * twice changes nothing.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/record.h"

#define KNOWN_FILE "signatures"
#define KNOWN_SIGNATURE_SIZE 128
#define KNOWN_BUILD_SIZE 48
#define KNOWN_BUILDS 8
#define KNOWN_MAX 4096 /* signatures; beyond, the one not seen for longest is forgotten */
/* Seen again after that long, a signature has come back. */
#define KNOWN_ABSENT_S (7 * 86400)

enum known_news {
	KNOWN_OLD,
	KNOWN_NEW, /* first seen in the window */
	KNOWN_BACK, /* seen in it after a long absence */
	KNOWN_BUILD, /* known, and in it first seen with this build */
};

struct known_build {
	char build_id[KNOWN_BUILD_SIZE];
	int64_t first_s;
};

struct known_signature {
	uint32_t uid;
	char process[NAME_SIZE];
	char signature[KNOWN_SIGNATURE_SIZE]; /* or "signal 11" where there is none */
	char loose[KNOWN_SIGNATURE_SIZE]; /* the same over rebuilds; "" unknown */
	char first_id[STATE_ID_SIZE]; /* the record that was first */
	int64_t first_s;
	int64_t last_s;
	int64_t back_s; /* when it came back last, 0: never */
	int64_t absent_s; /* after that long */
	struct known_build build[KNOWN_BUILDS]; /* of the executable */
	size_t builds;
};

struct known {
	struct known_signature *entry; /* owned */
	size_t entries;
	bool changed;
};
#define KNOWN_NULL { 0 }

/* A missing file is empty; lines that are no good are left out. -errno. */
int known_read(struct known *known, int dir_fd);
/* Whole or not at all. -errno. */
int known_write(struct known *known, int dir_fd);
void known_done(struct known *known);

/* Records of one signature in the order of their time, please. -ENOMEM. */
int known_merge(struct known *known, const json_t *json, const struct record *record);

/*
 * What is new about the record's signature since that time. ret_absent_s: see KNOWN_BACK.
 * ret_first_ns: when it was first seen, if it was merged.
 */
enum known_news known_news(const struct known *known, const json_t *json,
			   const struct record *record, int64_t since_s,
			   int64_t *ret_absent_s, int64_t *ret_first_ns);

/* Is this record, merged, the first that showed its signature? */
bool known_is_first(const struct known *known, const json_t *json,
		    const struct record *record);

/* Merges the records stored since the last time, and writes the file if it changed. */
int known_update(int dir_fd, int store_fd);

/* What a record says of itself; "" if nothing. Borrowed from the JSON. */
const char *known_signature_of(const json_t *json);
const char *known_loose_of(const json_t *json);
const char *known_build_of(const json_t *json);
