/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What crashed: the cheap guess for the fold path, and the signature from an unwinding. */

#include <stdbool.h>
#include <stdint.h>

#include "crash/handle.h"

/* The cheap hash of a crash whose head was read; 0 when nothing can be said. */
uint64_t analyse_hash(const struct crash *crash);

/*
 * Has the crash unwound: the crashing thread from the memory of the held process, or all
 * threads of a stored core (core_fd >= 0). Frames, modules and signature go into the
 * record, the signature into the ticket. False, with the reason in the record, when that
 * was not possible.
 */
bool analyse_unwind(struct crash *crash, int core_fd, bool all_threads);
