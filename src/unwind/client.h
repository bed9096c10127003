/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Asks corefold-unwind where a process crashed. Links no unwinder.
 *
 * The program is started with exactly the descriptors named here: not our stdin (who holds
 * the pipe of a core holds the crashed process), no lock, no state. Its answer is drained
 * up to a bound, one deadline stands over everything, and it is killed whatever it does, and
 * reaped unless a process is held meanwhile (live). Nothing of the caller's is changed: no signal handlers, no SIGCHLD needed.
 *
 * The answer is believed as little as the crash: it is JSON of the documented shape or an
 * error, but its content was led by a hostile process.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLIENT_E_MISSING = 1, /* the program is not installed */
	CLIENT_E_FAILED =
		2, /* it died, was killed by its filter or said that it cannot */
	CLIENT_E_TIME = 3, /* the deadline came first */
	CLIENT_E_ANSWER = 4, /* too long, or not the JSON it should be */
};

/*
 * A module's file, opened through map_files, or the debug file of that module, found by
 * build-id; a module may have one of each. Which it is the program finds out, and whether
 * it is the right one.
 */
struct client_module {
	int fd; /* borrowed */
	uint64_t start; /* of one of its mappings */
};

struct client_request {
	const char *program; /* NULL: the installed one */
	int head_fd; /* ELF head of the core, in a memfd or file; borrowed */
	int memory_fd; /* /proc/PID/mem, or a core, plain or stored by us; borrowed */
	bool live; /* memory_fd is /proc/PID/mem */
	const struct client_module *modules;
	size_t modules_n; /* what is beyond 256 is left out */
	unsigned int threads; /* 0: all; 1: the crashing one only */
	unsigned int time_ms; /* for everything; 0: a default */
};

/* New reference in *ret_answer. 0, CLIENT_E_* or -errno. */
int client_unwind(const struct client_request *request, json_t **ret_answer);

/* A memfd that holds the bytes, sealed; -errno. For the head. */
int client_memfd(const void *bytes, size_t n);

const char *client_strerror(int r);
