/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Taking the core of a process whose memory may never answer.
 *
 * Pages can be of a file system that waits for a server: a network, or FUSE, which any
 * user can mount and serve. Whoever reads such a page sleeps until the server answers and
 * cannot even be killed. So the core is taken in a thread; when it overstays, it is left
 * behind, and less is taken without it, down to what needs no memory at all.
 */

#include <stdbool.h>

struct crash;

/* As take_core(). True when a thread was left behind: see guard_leave(). */
bool guard_take(struct crash *crash);

/* Ends the process: a thread that sleeps in the kernel is still using what we would free. */
_Noreturn void guard_leave(void);
