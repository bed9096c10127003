/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * corefold-keep: what `corefold handle` becomes when a crash is to be kept. Not to be
 * started by hand; it has no privileges that its caller did not have.
 */

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/handover.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/dir.h"
#include "io/log.h"
#include "io/process.h"
#include "policy/units.h"

int main(int argc, char **argv)
{
	struct crash crash = CRASH_NULL;
	struct ledger ledger = LEDGER_NULL;
	static struct config config;
	_cleanup_close_ int proof_fd = -1;
	uint64_t blob_fd;
	int r;

	(void)process_undumpable(); /* exec has reset it */
#ifdef M_ARENA_MAX
	(void)mallopt(M_ARENA_MAX, 1); /* of glibc: a heap for each thread takes longer than a lock */
#endif
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setenv("TZ", "UTC0", 1);
	clock_assume_initial_namespace();
	if (argc != 2 || units_parse_number(argv[1], 1023, &blob_fd) < 0) {
		(void)fprintf(stderr, "corefold-keep is started by 'corefold handle' only\n");
		return 2;
	}
	r = handover_receive((int)blob_fd, &crash, &config, &ledger, &proof_fd);
	if (r == 0)
		r = handle_keep(&crash);
	else
		log_error("corefold-keep: cannot take over a crash: %s",
			  dir_strerror(r));
	crash_done(&crash);
	ledger_done(&ledger);
	return r == 0 ? 0 : 1;
}
