/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The core of a crash that is kept: how much of it, from where, and down to less when time
 * or space runs out. Never fails: the record says what came of it.
 */

struct crash;

/* The head has been read, or tried to be. Lets the victim go. */
void take_core(struct crash *crash);
