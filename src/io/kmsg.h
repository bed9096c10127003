/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The kernel log, read for crashes that never reached a handler (see policy/kmsg.h).
 *
 * A reader of /dev/kmsg always starts at the oldest record, so each reading goes over the
 * whole buffer, without the state's lock; what was counted before is known by its sequence.
 */

#include "policy/kmsg.h"

struct kmsg {
	struct kmsg_sighting *sighting; /* owned */
	size_t sightings;
	uint64_t next_sequence; /* behind the newest record; 0: there was none */
};
#define KMSG_NULL { 0 }

/* While still root: without CAP_SYSLOG the log may be closed to us. -errno. */
int kmsg_open(int *ret_fd);

/*
 * Reads to the end without waiting. Any descriptor will do that gives one record a read.
 * Records that were overwritten meanwhile are lost: the count is a lower bound. -errno.
 */
int kmsg_read(int fd, struct kmsg *kmsg);
void kmsg_done(struct kmsg *kmsg);
