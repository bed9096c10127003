/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The events file, as a crash finds it. */

#include "io/events.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int dir_fd = fuzz_state();

	fuzz_write(dir_fd, EVENTS_FILE, data, size);
	fuzz_use_state(dir_fd);
	return 0;
}
