/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Writes the plain core, decompressed by as many threads as there are processors. */

#include <stdbool.h>
#include <stdint.h>

struct corefile;

struct export_result {
	uint64_t bytes; /* written, holes included */
	bool damaged; /* the stored core could not be read at `bytes` */
};

/*
 * `sparse`: fd is an empty regular file; zeros become holes. Otherwise the bytes go out in
 * order. 0, also for a damaged core of which what could be read was written; -errno when
 * writing failed or memory ran out.
 */
int export_run(const struct corefile *file, int fd, bool sparse,
	       struct export_result *ret_result);
