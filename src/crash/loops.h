/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Crash loops that are going on, as files: loops/UID-PROCESS in the state directory, there
 * from the start of a loop until a tick finds it ended. A supervisor can look whether one
 * is there and back off; hooks are queued and the log is told, once for each end.
 *
 * The file is a hint, the throttle file is the truth: it may come some moments after the
 * loop's first crash, and goes with the first tick after its end.
 */

#include "crash/handle.h"

#define LOOPS_DIR "loops"
#define LOOPS_MAX 1024 /* files; loops beyond are logged, and have none */

/* The crash has started a loop. Best effort: a failure is logged. */
void loops_begin(struct crash *crash);

/* With the lock held: takes away the files of loops that have ended. NULL: none. */
json_t *loops_take_ended(struct ledger *ledger);

/* Without it: tells the log, and queues hooks. Takes the reference. */
void loops_tell_ended(struct ledger *ledger, json_t *ended);
