/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which full captures of a kind of crash are in the store, for FullPerSignature: a table of
 * fixed size, so that the question costs two reads while a victim is held, and not one of
 * every record. It is a memory aid and nothing depends on it: lost, damaged or locked, the
 * answer is that there are none, and one more crash is captured in full.
 *
 * An entry counts as long as its core is in the store, or its capture may be under way.
 */

#include <stdint.h>

#define FULLS_FILE "fulls"
/* Remembered for each kind, and so the largest limit. */
#define FULLS_IDS 16u

/*
 * Enters the capture `id` for `key` (not 0) unless there are `limit` others already.
 * Returns how many there were.
 */
uint32_t fulls_claim(int dir_fd, int store_fd, uint64_t key, const char *id, uint32_t limit,
		     int64_t wall_seconds);

/* The capture became less than full. */
void fulls_forget(int dir_fd, uint64_t key, const char *id);
