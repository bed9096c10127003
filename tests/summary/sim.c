/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "io/clock.h"
#include "io/counters.h"
#include "io/dir.h"
#include "io/store.h"

void sim_must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "simulation: %s failed\n", what);
	exit(1);
}

void sim_open(struct sim *sim, const char *directory, uint64_t seed)
{
	int dir_fd;
	uid_t uid;
	gid_t gid;

	*sim = (struct sim){ .ledger = LEDGER_NULL, .random = seed, .covered = true };
	config_init(&sim->config);
	sim_must(dir_open_private(directory, &dir_fd, &uid, &gid) == 0, directory);
	sim_must(ledger_open(&sim->ledger, &sim->config, dir_fd) == 0, "ledger_open");
}

void sim_done(struct sim *sim)
{
	ledger_done(&sim->ledger);
}

uint64_t sim_chance(struct sim *sim, uint64_t n)
{
	uint64_t z = sim->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % n;
}

void sim_pass(struct sim *sim, int64_t ns)
{
	sim->now.monotonic_ns += ns;
	sim->now.wall_ns += ns;
}

void sim_boot(struct sim *sim, int64_t off_ns)
{
	sim->boot++;
	memset(sim->now.boot_id, 0, sizeof(sim->now.boot_id));
	memcpy(sim->now.boot_id, &sim->boot, sizeof(sim->boot));
	sim->now.wall_ns += off_ns + 20 * NS_PER_SEC;
	sim->now.monotonic_ns = 20 * NS_PER_SEC;
}

void sim_tick(struct sim *sim, bool stopping)
{
	struct counters_roll roll = COUNTERS_ROLL_NULL;
	struct ledger *ledger = &sim->ledger;

	ledger->covered = sim->covered;
	sim_must(ledger_lock(ledger, &sim->now) == 0, "ledger_lock");
	stops_tick(&ledger->state->header.stops, stopping);
	sim_must(state_write(ledger->state, 0, NULL, STATE_INFLIGHT, false) == 0, "state_write");
	sim_must(ledger_snapshot(ledger, false) == 0, "ledger_snapshot");
	sim_must(counters_roll_begin(ledger->dir_fd, COUNTERS_ROLL_BYTES, &roll) == 0 &&
			 counters_roll_end(ledger->dir_fd, &roll) == 0,
		 "roll-up");
	ledger_unlock(ledger);
}

void sim_land(struct sim *sim)
{
	sim->boot++;
	sim->covered = false; /* what passes until somebody looks is in no hour */
	sim_must(clock_read(&sim->now) == 0, "clock_read");
	sim_tick(sim, false);
}

void sim_count(struct sim *sim, const char *process, uint32_t uid, uint64_t crashes)
{
	struct ledger *ledger = &sim->ledger;
	struct counters_event event = { 0 };
	struct state_slot slot;
	uint32_t index;

	sim_must(ledger_lock(ledger, &sim->now) == 0, "ledger_lock");
	sim_must(state_claim(ledger->state, uid, process, &index, &slot) == 0, "state_claim");
	slot.account.crashes += crashes;
	slot.account.folded += crashes;
	slot.account.throttle.pending += crashes;
	slot.last_wall_ns = sim->now.wall_ns;
	slot.last_ns = ledger->on_time_ns;
	sim_must(state_write(ledger->state, index, &slot, STATE_INFLIGHT, false) == 0, "state_write");
	event.slot = &slot;
	sim_must(counters_append(ledger->dir_fd, &ledger->state->header,
				 &ledger->state->header.totals, sim->now.wall_ns, &event,
				 false) == 0,
		 "counters_append");
	ledger_unlock(ledger);
}

static void set_text(struct record *record, const char *key, const char *text)
{
	if (text)
		record_set(record, key, json_string(text));
}

static void store(struct sim *sim, const struct sim_crash *crash,
		  const struct ledger_ticket *ticket)
{
	struct record record = { .uid = ticket->uid,
				 .signal = crash->signal,
				 .decision = RECORD_KEEP,
				 .decision_reason = "simulated",
				 .weight = ticket->weight,
				 .held_ms = -1,
				 .time_ns = sim->now.wall_ns,
				 .on_time_ns = ticket->on_time_ns };
	json_t *json;

	memcpy(record.id, ticket->id, sizeof(record.id));
	memcpy(record.process, ticket->process, sizeof(record.process));
	set_text(&record, "signature", crash->signature);
	set_text(&record, "signature_loose", crash->loose);
	set_text(&record, "executable_build_id", crash->build_id);
	if (crash->symbol)
		record_set(&record, "threads",
			   json_pack("[{s:i, s:[{s:s, s:s, s:s, s:i}, {s:s, s:s}]}]", "tid", 1,
				     "frames", "pc", "0x1000", "symbol", crash->symbol, "module",
				     "lib\"x\".so", "offset", 4096, "pc", "0x7ffff7a2d830",
				     "module", "/usr/lib/x86_64-linux-gnu/libc.so.6"));
	json = record_to_json(&record);
	sim_must(json && store_put_record(sim->ledger.store_fd, record.id, json) == 0, "record");
	json_decref(json);
	record_done(&record);
}

void sim_crash(struct sim *sim, const struct sim_crash *crash, struct ledger_ticket *ret_ticket)
{
	const struct ledger_crash question = { .uid = crash->uid, .process = crash->process };

	sim->ledger.covered = sim->covered;
	sim_must(ledger_crash(&sim->ledger, &question, &sim->now, ret_ticket) == 0,
		 "ledger_crash");
	if (ret_ticket->decision == THROTTLE_FOLD)
		return;
	store(sim, crash, ret_ticket);
	sim_must(ledger_commit(&sim->ledger, ret_ticket, &sim->now) == 0, "ledger_commit");
}
