/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A trace for `simulate`. */

#include "cmd/simulate.c"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct simulation sim = { .limits = THROTTLE_LIMITS_DEFAULT,
				  .interval_ns = 3600 * NS_PER_SEC };
	struct cmd cmd = { .command = &cmd_simulate };
	_cleanup_fclose_ FILE *trace = NULL;

	fuzz_quiet();
	if (size == 0)
		return 0;
	trace = fmemopen((void *)(uintptr_t)data, size, "r");
	must_hold(trace);
	hours_start(&sim.hours, 0);
	sim.told = sim.hours;
	(void)play(&cmd, &sim, trace, "trace");
	tdestroy(sim.processes, free);
	return 0;
}
