/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Files of a state directory, in any shape: whatever they are, the ledger stays one. */

#include "fuzz.h"

/* Empties the state directory and returns it. */
int fuzz_state(void);

/*
 * Opens the ledger, counts and keeps a crash, and looks at all of it: the sums add up, and
 * at least one crash is known.
 */
void fuzz_use_state(int dir_fd);
