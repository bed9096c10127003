/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The counters file, as a crash finds it when the throttle file is gone: all is rebuilt from it. */

#include "io/counters.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int dir_fd = fuzz_state();

	fuzz_write(dir_fd, COUNTERS_FILE, data, size);
	fuzz_use_state(dir_fd);
	return 0;
}
