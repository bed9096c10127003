/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A record as commands see it: checked, with a core that has been removed since told as none.
 * Files may be damaged, of a later corefold, or gone while the others are read.
 */

#include "cmd/cmd.h"

#include <errno.h>
#include <string.h>

#include "core/record.h"
#include "io/cleanup.h"
#include "io/store.h"

int cmd_list_records(const struct cmd *cmd, int store_fd, char ***ret_ids, size_t *ret_n)
{
	int r = store_list(store_fd, ret_ids, ret_n);

	return r < 0 ? cmd_failed(cmd, "cannot list the records: %s", strerror(-r)) : CMD_DONE;
}

json_t *cmd_read_record(int store_fd, const char *id)
{
	struct record checked;
	const char *capture;
	json_t *record;

	if (store_read_record(store_fd, id, &record) < 0)
		return NULL;
	if (record_from_json(record, &checked) < 0 || !record_is_of(record, id)) {
		json_decref(record);
		return NULL;
	}
	capture = json_string_value(json_object_get(record, "capture"));
	if (capture && strcmp(capture, "none") != 0 &&
	    store_has(store_fd, id, STORE_CORE_SUFFIX) == 0) {
		(void)json_object_set_new(record, "capture", json_string("none"));
		(void)json_object_set_new(record, "capture_reason",
					  json_string("the core was removed to make room"));
		(void)json_object_set_new(record, "stored_bytes", json_integer(0));
		(void)json_object_set_new(record, "complete", json_false());
	}
	return record;
}

/* What list and watch show of a record; info shows it all. */
static const char *const brief_keys[] = {
	"id",	    "time",	 "pid",	     "tid",	       "uid",	   "process",
	"executable", "signal",	 "weight",   "decision",       "capture",  "capture_reason",
	"source",   "complete",	 "held_ms",  "total_ms",       "core_bytes", "stored_bytes",
	"signature", "stands_for",
};

bool cmd_is_sure(const json_t *record)
{
	const json_t *signatures = json_object_get(record, "signatures"),
		     *confidence = json_object_get(signatures, "confidence");

	return strcmp(json_string_value(confidence) ?: "", "low") != 0;
}

json_t *cmd_brief(const json_t *record)
{
	json_t *brief = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(brief_keys); i++) {
		json_t *value = json_object_get(record, brief_keys[i]);

		(void)json_object_set_new(brief, brief_keys[i], value ? json_incref(value) : json_null());
	}
	if (json_is_string(json_object_get(record, "signature")))
		(void)json_object_set_new(brief, "confidence",
					  json_string(cmd_is_sure(record) ? "high" : "low"));
	return brief;
}

bool cmd_record_is_later(int store_fd, const char *id)
{
	json_t *record;
	bool later;

	if (store_read_record(store_fd, id, &record) < 0)
		return false;
	later = record_is_later(record);
	json_decref(record);
	return later;
}

/* Somebody removed it while we read the others: a prune, or the limits at a crash. */
bool cmd_record_is_gone(int store_fd, const char *id)
{
	return store_has(store_fd, id, STORE_RECORD_SUFFIX) == 0;
}
