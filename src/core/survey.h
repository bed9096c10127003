/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What of the held process's memory there is to capture, before any of it is read. */

#include "core/elfcore.h"
#include "core/pagemap.h"

struct survey {
	struct pagemap exists; /* pages of private anonymous memory */
	struct pagemap whole; /* mappings that pages do not tell about: files, shared, vdso */
};

#define SURVEY_NULL { 0 }

/*
 * maps_fd is read only when the core does not list the files itself (the kernel leaves the
 * list out when it is larger than 4 MiB). -ETIME when the pages could not be listed by the
 * deadline (CLOCK_MONOTONIC).
 */
int survey_take(struct survey *survey, const struct elfcore *core, int pagemap_fd,
		int maps_fd, int64_t until_ms);
void survey_done(struct survey *survey);

/* Adds the mappings of files and of shared memory that a piece of /proc/PID/maps lists. */
int survey_parse_maps(struct pagemap *whole, const char *text);
