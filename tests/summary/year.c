/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Fills a state directory with a simulated year and prints what happened, one JSON object
 * an event, for year.py to count again in its own way.
 *
 * Three processes in two versions, three crash loops, one process that crashes every 61
 * minutes; reboots, clean and not, suspends, a month off, clock steps, a stretch in which
 * core_pattern was another's. The last event is the real clock's: what is run on the
 * directory afterwards goes on from there.
 *
 * Usage: year DIRECTORY SEED [TICK_MINUTES]
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "io/clock.h"
#include "io/counters.h"
#include "io/dir.h"
#include "io/store.h"
#include "ledger/ledger.h"
#include "policy/units.h"

#define MINUTE (60 * NS_PER_SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

struct year {
	struct ledger ledger;
	struct clock_reading now;
	uint64_t boot;
	uint64_t random;
	int64_t tick_ns;
	int version;
	bool covered;
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "year: %s failed\n", what);
	exit(1);
}

static uint64_t chance(struct year *y, uint64_t n)
{
	uint64_t z = y->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % n;
}

static void tell(const struct year *y, const char *event, const char *process,
		 const char *signature)
{
	printf("{\"boot\":%" PRIu64 ",\"monotonic_ns\":%" PRId64 ",\"wall_ns\":%" PRId64
	       ",\"covered\":%d,\"version\":%d,\"event\":\"%s\",\"process\":\"%s\","
	       "\"signature\":\"%s\"}\n",
	       y->boot, y->now.monotonic_ns, y->now.wall_ns, y->covered, y->version, event,
	       process, signature);
}

/* ---- what happens to the machine ---- */

static void pass(struct year *y, int64_t ns)
{
	y->now.monotonic_ns += ns;
	y->now.wall_ns += ns;
}

static void tick(struct year *y, bool stopping)
{
	struct counters_roll roll = COUNTERS_ROLL_NULL;

	y->ledger.covered = y->covered;
	must(ledger_lock(&y->ledger, &y->now) == 0, "ledger_lock");
	stops_tick(&y->ledger.state->header.stops, stopping);
	must(state_write(y->ledger.state, 0, NULL, STATE_INFLIGHT, false) == 0, "state_write");
	must(ledger_snapshot(&y->ledger, false) == 0, "ledger_snapshot");
	must(counters_roll_begin(y->ledger.dir_fd, COUNTERS_ROLL_BYTES, &roll) == 0 &&
		     counters_roll_end(y->ledger.dir_fd, &roll) == 0,
	     "roll-up");
	ledger_unlock(&y->ledger);
	tell(y, stopping ? "stopping" : "tick", "", "");
}

static void reboot(struct year *y, bool clean, int64_t off_ns)
{
	if (clean)
		tick(y, true);
	y->boot++;
	memset(y->now.boot_id, 0, sizeof(y->now.boot_id));
	memcpy(y->now.boot_id, &y->boot, sizeof(y->boot));
	y->now.wall_ns += off_ns + 20 * NS_PER_SEC;
	y->now.monotonic_ns = 20 * NS_PER_SEC;
	tick(y, false);
}

static void store(struct year *y, const struct ledger_ticket *ticket, int signal_number,
		  const char *signature)
{
	struct record record = { .uid = ticket->uid,
				 .signal = signal_number,
				 .decision = RECORD_KEEP,
				 .decision_reason = "simulated",
				 .weight = ticket->weight,
				 .held_ms = -1,
				 .time_ns = y->now.wall_ns,
				 .on_time_ns = ticket->on_time_ns };
	char text[64];
	json_t *json;

	memcpy(record.id, ticket->id, sizeof(record.id));
	memcpy(record.process, ticket->process, sizeof(record.process));
	(void)snprintf(text, sizeof(text), "%s~v%d", signature, y->version);
	record_set(&record, "signature", json_string(text));
	record_set(&record, "signature_loose", json_string(signature));
	(void)snprintf(text, sizeof(text), "%s-build-%d", record.process, y->version);
	record_set(&record, "executable_build_id", json_string(text));
	record_set(&record, "threads",
		   json_pack("[{s:i, s:[{s:s, s:s, s:s, s:i}]}]", "tid", 1, "frames", "pc",
			     "0x1000", "symbol", "parse<&>", "module", "lib\"x\".so", "offset",
			     4096));
	json = record_to_json(&record);
	must(json && store_put_record(y->ledger.store_fd, record.id, json) == 0, "record");
	json_decref(json);
	record_done(&record);
}

