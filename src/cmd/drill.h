/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A crash on purpose, to see that crashes arrive.
 *
 * A child of the state's owner runs this program again under the name LEDGER_DRILL and
 * aborts. The ledger counts that crash like any other but does not throttle it and does
 * not mark the hours with it; no hook runs; its record is removed again here.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cmd.h"
#include "policy/diagnosis.h"

/* The hidden word with which doctor is started to crash. */
#define DRILL_WORD "--crash-on-purpose"

struct drill_report {
	enum diagnosis_drill result;
	char why[256]; /* it did not come to a record, "" if it did */
	int64_t took_ms; /* from the crash to its record */
	char capture[16];
	bool verified; /* its identity */
	int64_t frames; /* of the crashed thread */
};

/* Crashes. Does not return. */
_Noreturn void drill_crash(void);

/* Lets a child crash and waits for its record. The ledger is open, not locked. */
void drill_run(struct cmd *cmd, struct ledger *ledger, struct drill_report *ret_report);
