/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The configuration: corefold.conf and those in corefold.conf.d, as corefold.conf(5) says. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/throttle.h"

enum config_kind {
	CONFIG_KIND_AUTO,
	CONFIG_KIND_FULL,
	CONFIG_KIND_THREADS,
	CONFIG_KIND_NOTES,
	CONFIG_KIND_NONE,
};

#define CONFIG_COMMAND_SIZE 1024

struct config {
	struct throttle_limits throttle;
	int64_t pending_max_ns;

	enum config_kind kind;
	uint64_t max_core_bytes;
	int64_t max_hold_ns;
	uint64_t buffer_bytes;
	uint32_t max_captures;
	uint64_t thread_stack_bytes;
	uint32_t full_per_signature;
	bool honor_rlimit;
	bool record_argv;

	char directory[PATH_MAX];
	uint32_t max_use; /* hundredths of a percent of the file system */
	uint32_t keep_free;
	int64_t max_age_ns;
	uint64_t max_count; /* 0: no limit */

	int64_t interval_ns;

	char on_keep[CONFIG_COMMAND_SIZE];
	char on_new_signature[CONFIG_COMMAND_SIZE];
	char on_loop_start[CONFIG_COMMAND_SIZE];
	char on_loop_end[CONFIG_COMMAND_SIZE];
	int64_t hook_timeout_ns;

	char textfile[PATH_MAX]; /* "": none is written */
};

/* Called for each line that cannot be used; the default stands. `where` is "file:line". */
typedef void config_complain(void *userdata, const char *where, const char *what);

void config_init(struct config *config);

/*
 * Reads `path` (NULL: the system's file) and the *.conf files of `path`.d, in the order of
 * their names. A missing file is no error unless it was named. -errno when a file is there
 * and cannot be used at all; bad lines go to `complain` and do not fail.
 */
int config_read(struct config *config, const char *path, config_complain *complain,
		void *userdata);

/* The file that is read when none is named. */
const char *config_default_path(void);
