/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Crashes that never reached a handler, as the kernel log tells of them.
 *
 * The kernel starts no handler when core_pipe_limit is reached, when the victim's
 * RLIMIT_CORE is 1 and when the handler cannot be executed; then a line in its log is all
 * that remains (fs/coredump.c of 6.1 and of 6.18, which word it differently and rate-limit
 * it). What can be read there is a lower bound.
 *
 * The name in such a line is the victim's to choose. Two things keep it from faking lines:
 * /dev/kmsg escapes control characters, so a record is one line; and a name has no room
 * for what must stand around it (a comm is 15 bytes). Other programs' lines come with
 * another facility than the kernel's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One record of /dev/kmsg: "priority,sequence,microseconds,flags;text\n KEY=value\n". */
struct kmsg_record {
	uint64_t sequence;
	bool from_kernel;
	const char *text; /* borrowed, within the record */
	size_t text_bytes; /* without newline and the keys behind it */
};

/* -EINVAL if it is no such record. */
int kmsg_parse(const char *bytes, size_t n, struct kmsg_record *ret_record);

/* How many crashes without a handler this record tells of: 0 for most. */
uint64_t kmsg_crashes(const struct kmsg_record *record);

/* A record that told of some. */
struct kmsg_sighting {
	uint64_t sequence;
	uint64_t crashes;
};

/*
 * The crashes of sightings from `from_sequence` on: what lies before has been counted.
 * Sums saturate.
 */
uint64_t kmsg_count(const struct kmsg_sighting *sightings, size_t n, uint64_t from_sequence);
