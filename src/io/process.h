/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a program the kernel started as root does to itself before it touches anything. */

#include <stdbool.h>
#include <sys/types.h>

/*
 * Makes fds 0, 1 and 2 exist: the kernel gives a handler only 0, and the first open()
 * would become stdout. Returns whether stderr was there (somebody may read it).
 */
bool process_repair_stdio(void);

/*
 * For programs that people start: what was closed stays of no use, and fails as a closed
 * descriptor does, but no file that is opened later takes its number.
 */
void process_reserve_stdio(void);

/*
 * Moves the dump from fd 0 to a descriptor that no child inherits (a child holding it
 * would hold the victim), with /dev/null in its place. -errno.
 */
int process_take_stdin(void);

/*
 * No core of ourselves and no ptrace by our own user. To be called again after every
 * change of ids: the kernel resets it.
 */
int process_undumpable(void);

/* What waits for the victim's address space, whose lock may be held for ever, has so long. */
#define PROCESS_LOOK_S 30

/* Ends this process with SIGALRM after that many seconds, whatever it is doing. 0: never. */
void process_deadline(unsigned int seconds);

/* Opens our oom_score_adj: can only be opened as root, but written later. -1 when not to be had. */
int process_open_oom_score(void);

/* Lower priority of CPU and I/O, first to go when memory runs out. Nothing is reported: best effort. */
void process_step_back(int oom_score_fd);

/*
 * A descriptor that tells of the end of a process, as its pid may be another's by then. It
 * must be known to exist: a held one does. -errno.
 */
int process_watch(pid_t pid);

/* Waits until the watched process has ended, at most that long. Nothing is reported. */
void process_await_end(int watch_fd, int ms);

/*
 * Becomes the user for good: groups, real, effective and saved ids, no capabilities, no way
 * back, checked. Does nothing when we already are that user and have no privileges.
 */
int process_become(uid_t uid, gid_t gid);
