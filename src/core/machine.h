/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a debugger's register numbers do not cover, per machine. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/elfcore.h"

/*
 * The thread pointer: a register in NT_PRSTATUS, or in a note of the thread's own. 0: not in
 * a core of this machine (32-bit ARM).
 */
uint64_t machine_tls(const struct elfcore *core, const struct elfcore_thread *thread);

/* Do the modules' blocks lie above it, and struct pthread below (variant I of the ELF TLS ABI)? */
bool machine_tls_above(const struct elfcore *core);

/*
 * Does a signal frame lie at `address`, seen as the words that are there, on an alternate
 * stack? Then *ret_sp is the stack pointer of what the signal interrupted, on another
 * stack. Told from the layout of struct ucontext: the frame says which alternate stack it
 * is on, and lies there.
 */
bool machine_signal_frame(const struct elfcore *core, uint64_t address, const void *words,
			  size_t bytes, uint64_t *ret_sp);
