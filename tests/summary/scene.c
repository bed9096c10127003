/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Fills a state directory with what a page has to look good with. Ends at the real time.
 *
 * Usage: scene DIRECTORY NAME
 */

#include <stdio.h>
#include <string.h>

#include "io/clock.h"
#include "sim.h"

/* Processes choose their names; these came through name_clean() or would have been cut by it. */
static const char *const nasty[] = {
	"<script>alert(1)</script>",
	"</text></svg><h1>out",
	"&amp;&lt;\"quoted\"'",
	"]]><!--comment-->",
	"nginx: worker process with a title that goes on and on and never seems to end",
	"WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
	"\xe5\x90\x8d\xe5\x89\x8d\xe3\x81\xae\xe9\x95\xb7\xe3\x81\x84\xe3\x83\x97\xe3\x83\xad",
	"a",
	"javascript:alert(1)",
	"%s%n%d",
};

static const char long_symbol[] =
	"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >::"
	"_M_replace_aux(unsigned long, unsigned long, unsigned long, char)<&>"
	"wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";

static void begin(struct sim *sim, int days)
{
	struct clock_reading real;

	sim_must(clock_read(&real) == 0, "clock_read");
	sim->now.wall_ns = real.wall_ns - real.monotonic_ns - (days + 1) * SIM_DAY;
	sim_boot(sim, 0);
	sim_tick(sim, false);
}

static void crash(struct sim *sim, const char *process, uint32_t uid, int signal_number,
		  const char *what)
{
	char exact[64];
	struct ledger_ticket ticket;

	(void)snprintf(exact, sizeof(exact), "cf1:%s:%08x", what, (unsigned int)strlen(process));
	sim_crash(sim,
		  &(struct sim_crash){ .process = process, .uid = uid, .signal = signal_number,
				       .signature = exact, .build_id = "0123456789abcdef01234567",
				       .symbol = *what == 'l' ? long_symbol : "parse_header" },
		  &ticket);
}

static void hours(struct sim *sim, int n)
{
	for (int i = 0; i < n; i++) {
		sim_pass(sim, SIM_HOUR);
		sim_tick(sim, false);
	}
}

/* ---- scenes ---- */

static void just_begun(struct sim *sim)
{
	struct clock_reading real;

	sim_must(clock_read(&real) == 0, "clock_read");
	sim->now = real;
	sim_tick(sim, false);
}

static void no_crash(struct sim *sim)
{
	begin(sim, 30);
	hours(sim, 30 * 24);
	sim_land(sim);
}

static void one_process(struct sim *sim)
{
	begin(sim, 9);
	for (int day = 0; day < 9; day++) {
		hours(sim, 24);
		if (day % 3 == 1)
			crash(sim, "collectd", 105, 11, "read");
	}
	sim_land(sim);
}

static void loop(struct sim *sim, const char *process, uint32_t uid, int crashes)
{
	for (int i = 0; i < crashes; i++) {
		sim_pass(sim, NS_PER_SEC);
		crash(sim, process, uid, 6, "loop");
	}
}

/* Forty processes, the nasty ones among them, most of them in a loop at some time. */
static void forty(struct sim *sim)
{
	begin(sim, 64);
	for (int day = 0; day < 60; day++) {
		hours(sim, 12);
		for (int i = 0; i < 40; i++) {
			char name[64];

			if (i < (int)(sizeof(nasty) / sizeof(*nasty)))
				(void)snprintf(name, sizeof(name), "%s", nasty[i]);
			else
				(void)snprintf(name, sizeof(name), "daemon-%d", i);
			if (sim_chance(sim, (uint64_t)i * 2 + 8) == 0)
				crash(sim, name, 1000U + (unsigned int)i, 11, "once");
			if (sim_chance(sim, 160) == 0)
				loop(sim, name, 1000U + (unsigned int)i, 30);
		}
		if (day % 7 == 5)
			sim_boot(sim, 8 * SIM_HOUR);
		hours(sim, 12);
	}
	sim_land(sim);
}

/* Nearly all rolling hours are crash-free, and nearly no slots. */
static void metronome(struct sim *sim)
{
	begin(sim, 8);
	for (int i = 0; i < 120; i++) {
		sim_pass(sim, 61 * SIM_MINUTE);
		crash(sim, "metronome", 33, 11, "beat");
		sim_tick(sim, false);
	}
	sim_land(sim);
}

/* Counts that need their room, over years. */
static void large(struct sim *sim)
{
	begin(sim, 1000);
	for (int day = 0; day < 1000; day++) {
		sim_pass(sim, SIM_DAY);
		sim_tick(sim, false);
		if (day % 50 == 10)
			sim_count(sim, day % 100 == 10 ? "telemetry-agent" : "web", 33, 4000000);
	}
	crash(sim, "web", 33, 11, "once");
	sim_land(sim);
}

static const struct {
	const char *name;
	void (*run)(struct sim *sim);
} scenes[] = {
	{ "just-begun", just_begun }, { "no-crash", no_crash }, { "one-process", one_process },
	{ "forty", forty },	      { "large", large },
	{ "metronome", metronome },
};

int main(int argc, char **argv)
{
	struct sim sim;

	for (size_t i = 0; argc == 3 && i < sizeof(scenes) / sizeof(*scenes); i++) {
		if (strcmp(argv[2], scenes[i].name) != 0)
			continue;
		sim_open(&sim, argv[1], 7);
		scenes[i].run(&sim);
		sim_done(&sim);
		return 0;
	}
	fprintf(stderr, "usage: scene DIRECTORY NAME\n");
	return 2;
}
