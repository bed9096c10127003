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

#include "io/clock.h"
#include "sim.h"

struct year {
	struct sim sim;
	int64_t tick_ns;
	int version;
};

static void tell(const struct year *y, const char *event, const char *process,
		 const char *signature)
{
	printf("{\"boot\":%" PRIu64 ",\"monotonic_ns\":%" PRId64 ",\"wall_ns\":%" PRId64
	       ",\"covered\":%d,\"version\":%d,\"event\":\"%s\",\"process\":\"%s\","
	       "\"signature\":\"%s\"}\n",
	       y->sim.boot, y->sim.now.monotonic_ns, y->sim.now.wall_ns, y->sim.covered,
	       y->version, event, process, signature);
}

static void pass(struct year *y, int64_t ns)
{
	sim_pass(&y->sim, ns);
}

static void tick(struct year *y, bool stopping)
{
	sim_tick(&y->sim, stopping);
	tell(y, stopping ? "stopping" : "tick", "", "");
}

static void reboot(struct year *y, bool clean, int64_t off_ns)
{
	if (clean)
		tick(y, true);
	sim_boot(&y->sim, off_ns);
	tick(y, false);
}

static void crash(struct year *y, const char *process, uint32_t uid, int signal_number,
		  const char *signature)
{
	char exact[64], build[64];
	const struct sim_crash crash = { .process = process, .uid = uid, .signal = signal_number,
					 .signature = exact, .loose = signature, .build_id = build,
					 .symbol = "parse<&>" };
	struct ledger_ticket ticket;

	(void)snprintf(exact, sizeof(exact), "%s~v%d", signature, y->version);
	(void)snprintf(build, sizeof(build), "%s-build-%d", process, y->version);
	/* Told as of the decision: the record's time is the same. */
	sim_crash(&y->sim, &crash, &ticket);
	tell(y, "crash", process, signature);
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
	if (sim_chance(&y->sim, 150) == 0)
		crash(y, "web", 33, 11, sim_chance(&y->sim, 4) ? "render" : "parse");
	if (sim_chance(&y->sim, 900) == 0)
		crash(y, "db", 105, 6, "checksum");
	tick(y, false);
	if (sim_chance(&y->sim, 400) == 0) {
		pass(y, (int64_t)sim_chance(&y->sim, (uint64_t)y->tick_ns)); /* lost if unclean */
		reboot(y, sim_chance(&y->sim, 3) > 0, (int64_t)sim_chance(&y->sim, 3600) * NS_PER_SEC);
	}
	if (sim_chance(&y->sim, 60) == 0)
		y->sim.now.wall_ns += (int64_t)sim_chance(&y->sim, 8 * 3600) * NS_PER_SEC; /* suspended */
}

static void special(struct year *y, int day)
{
	if (day == 40 || day == 150 || day == 300)
		loop(y, "sensor", 100 + (int)sim_chance(&y->sim, 300), 2 * NS_PER_SEC);
	if (day == 90)
		reboot(y, true, 30 * SIM_DAY);
	if (day == 120)
		y->sim.now.wall_ns += 90 * SIM_MINUTE; /* the clock is set ahead ... */
	if (day == 121)
		y->sim.now.wall_ns -= 90 * SIM_MINUTE; /* ... and back */
	if (day == 200)
		y->version = 2;
	if (day == 210)
		y->sim.covered = false;
	if (day == 212)
		y->sim.covered = true;
	if (day == 260)
		for (int i = 0; i < 70; i++) {
			pass(y, 61 * SIM_MINUTE);
			crash(y, "metronome", 1000, 11, "beat");
		}
}

static void finish(struct year *y)
{
	sim_land(&y->sim);
	tell(y, "tick", "", "");
}

static void run(struct year *y)
{
	struct clock_reading real;
	int64_t end_ns;

	sim_must(clock_read(&real) == 0, "clock_read");
	/* Midnights are round for day after day, up to the boot of the real machine. */
	end_ns = (real.wall_ns - real.monotonic_ns) / SIM_DAY * SIM_DAY - SIM_DAY;
	y->sim.now.wall_ns = end_ns - 365 * SIM_DAY;
	reboot(y, false, 0);
	for (int day = 0; y->sim.now.wall_ns < end_ns; day++) {
		int64_t midnight = y->sim.now.wall_ns / SIM_DAY * SIM_DAY + SIM_DAY;

		special(y, day);
		while (y->sim.now.wall_ns < midnight && y->sim.now.wall_ns < end_ns)
			quarter(y);
	}
	finish(y);
}

int main(int argc, char **argv)
{
	struct year y = { .version = 1 };

	if (argc < 3) {
		fprintf(stderr, "usage: year DIRECTORY SEED [TICK_MINUTES]\n");
		return 2;
	}
	y.tick_ns = (argc > 3 ? atoi(argv[3]) : 15) * SIM_MINUTE;
	sim_open(&y.sim, argv[1], strtoull(argv[2], NULL, 0));
	run(&y);
	sim_done(&y.sim);
	return 0;
}
