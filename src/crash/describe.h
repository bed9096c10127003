/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a record says of a crash before its memory is taken: of the kernel's arguments, of
 * what /proc proves, of the head of the core, and of the machine.
 */

#include "crash/handle.h"

/* The file that holds the entry point is the executable. Borrowed; NULL: not to be told. */
const char *describe_executable_of(const struct elfcore *core);

/* What /proc proves, if the process is still held and verified. */
void describe_victim(struct crash *crash);

/* The threads, when all the notes are there. */
void describe_threads(struct crash *crash);

/* Of a crash that has its ticket; the record's capture and settling come later. */
void describe_crash(struct crash *crash);
