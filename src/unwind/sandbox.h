/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the unwinder does to itself before it reads one byte of a crash:
 *
 *  1. no descriptor but the ones it was promised
 *  2. no core of itself, nobody traces it, no new privileges
 *  3. another user if it is root, no capabilities
 *  4. limits on memory, processor time, files, processes, and a deadline
 *  5. a seccomp filter: read, write, memory; nothing that takes a name. Anything else kills
 *
 * Not a boundary: it reads all of the crashed process's memory, and answers what it likes.
 */

/* Closes descriptors from fds on; then 2 to 5. -errno on the first thing that fails. */
int sandbox_enter(unsigned int fds, unsigned int seconds);
