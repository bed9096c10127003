/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Steps on a ledger that several tests take; one in three of a loop of more than two is kept. */

#include <check.h>

#include "ledger/ledger.h"

extern struct config config; /* of those that are open */

struct clock_reading now_at(int64_t seconds);

/* Opens it again for the same directory, as another process would. */
struct ledger open_ledger(int dir_fd);
void lock(struct ledger *ledger, int64_t seconds);

struct ledger_ticket crash(struct ledger *ledger, uint32_t uid, const char *process,
			   int64_t seconds);
void put_record(struct ledger *ledger, const struct ledger_ticket *ticket);
/* Decides, and keeps what is to be kept. */
void crash_and_keep(struct ledger *ledger, uint32_t uid, const char *process, int64_t seconds);

/* "crashes kept pending in-flight evicted", after checking that all of it adds up. */
const char *sums(struct ledger *ledger, int64_t seconds);

/* The throttle file as a whole. */
void damage(int dir_fd);

/* Damages it: who comes next rebuilds it, to these sums. */
void rebuild_gives(int dir_fd, int64_t seconds, const char *wanted);

/* ledger_damage.c */
void ledger_damage_cases(Suite *suite);