static void crash(struct year *y, const char *process, uint32_t uid, int signal_number,
		  const char *signature)
{
	const struct ledger_crash question = { .uid = uid, .process = process };
	struct ledger_ticket ticket;

	y->ledger.covered = y->covered;
	must(ledger_crash(&y->ledger, &question, &y->now, &ticket) == 0, "ledger_crash");
	tell(y, "crash", process, signature);
	if (ticket.decision == THROTTLE_FOLD)
		return;
	store(y, &ticket, signal_number, signature);
	must(ledger_commit(&y->ledger, &ticket, &y->now) == 0, "ledger_commit");
}

/* ---- a year of it ---- */

static void loop(struct year *y, const char *process, int crashes, int64_t apart_ns)
{
	for (int i = 0; i < crashes; i++) {
		pass(y, apart_ns);
		crash(y, process, 1000, 6, "loop");
	}
}

static void quarter(struct year *y)
{
	pass(y, y->tick_ns);
	if (chance(y, 150) == 0)
		crash(y, "web", 33, 11, chance(y, 4) ? "render" : "parse");
	if (chance(y, 900) == 0)
		crash(y, "db", 105, 6, "checksum");
	tick(y, false);
	if (chance(y, 400) == 0) {
		pass(y, (int64_t)chance(y, (uint64_t)y->tick_ns)); /* lost if unclean */
		reboot(y, chance(y, 3) > 0, (int64_t)chance(y, 3600) * NS_PER_SEC);
	}
	if (chance(y, 60) == 0)
		y->now.wall_ns += (int64_t)chance(y, 8 * 3600) * NS_PER_SEC; /* suspended */
}

static void special(struct year *y, int day)
{
	if (day == 40 || day == 150 || day == 300)
		loop(y, "sensor", 100 + (int)chance(y, 300), 2 * NS_PER_SEC);
	if (day == 90)
		reboot(y, true, 30 * DAY);
	if (day == 120)
		y->now.wall_ns += 90 * MINUTE; /* the clock is set ahead ... */
	if (day == 121)
		y->now.wall_ns -= 90 * MINUTE; /* ... and back */
	if (day == 200)
		y->version = 2;
	if (day == 210)
		y->covered = false;
	if (day == 212)
		y->covered = true;
	if (day == 260)
		for (int i = 0; i < 70; i++) {
			pass(y, 61 * MINUTE);
			crash(y, "metronome", 1000, 11, "beat");
		}
}

static void finish(struct year *y)
{
	y->boot++;
	y->covered = false; /* what passes until somebody looks is in no hour */
	must(clock_read(&y->now) == 0, "clock_read");
	tick(y, false);
}

static void run(struct year *y)
{
	struct clock_reading real;
	int64_t end_ns;

	must(clock_read(&real) == 0, "clock_read");
	/* Midnights are round for day after day, up to the boot of the real machine. */
	end_ns = (real.wall_ns - real.monotonic_ns) / DAY * DAY - DAY;
	y->now.wall_ns = end_ns - 365 * DAY;
	reboot(y, false, 0);
	for (int day = 0; y->now.wall_ns < end_ns; day++) {
		int64_t midnight = y->now.wall_ns / DAY * DAY + DAY;

		special(y, day);
		while (y->now.wall_ns < midnight && y->now.wall_ns < end_ns)
			quarter(y);
	}
	finish(y);
}

int main(int argc, char **argv)
{
	struct year y = { .ledger = LEDGER_NULL, .version = 1, .covered = true };
	struct config config;
	int dir_fd;
	uid_t uid;
	gid_t gid;

	if (argc < 3) {
		fprintf(stderr, "usage: year DIRECTORY SEED [TICK_MINUTES]\n");
		return 2;
	}
	config_init(&config);
	y.random = strtoull(argv[2], NULL, 0);
	y.tick_ns = (argc > 3 ? atoi(argv[3]) : 15) * MINUTE;
	must(dir_open_private(argv[1], &dir_fd, &uid, &gid) == 0, "directory");
	must(ledger_open(&y.ledger, &config, dir_fd) == 0, "ledger_open");
	run(&y);
	ledger_done(&y.ledger);
	return 0;
}
