/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Commands that are run for a kept crash: [Hook] OnKeep= and OnNewSignature=; and for the
 * start and the end of a crash loop: OnLoopStart= and OnLoopEnd=.
 *
 * A keep leaves an entry in the directory `hooks`, once its record is durable, and then
 * works the entries off unless another is at it already: so one hook runs at a time,
 * however many crashes come, and what a killed worker left is done by the next keep or
 * tick. An entry goes when its commands have ended, well or not: a command can run twice
 * for one record (after a power cut), never not at all.
 *
 * The command runs as the owner of the state, without privileges and without a shell, its
 * words split at blanks. Its last argument is the path of the record; the record is on
 * its standard input as well. After [Hook] Timeout= it and its children are killed. The
 * crashed process is long gone by then, and its crash counted.
 */

#include "io/config.h"

#define HOOK_DIR "hooks"
#define HOOK_QUEUE_MAX 1024 /* entries; beyond, hooks are not run, and the log says so */

/* Leaves an entry for the record, if a command wants it. -errno, -ENOSPC when the queue is full. */
int hook_queue(const struct config *config, int dir_fd, const char *id);

enum hook_loop {
	HOOK_LOOP_START,
	HOOK_LOOP_END,
};

/* The same for a loop; `text` is what the command gets on its standard input. */
int hook_queue_loop(const struct config *config, int dir_fd, enum hook_loop what,
		    const char *text);

/*
 * Works off the entries, for as long as budget_ms; logs what fails. Takes over the alarm
 * clock of this process.
 */
void hook_run(const struct config *config, int dir_fd, int store_fd, int64_t budget_ms);
