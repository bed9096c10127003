/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which debugger is started, and how it is kept from doing what the crashed process would
 * like: it reads no init file and loads no script that a file asks for, has an environment
 * of ours, a directory of ours, and is looked for in the system's directories only.
 */

#include <limits.h>
#include <stdbool.h>

struct debugger {
	char program[PATH_MAX];
	bool is_lldb; /* gdb otherwise */
};

struct debugger_session {
	int core_fd; /* the plain core; inherited, like the next */
	int executable_fd; /* -1: none */
	const char *directory; /* of struct debugfiles */
	const char *symbols; /* another directory of symbols by build-id, or NULL */
	const char *arguments; /* of the user's, in one line, or NULL */
};

enum {
	DEBUGGER_E_UNKNOWN = 1, /* neither gdb nor lldb by its name */
	DEBUGGER_E_MISSING = 2, /* not in the system's directories */
	DEBUGGER_E_QUOTE = 3, /* the arguments end inside of quotes, or are too many */
	DEBUGGER_E_STOPPED = 4, /* we were told to end, and so it was */
};

/* name: "gdb", "lldb", "gdb-multiarch", "lldb-19", or an absolute path to one. */
int debugger_find(const char *name, struct debugger *ret_debugger);

/*
 * Starts it and waits for its end; SIGTERM and SIGHUP are passed on to it, what the
 * terminal sends it gets itself. *ret_status is as of waitpid(2). 0, DEBUGGER_E_QUOTE, -errno.
 */
int debugger_run(const struct debugger *debugger, const struct debugger_session *session,
		 int *ret_status);

/* Blocks what debugger_run() waits for, from here on: there are things to be removed. */
void debugger_block_signals(void);
