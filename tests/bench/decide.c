/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a decision costs, without process and kernel around it.
 *
 *   decide SAMPLES KNOWN CRASHES DIRECTORY [KNOWN CRASHES DIRECTORY]...
 *
 * For each DIRECTORY, which is private and empty: makes KNOWN processes crash once, then
 * again in turn until there were CRASHES. Then measures SAMPLES folded crashes in each, a
 * few at a time in turn, so that whatever slows the machine down hits all alike; and prints
 * the number of the directory, from 0, and nanoseconds, one a line.
 */

#include <errno.h>
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
#define HISTORIES_MAX 8
#define TURN 50u /* samples */

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

struct history {
	struct ledger ledger;
	unsigned long known;
	unsigned long measured;
};

static int measure(struct history *history, unsigned long samples, int number)
{
	for (unsigned long i = 0; i < samples; i++) {
		int64_t before = now_ns();
		int r = crash(&history->ledger, history->measured++ % history->known);

		if (r != 0)
			return r;
		(void)printf("%d %lld\n", number, (long long)(now_ns() - before));
	}
	return 0;
}

static int make(struct history *history, const struct config *config, char **argument)
{
	int dir_fd = open(argument[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	*history = (struct history){ .ledger = LEDGER_NULL,
				     .known = strtoul(argument[0], NULL, 10) };
	if (dir_fd < 0 || history->known == 0)
		return -EINVAL;
	r = ledger_open(&history->ledger, config, dir_fd);
	return r == 0 ? populate(&history->ledger, history->known,
				 strtoul(argument[1], NULL, 10))
		      : r;
}

int main(int argc, char **argv)
{
	static struct config config;
	static struct history history[HISTORIES_MAX];
	unsigned long samples;
	int n = 0, r = 0;

	if (argc < 5 || (argc - 2) % 3 != 0 || argc > 2 + 3 * HISTORIES_MAX)
		return 2;
	samples = strtoul(argv[1], NULL, 10);
	config_init(&config);
	config.throttle.limit = 1;
	config.throttle.report_every = UINT32_MAX;
	config.throttle.age_out_ns = INT64_MAX / 2;
	for (; r == 0 && n < (argc - 2) / 3; n++)
		r = make(&history[n], &config, argv + 2 + 3 * n);
	for (unsigned long done = 0; r == 0 && done < samples; done += TURN)
		for (int i = 0; r == 0 && i < n; i++)
			r = measure(&history[i], TURN, i);
	while (n > 0)
		ledger_done(&history[--n].ledger);
	if (r != 0)
		(void)fprintf(stderr, "decide: %s\n", strerror(r < 0 ? -r : 0));
	return r == 0 ? 0 : 1;
}
