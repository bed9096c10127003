/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "state.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/record.h"
#include "crash/settle.h"
#include "io/log.h"
#include "ledger/ledger.h"

static void empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	must_hold(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, "cores") != 0)
			(void)unlinkat(dir_fd, entry->d_name, 0);
	(void)closedir(dir);
}

int fuzz_state(void)
{
	int dir_fd = fuzz_dir(), cores_fd;

	fuzz_quiet();
	empty(dir_fd);
	(void)mkdirat(dir_fd, "cores", 0700);
	cores_fd = openat(dir_fd, "cores", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must_hold(cores_fd >= 0);
	empty(cores_fd);
	(void)close(cores_fd);
	return dir_fd;
}

static void check_sums(struct ledger *ledger)
{
	const struct clock_reading now = { .boot_id = { 1 },
					   .monotonic_ns = 2000000000,
					   .wall_ns = 1700000001000000000 };
	const struct totals *totals = &ledger->state->header.totals;

	if (ledger_lock(ledger, &now) != 0)
		return;
	must_hold(totals_balanced(totals));
	must_hold(totals->crashes > 0);
	/* As the tick does. What is rebuilt is good. */
	if (state_verify(ledger->state) != 0) {
		must_hold(state_set_aside(ledger->state) == 0);
		must_hold(ledger_lock(ledger, &now) == 0);
		must_hold(state_verify(ledger->state) == 0);
	}
	ledger_unlock(ledger);
}

/* Settled without settle_record(): its syncs cost most of the time. */
static void keep(struct ledger *ledger, const struct ledger_ticket *ticket,
		 const struct clock_reading *now)
{
	if (ticket->decision == THROTTLE_FOLD)
		return;
	must_hold(ticket->id[0] && ticket->weight > 0);
	(void)ledger_commit(ledger, ticket, now);
}

void fuzz_use_state(int dir_fd)
{
	static struct config config;
	const struct clock_reading now = { .boot_id = { 1 },
					   .monotonic_ns = 1000000000,
					   .wall_ns = 1700000000000000000 };
	const struct ledger_crash crash = { .uid = 1000, .process = "sleep" };
	struct ledger ledger = LEDGER_NULL;
	struct ledger_ticket ticket;

	config_init(&config);
	must_hold(ledger_open(&ledger, &config, fcntl(dir_fd, F_DUPFD_CLOEXEC, 0)) == 0);
	if (ledger_crash(&ledger, &crash, &now, &ticket) == 0) {
		keep(&ledger, &ticket, &now);
		if (!ticket.without_lock)
			check_sums(&ledger);
	}
	ledger_done(&ledger);
}
