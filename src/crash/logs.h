/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One line for each crash, kept or folded: who, of what, its weight, where it is and why.
 * journald gets the same as fields, named in corefold-formats(5).
 */

#include "crash/handle.h"

void logs_kept(const struct crash *crash);

/*
 * A fold. In a storm most get no line of their own (ticket.told); the next that does says
 * how many there were, and the next kept crash carries their weight anyway.
 */
void logs_folded(const struct crash *crash);

/* What was found when the crash was decided, of the state and of the crash. */
void logs_decided(const struct crash *crash);

/*
 * What was found when the lock was taken, and has not been told yet. Whoever takes it once
 * more, be it for a hash only, may be the one who finds a damaged state.
 */
void logs_found(struct ledger *ledger);
