/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a decision costs, without process and kernel around it.
 *
 *   decide DIRECTORY KNOWN CRASHES SAMPLES
 *
 * Makes KNOWN processes crash once, then again in turn until there were CRASHES, then
 * measures SAMPLES folded crashes of them and prints nanoseconds, one a line. DIRECTORY
 * is private and empty.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/clock.h"
#include "io/counters.h"
#include "ledger/ledger.h"

/* As often as `corefold tick` would while crashes come this fast, or more often. */
#define ROLL_EVERY 20000

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int crash(struct ledger *ledger, unsigned long process)
{
	struct ledger_crash question = { .uid = 1000 };
	struct ledger_ticket ticket;
	struct clock_reading now;
	char name[32];
	int r;

	(void)snprintf(name, sizeof(name), "process-%lu", process);
	question.process = name;
	r = clock_read(&now);
	if (r == 0)
		r = ledger_crash(ledger, &question, &now, &ticket);
	if (r == 0 && ticket.decision != THROTTLE_FOLD)
		r = ledger_commit(ledger, &ticket, &now);
	return r;
}

static int roll(struct ledger *ledger)
{
	struct counters_roll rolled = COUNTERS_ROLL_NULL;
	int r;

	r = counters_roll_begin(ledger->dir_fd, 0, &rolled);
	return r == 0 ? counters_roll_end(ledger->dir_fd, &rolled) : r;
}

static int populate(struct ledger *ledger, unsigned long known, unsigned long crashes)
{
	int r = 0;

	for (unsigned long i = 0; r == 0 && (i < known || i < crashes); i++) {
		r = crash(ledger, i % known);
		if (r == 0 && i % ROLL_EVERY == ROLL_EVERY - 1)
			r = roll(ledger);
	}
	return r;
}

static int measure(struct ledger *ledger, unsigned long known, unsigned long samples)
{
	for (unsigned long i = 0; i < samples; i++) {
		int64_t before = now_ns();
		int r = crash(ledger, i % known);

		if (r != 0)
			return r;
		(void)printf("%lld\n", (long long)(now_ns() - before));
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct config config;
	struct ledger ledger = LEDGER_NULL;
	unsigned long known;
	int dir_fd, r;

	if (argc != 5 || (known = strtoul(argv[2], NULL, 10)) == 0)
		return 2;
	config_init(&config);
	config.throttle.limit = 1;
	config.throttle.report_every = UINT32_MAX;
	config.throttle.age_out_ns = INT64_MAX / 2;
	dir_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return 1;
	r = ledger_open(&ledger, &config, dir_fd);
	if (r == 0)
		r = populate(&ledger, known, strtoul(argv[3], NULL, 10));
	if (r == 0)
		r = measure(&ledger, known, strtoul(argv[4], NULL, 10));
	ledger_done(&ledger);
	if (r != 0)
		(void)fprintf(stderr, "decide: %s\n", strerror(r < 0 ? -r : 0));
	return r == 0 ? 0 : 1;
}
