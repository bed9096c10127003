/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/signals.h"
#include "policy/units.h"

static const char *const decision_names[] = { "keep", "novel", "folded" };
static const char *const source_names[] = { "none", "mem", "pipe", "file" };

const char *record_decision_name(enum record_decision decision)
{
	return decision_names[decision];
}

const char *record_source_name(enum record_source source)
{
	return source_names[source];
}

void record_done(struct record *record)
{
	json_decref(record->details);
	record->details = NULL;
}

void record_set(struct record *record, const char *key, json_t *value)
{
	if (!value)
		return;
	if (!record->details)
		record->details = json_object();
	(void)json_object_set_new(record->details, key, value);
}

static void set_integer(json_t *object, const char *key, int64_t value)
{
	(void)json_object_set_new(object, key, json_integer(value));
}

static void set_text(json_t *object, const char *key, const char *value)
{
	(void)json_object_set_new(object, key, json_string(value));
}

/* Seconds as a number a JSON reader takes without loss of what the kernel gave (whole seconds). */
static void set_times(json_t *object, const struct record *record)
{
	time_t seconds = record->time_ns / NS_PER_SEC;
	struct tm tm;
	char text[40] = "";

	set_integer(object, "time", seconds);
	if (gmtime_r(&seconds, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	set_text(object, "time_iso", text);
	set_integer(object, "on_time_ms", record->on_time_ns / 1000000);
}

static void set_signal(json_t *object, int signal)
{
	char text[SIGNALS_NAME_SIZE];

	signals_name(signal, text);
	set_integer(object, "signal", signal);
	set_text(object, "signal_name", text);
}

json_t *record_to_json(const struct record *record)
{
	json_t *object = json_object();

	if (!object)
		return NULL;
	set_integer(object, "version", RECORD_VERSION);
	set_text(object, "id", record->id);
	set_times(object, record);
	set_integer(object, "pid", record->pid);
	set_integer(object, "tid", record->tid);
	set_integer(object, "uid", record->uid);
	set_integer(object, "gid", record->gid);
	set_text(object, "process", record->process);
	set_signal(object, record->signal);
	set_text(object, "decision", record_decision_name(record->decision));
	set_text(object, "decision_reason", record->decision_reason ?: "");
	set_integer(object, "weight", (json_int_t)record->weight);
	set_text(object, "capture", capture_kind_name(record->capture));
	set_text(object, "capture_reason", record->capture_reason);
	set_text(object, "source", record_source_name(record->source));
	(void)json_object_set_new(object, "complete", json_boolean(record->complete));
	set_text(object, "identity", record->identity_verified ? "verified" : "unverified");
	set_integer(object, "held_ms", record->held_ms);
	set_integer(object, "total_ms", record->total_ms);
	set_integer(object, "core_bytes", (json_int_t)record->core_bytes);
	set_integer(object, "stored_bytes", (json_int_t)record->stored_bytes);
	set_integer(object, "dumpable", record->dumpable);
	if (record->details)
		(void)json_object_update(object, record->details);
	if (!json_object_get(object, "executable"))
		set_text(object, "executable", "");
	if (!json_object_get(object, "signature"))
		(void)json_object_set_new(object, "signature", json_null());
	return object;
}

static int64_t integer_of(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

static size_t index_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return 0;
}

/* A damaged file can hold any number: the ends of time hold it. */
static int64_t scaled(int64_t value, int64_t factor)
{
	int64_t product;

	if (__builtin_mul_overflow(value, factor, &product))
		return value < 0 ? INT64_MIN : INT64_MAX;
	return product;
}

/* Those of the first corefold had none. */
bool record_is_later(const json_t *json)
{
	return integer_of(json, "version") > RECORD_VERSION;
}

/* What corefold can have written. */
static const struct {
	const char *key;
	int64_t least;
	int64_t most;
} ranges[] = {
	{ "weight", 1, RECORD_WEIGHT_MAX },
	{ "time", -RECORD_TIME_MAX_S, RECORD_TIME_MAX_S },
	{ "pid", 0, INT32_MAX },
	{ "tid", 0, INT32_MAX },
	{ "uid", 0, UINT32_MAX },
	{ "gid", 0, UINT32_MAX },
	{ "signal", 0, RECORD_SIGNAL_MAX },
	{ "core_bytes", 0, INT64_MAX },
	{ "stored_bytes", 0, INT64_MAX },
};

static bool in_range(const json_t *json)
{
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		const json_t *value = json_object_get(json, ranges[i].key);

		if (value && (!json_is_integer(value) ||
			      json_integer_value(value) < ranges[i].least ||
			      json_integer_value(value) > ranges[i].most))
			return false;
	}
	return true;
}

int record_from_json(const json_t *json, struct record *ret_record)
{
	struct record record = RECORD_NULL;

	if (!json_is_object(json) || record_is_later(json) || !text_of(json, "id")[0] ||
	    !json_is_integer(json_object_get(json, "weight")) ||
	    !json_is_integer(json_object_get(json, "time")) ||
	    !json_is_string(json_object_get(json, "process")) || !in_range(json))
		return -EINVAL;
	(void)snprintf(record.id, sizeof(record.id), "%s", text_of(json, "id"));
	record.time_ns = scaled(integer_of(json, "time"), NS_PER_SEC);
	record.on_time_ns = scaled(integer_of(json, "on_time_ms"), 1000000);
	record.pid = integer_of(json, "pid");
	record.tid = integer_of(json, "tid");
	record.uid = (uint32_t)integer_of(json, "uid");
	record.gid = (uint32_t)integer_of(json, "gid");
	(void)snprintf(record.process, sizeof(record.process), "%s", text_of(json, "process"));
	record.signal = (int)integer_of(json, "signal");
	record.dumpable = (int)integer_of(json, "dumpable");
	record.decision = index_of(text_of(json, "decision"), decision_names, 3);
	record.weight = (uint64_t)integer_of(json, "weight");
	(void)capture_kind_parse(text_of(json, "capture"), &record.capture);
	(void)snprintf(record.capture_reason, sizeof(record.capture_reason), "%s",
		       text_of(json, "capture_reason"));
	record.source = index_of(text_of(json, "source"), source_names, 4);
	record.complete = json_is_true(json_object_get(json, "complete"));
	record.identity_verified = strcmp(text_of(json, "identity"), "verified") == 0;
	record.held_ms = integer_of(json, "held_ms");
	record.total_ms = integer_of(json, "total_ms");
	record.core_bytes = (uint64_t)integer_of(json, "core_bytes");
	record.stored_bytes = (uint64_t)integer_of(json, "stored_bytes");
	*ret_record = record;
	return 0;
}

static bool date_of_id(const char *id, int64_t *ret_seconds)
{
	struct tm tm = { 0 };

	if (sscanf(id, "%4d%2d%2dT%2d%2d%2d-", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		   &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ret_seconds = timegm(&tm);
	return true;
}

/*
 * Ids sort by time and `last` goes by them, so a wrong date would be the newest crash for
 * ever. A day's difference is none, and folds may be dated by when they were written: so did
 * builds before 0.1.0.
 */
bool record_is_of(const json_t *json, const char *id)
{
	const bool folded = strcmp(text_of(json, "decision"), decision_names[RECORD_FOLDED]) == 0;
	const int64_t time_s = integer_of(json, "time"), day_s = 86400;
	int64_t id_s;

	return in_range(json) && strcmp(text_of(json, "id"), id) == 0 && date_of_id(id, &id_s) &&
	       id_s >= time_s - day_s && (folded || id_s <= time_s + day_s);
}
