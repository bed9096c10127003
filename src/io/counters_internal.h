/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of the counters share. */

#include "io/counters.h"

/* Who is told of lines. */
struct counters_listener {
	counters_each *each;
	counters_bad *bad; /* or NULL */
	void *userdata;
};

/* Tells of each line. *ret_bytes: what the whole lines took. 0 or -errno. */
int counters_tell(int dir_fd, const struct counters_listener *listener, uint64_t *ret_bytes);
