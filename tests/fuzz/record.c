/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A record: read by summary, list and info, and by a rebuild. */

#include "core/record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash/quota.h"
#include "io/store.h"
#include "state.h"
#include "summary/summary.h"

#define ID "20231114T221320-000001"

static void summarise(int dir_fd, int store_fd)
{
	struct summary summary = SUMMARY_NULL;

	summary.window.since_ns = INT64_MIN;
	summary.window.until_ns = INT64_MAX;
	if (summary_take_records(&summary, dir_fd, store_fd) == 0) {
		json_decref(summary_json(&summary));
		summary_text(&summary, stdout);
	}
	summary_done(&summary);
}

static void read_and_write(int store_fd)
{
	struct record record = RECORD_NULL;
	json_t *json;

	if (store_read_record(store_fd, ID, &json) != 0)
		return;
	if (record_from_json(json, &record) == 0) {
		must_hold(strlen(record.id) < sizeof(record.id));
		must_hold(strlen(record.process) < sizeof(record.process));
		json_decref(record_to_json(&record));
	}
	record_done(&record);
	json_decref(json);
}

static void make_room(int store_fd)
{
	struct config config;

	config_init(&config);
	(void)quota_apply(store_fd, &config, 1700000000000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int dir_fd = fuzz_state();
	int store_fd = openat(dir_fd, STORE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must_hold(store_fd >= 0);
	fuzz_write(store_fd, ID STORE_RECORD_SUFFIX, data, size);
	read_and_write(store_fd);
	summarise(dir_fd, store_fd);
	fuzz_use_state(dir_fd);
	make_room(store_fd);
	(void)close(store_fd);
	return 0;
}
