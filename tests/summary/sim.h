/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A machine of which only the clock and the crashes are simulated: what they leave in a
 * state directory is written by the code that the real ones would run.
 */

#include "ledger/ledger.h"
#include "policy/units.h"

#define SIM_MINUTE (60 * NS_PER_SEC)
#define SIM_HOUR (60 * SIM_MINUTE)
#define SIM_DAY (24 * SIM_HOUR)

struct sim {
	struct ledger ledger;
	struct config config;
	struct clock_reading now;
	uint64_t boot;
	uint64_t random;
	bool covered;
};

/* Ends the test with a message unless it is good. */
void sim_must(bool good, const char *what);

/* A state below the directory, which is private. The first boot has no number yet. */
void sim_open(struct sim *sim, const char *directory, uint64_t seed);
void sim_done(struct sim *sim);

uint64_t sim_chance(struct sim *sim, uint64_t n); /* below n */

/* The machine runs on. */
void sim_pass(struct sim *sim, int64_t ns);
/* It is off for so long, and boots for 20 s. No tick. */
void sim_boot(struct sim *sim, int64_t off_ns);
/* What `corefold tick` does about hours, history and stops. */
void sim_tick(struct sim *sim, bool stopping);
/* The same on the real machine's clock, in a boot of its own, so that programs go on there. */
void sim_land(struct sim *sim);

/* So many crashes at once, all of them folded and pending. With a line in the history. */
void sim_count(struct sim *sim, const char *process, uint32_t uid, uint64_t crashes);

struct sim_crash {
	const char *process;
	uint32_t uid;
	int signal;
	const char *signature; /* NULL: none */
	const char *loose; /* likewise */
	const char *build_id; /* likewise */
	const char *symbol; /* of the innermost frame */
};

/* Counted, decided, and its record stored. */
void sim_crash(struct sim *sim, const struct sim_crash *crash, struct ledger_ticket *ret_ticket);
