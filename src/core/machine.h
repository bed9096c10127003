/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a debugger's register numbers do not cover, per machine. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"

/* The thread pointer. 0: not in NT_PRSTATUS on this machine. */
uint64_t machine_tls(const struct elfcore *core, const struct elfcore_thread *thread);

/*
 * Does a signal frame lie at `address`, seen as the words that are there, on an alternate
 * stack? Then *ret_sp is the stack pointer of what the signal interrupted, on another
 * stack. Told from the layout of struct ucontext: the frame says which alternate stack it
 * is on, and lies there.
 */
bool machine_signal_frame(const struct elfcore *core, uint64_t address, const void *words,
			  size_t bytes, uint64_t *ret_sp);
