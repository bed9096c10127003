/* SPDX-License-Identifier: GPL-2.0-or-later */

/* corefold.conf: whatever it says, every setting stays within its limits. */

#include "io/config.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

static void complain(void *userdata, const char *where, const char *what)
{
	(void)userdata;
	must_hold(*where && *what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config;
	char path[PATH_MAX];

	fuzz_write(fuzz_dir(), "c.conf", data, size);
	(void)snprintf(path, sizeof(path), "%s/c.conf", fuzz_dir_path());
	config_init(&config);
	if (config_read(&config, path, complain, NULL) < 0)
		return 0;
	must_hold(config.throttle.limit <= THROTTLE_LIMIT_MAX);
	must_hold(config.throttle.report_every >= 1 && config.throttle.age_out_ns > 0);
	must_hold(config.throttle.novel_per_window <= THROTTLE_NOVEL_MAX);
	must_hold(config.max_hold_ns > 0 && config.interval_ns > 0);
	must_hold(config.max_use <= 10000 && config.keep_free <= 10000);
	must_hold(config.directory[0] == '/' && config.max_captures >= 1);
	must_hold(memchr(config.on_keep, '\0', sizeof(config.on_keep)));
	return 0;
}
