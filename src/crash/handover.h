/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * From the program that decides to the program that keeps.
 *
 * Every crash pays for the start of the program behind core_pattern, so that one is linked
 * statically and small. Capturing wants a faster compressor (ISA-L exists as a shared
 * library only) and more code; a kept crash can afford one more exec. Both programs are
 * built from the same sources: where the second is missing, the first does its work.
 *
 * What is known of the crash goes through a memory file; descriptors are inherited. The
 * open throttle file goes along as the proof that the keep's handler lives.
 */

#include "crash/handle.h"

/* Becomes corefold-keep. Returns only if that failed: the caller goes on by itself. */
void handover_exec(struct crash *crash);

/*
 * In corefold-keep: takes over a crash. `config` and `ledger` are filled in and referred
 * to by the crash. *ret_proof_fd stays open until the crash is settled.
 */
int handover_receive(int blob_fd, struct crash *crash, struct config *config,
		     struct ledger *ledger, int *ret_proof_fd);
