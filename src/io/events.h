/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Crashes that could not be counted because the lock was not to be had. Each is one line
 * in the events file, appended without any lock; the next holder of the state merges them.
 *
 * The consumed part of the file is known by length and checksum in the state header, which
 * change together with the counts: a merger killed at any point merges nothing twice.
 */

#include <stdbool.h>
#include <stdint.h>

#include "io/state.h"

#define EVENTS_FILE "events"
#define EVENTS_MAX_BYTES (1 << 20) /* read at a time; the rest waits for the next holder */

#define EVENTS_FILE_MAX (8 << 20) /* not appended to beyond: -EFBIG */

struct event {
	int64_t monotonic_ns;
	int64_t wall_ns;
	uint32_t uid;
	uint32_t kept; /* bool: its handler went on to store a record under `id` */
	char id[STATE_ID_SIZE];
	char process[NAME_SIZE];
	uint64_t end_bytes; /* when read: the consumed prefix once this event is counted ... */
	uint32_t end_crc; /* ... and its checksum */
};

struct events_batch {
	struct event *event; /* freed by the caller */
	size_t n;
	size_t left_out; /* lines that are no events */
	uint64_t end_bytes; /* the consumed prefix once all of it is dealt with ... */
	uint32_t end_crc; /* ... and its checksum */
};

int events_append(int dir_fd, const struct event *event);

/*
 * How many crashes of a process have been kept since then (CLOCK_MONOTONIC), for whoever
 * cannot get the lock; events that are merged already may be among them. No file, or one
 * that cannot be read: none.
 */
uint64_t events_kept(int dir_fd, uint32_t uid, const char *process, int64_t since_ns);

/* Did somebody fail to get the lock, and nobody get it since? Costs one system call. */
bool events_waiting(int dir_fd);

/* Reads what has not been consumed, at most EVENTS_MAX_BYTES of it. */
int events_read(int dir_fd, uint64_t consumed_bytes, uint32_t consumed_crc,
		struct events_batch *ret_batch);

/* It is no file of ours, or cannot be read: out of the way as events.bad. */
int events_set_aside(int dir_fd);

/* Empties the file if all of it is consumed. Best effort. */
void events_trim(int dir_fd, uint64_t consumed_bytes);
