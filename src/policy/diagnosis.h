/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * From facts about the machine to what is wrong with it and which command mends it: one
 * check for each thing that `doctor` looks at, in the order in which they build on one
 * another.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/pattern.h"

enum diagnosis_verdict {
	DIAGNOSIS_OK,
	DIAGNOSIS_WARN, /* works, but not as well as it could */
	DIAGNOSIS_FAIL, /* crashes are lost */
	DIAGNOSIS_SKIPPED, /* could not be looked at; the message says why */
};

#define DIAGNOSIS_TEXT 1024

struct diagnosis {
	const char *check; /* one word */
	enum diagnosis_verdict verdict;
	char message[DIAGNOSIS_TEXT];
	char mend[DIAGNOSIS_TEXT]; /* a command, or "" */
};

/* How the crash on purpose ended. */
enum diagnosis_drill {
	DIAGNOSIS_DRILL_UNWANTED,
	DIAGNOSIS_DRILL_IMPOSSIBLE, /* `drill_error` says why it was not tried */
	DIAGNOSIS_DRILL_KEPT,
	DIAGNOSIS_DRILL_FOLDED, /* counted, and no record */
	DIAGNOSIS_DRILL_NO_DUMP, /* the kernel did not start a handler */
	DIAGNOSIS_DRILL_LOST, /* a handler was started, nothing was counted */
};

struct diagnosis_facts {
	bool privileged; /* root: everything can be looked at */
	const char *enable; /* the command, with the configuration that was named */
	const char *config; /* " -C FILE" if one was named, else "" */

	/* The kernel's settings; "" or -1: cannot be read. */
	const char *pattern;
	const char *program; /* that it names, "" when it is not ours */
	bool program_runs; /* is there and executable */
	bool program_safe; /* only root may change it */
	const char *wanted_pattern; /* what enable would write */
	int64_t pipe_limit;
	int64_t suid_dumpable;

	/* The state directory. */
	const char *directory;
	int directory_error; /* errno, 0: it can be looked at */
	bool directory_is_one; /* and not a link or a file */
	bool parent_safe;
	uint32_t directory_mode; /* permissions */
	uint32_t directory_uid;
	const char *user; /* who should own it */
	bool user_known;
	uint32_t user_uid;
	const char *stranger; /* what is in it and belongs to another than it does, or "" */
	uint32_t stranger_uid;
	const char *owner; /* whose it should be then, for chown(1) */

	/* Its file system. */
	bool space_known;
	bool read_only;
	uint64_t free_bytes, keep_free_bytes;
	uint64_t free_inodes; /* UINT64_MAX: has no count of them */

	/* Our other programs. */
	const char *keep_program, *unwind_program;
	bool keep_runs, unwind_runs;
	bool seccomp; /* the kernel has filters */

	/* Commands for crashes, as the state's owner finds them. */
	unsigned int hooks; /* how many are configured */
	const char *hook, *hook_program; /* the first that is not well: its key, or "" */
	int hook_error; /* why it cannot be run; 0: it can, and others may change it */

	/* The state itself. */
	bool state_tried; /* it should have been possible to read it ... */
	bool state_known; /* ... and it was */
	const char *state_error; /* when not: why */
	bool balanced; /* the ledger adds up */
	unsigned int set_aside; /* damaged files, NAME.bad */
	const char *records_aside; /* a directory among them that may hold records, or "" */
	bool records_foreign; /* and belongs to another user */
	uint64_t unseen;
	int64_t on_time_ns;
	int64_t tick_age_ns; /* on-time; -1: none has ever come */
	int64_t wall_s;
	int64_t built_s; /* before that the clock of the wall is wrong */

	/* Who else wants core dumps. */
	const char *next_value, *next_path; /* what sysctl files would set, "" none */
	const char *rival_units; /* enabled, with blanks between them */
	bool our_unit; /* takes over at boot, and after them: it is enabled */
	bool systemd; /* runs here */
	bool cron; /* enables us at boot, where systemd does not run */
	bool trial; /* a configuration was named: nobody means that for the next boot */

	/* The crash on purpose. */
	enum diagnosis_drill drill;
	const char *drill_error;
	int64_t drill_ms;
	const char *drill_capture; /* kind of capture */
	bool drill_verified;
	int64_t drill_frames;
};

#define DIAGNOSIS_CHECKS_MAX 24

/* Makes all checks. Returns how many there are. */
size_t diagnosis_make(const struct diagnosis_facts *facts,
		      struct diagnosis ret_checks[static DIAGNOSIS_CHECKS_MAX]);

/* "ok", "warn", "fail", "skipped" */
const char *diagnosis_verdict_name(enum diagnosis_verdict verdict);
