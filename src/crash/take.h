/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The core of a crash that is kept: how much of it, from where, and down to less when time
 * or space runs out. Never fails: the record says what came of it.
 */

#include "policy/capture.h"

struct crash;

/* What would be captured of it now. Nothing is. */
struct capture_verdict take_plan(struct crash *crash);

/* The head has been read, or tried to be. Lets the victim go. */
void take_core(struct crash *crash);
