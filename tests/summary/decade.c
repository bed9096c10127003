/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Ten years of ticks and ten million crashes: the history stays small and exact, and the
 * time that its summaries take is printed. Ticks are six hours apart, five minutes with COREFOLD_TEST_ALL=yes; crashes come in
 * as the counts they leave, a line for every process that had some.
 *
 * Usage: decade COREFOLD
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/clock.h"
#include "io/counters.h"
#include "io/dir.h"
#include "ledger/ledger.h"
#include "policy/units.h"

#define YEARS 10
#define HOUR (3600 * NS_PER_SEC)
#define CRASHES 10000000
#define PROCESSES 12
#define BYTES_MAX (10 << 20)

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "decade: %s\n", what);
	exit(1);
}

static void add_crashes(struct ledger *ledger, int process, uint64_t n)
{
	struct counters_event event = { 0 };
	struct state_slot slot;
	char name[16];
	uint32_t index;

	(void)snprintf(name, sizeof(name), "daemon-%d", process);
	must(state_claim(ledger->state, 1000, name, &index, &slot) == 0, "state_claim");
	slot.account.crashes += n;
	slot.account.folded += n;
	slot.account.throttle.pending += n;
	slot.last_wall_ns = ledger->now.wall_ns;
	must(state_write(ledger->state, index, &slot, STATE_INFLIGHT, false) == 0, "state_write");
	event.slot = &slot;
	must(counters_append(ledger->dir_fd, &ledger->state->header,
			     &ledger->state->header.totals, ledger->now.wall_ns, &event,
			     false) == 0,
	     "counters_append");
}

static off_t size_of(int dir_fd)
{
	struct stat st;

	must(fstatat(dir_fd, COUNTERS_FILE, &st, 0) == 0, "fstatat");
	return st.st_size;
}

static void tick(struct ledger *ledger, const struct clock_reading *now, uint64_t crashes,
		 off_t *largest)
{
	struct counters_roll roll = COUNTERS_ROLL_NULL;

	must(ledger_lock(ledger, now) == 0, "ledger_lock");
	for (int i = 0; crashes > 0; i++) {
		uint64_t n = i == 3 ? crashes : crashes / 3;

		add_crashes(ledger, (int)((uint64_t)(now->wall_ns / HOUR + i) % PROCESSES), n);
		crashes -= n;
	}
	must(ledger_snapshot(ledger, false) == 0, "ledger_snapshot");
	if (size_of(ledger->dir_fd) > *largest)
		*largest = size_of(ledger->dir_fd);
	must(counters_roll_begin(ledger->dir_fd, COUNTERS_ROLL_BYTES, &roll) == 0 &&
		     counters_roll_end(ledger->dir_fd, &roll) == 0,
	     "roll-up");
	ledger_unlock(ledger);
}

static void ten_years(struct ledger *ledger, off_t *largest)
{
	const char *all = getenv("COREFOLD_TEST_ALL");
	int64_t step_ns = all && strcmp(all, "yes") == 0 ? HOUR / 12 : 6 * HOUR;
	uint64_t ticks = (uint64_t)(YEARS * 365LL * 24 * HOUR / step_ns);
	struct clock_reading now, real;

	must(clock_read(&real) == 0, "clock_read");
	now = real;
	now.boot_id[0] ^= 1;
	now.monotonic_ns = 0;
	now.wall_ns -= (int64_t)ticks * step_ns + real.monotonic_ns;
	for (uint64_t i = 0; i < ticks; i++) {
		tick(ledger, &now, CRASHES * (i + 1) / ticks - CRASHES * i / ticks, largest);
		now.monotonic_ns += step_ns;
		now.wall_ns += step_ns;
	}
	ledger->covered = false;
	tick(ledger, &real, 0, largest);
	printf("%" PRIu64 " ticks; counters: %lld bytes at most, %lld at the end\n", ticks,
	       (long long)*largest, (long long)size_of(ledger->dir_fd));
}

/* The best of five, to be read: what it takes says as much of the machine as of us. */
static void time_summary(const char *corefold, const char *directory, const char *options)
{
	char command[512];
	int64_t best_ms = INT64_MAX;

	(void)snprintf(command, sizeof(command), "%s summary -C %s/conf %s >%s/out", corefold,
		       directory, options, directory);
	for (int i = 0; i < 5; i++) {
		int64_t ms = clock_monotonic_ms();

		must(system(command) == 0, command);
		ms = clock_monotonic_ms() - ms;
		best_ms = ms < best_ms ? ms : best_ms;
	}
	printf("summary %s: %lld ms\n", options, (long long)best_ms);
}

static void check_total(const char *directory)
{
	char path[128];
	json_t *json, *processes, *p;
	json_int_t sum = 0;
	size_t i;

	(void)snprintf(path, sizeof(path), "%s/out", directory);
	json = json_load_file(path, 0, NULL);
	must(json_integer_value(json_object_get(json, "crashes")) == CRASHES, "not every crash counted");
	processes = json_object_get(json, "processes");
	json_array_foreach(processes, i, p)
		sum += json_integer_value(json_object_get(p, "crashes"));
	must(sum == CRASHES, "processes do not add up");
	must(json_integer_value(json_object_get(json_object_get(json, "hours"),
						"operational_hours")) >= YEARS * 365 * 24 - 7,
	     "hours are missing");
	json_decref(json);
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/cfdecade.XXXXXX", text[128];
	struct ledger ledger = LEDGER_NULL;
	struct config config;
	off_t largest = 0;
	int fd, dir_fd = -1;

	must(argc == 2 && mkdtemp(directory), "usage: decade COREFOLD");
	config_init(&config);
	(void)snprintf(text, sizeof(text), "%s/state", directory);
	must(mkdir(text, 0700) == 0 && (dir_fd = open(text, O_RDONLY | O_DIRECTORY)) >= 0, "mkdir");
	must(ledger_open(&ledger, &config, dir_fd) == 0, "ledger_open");
	(void)snprintf(text, sizeof(text), "%s/conf", directory);
	fd = open(text, O_WRONLY | O_CREAT, 0600);
	(void)snprintf(text, sizeof(text), "[Store]\nDirectory=%s/state\n", directory);
	must(dir_write_all(fd, text, strlen(text)) == 0, "conf");
	ten_years(&ledger, &largest);
	ledger_done(&ledger);
	time_summary(argv[1], directory, "--format json");
	check_total(directory);
	time_summary(argv[1], directory, "--format html --since -1w");
	(void)snprintf(text, sizeof(text), "rm -rf %s", directory);
	(void)!system(text);
	must(largest < BYTES_MAX, "the counters are too large");
	return 0;
}
