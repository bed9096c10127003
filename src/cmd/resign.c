/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A signature is made of frames, and the frames are in the record: they are signed again.
 * A stored core is unwound once more, and what comes of it is taken if it is more than the
 * record has: frames that the handler had no time or no unwinder for. It may be less, too,
 * because the handler could open the files that were mapped and nobody can now.
 *
 * A record is replaced whole or not at all, and only if it changes.
 */

#include "cmd/resign.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/corefile.h"
#include "core/record.h"
#include "crash/analyse.h"
#include "io/clock.h"
#include "io/store.h"
#include "unwind/sign.h"

struct resign {
	struct cmd *cmd;
	struct ledger *ledger;
	const struct buildfiles *files; /* of modules; or NULL */
	json_t *renamed; /* old exact key: new one */
	size_t records, changed, unwound, without_core, without_frames, later, failed;
};

void resign_progress(size_t done, size_t all)
{
	const int width = 40;
	int filled = all > 0 ? (int)(done * (size_t)width / all) : 0;

	if (all < 2 || !isatty(STDERR_FILENO))
		return;
	(void)fprintf(stderr, "\r[%.*s%*s] %zu/%zu%s", filled,
		      "########################################", width - filled, "", done, all,
		      done == all ? "\n" : "");
}

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

/* ---- from the core ---- */

static const json_t *frames_of(const json_t *record)
{
	const json_t *threads = json_object_get(record, "threads");

	return json_object_get(json_array_get(threads, 0), "frames");
}

struct quality {
	size_t frames; /* of the crashed thread, guesses left out */
	size_t names; /* of those that have one */
};

static struct quality quality_of(const json_t *record)
{
	const json_t *frame;
	struct quality q = { 0 };
	size_t i;

	json_array_foreach(frames_of(record), i, frame) {
		if (strcmp(text_of(frame, "how"), "scan") == 0)
			continue;
		q.frames++;
		q.names += text_of(frame, "symbol")[0] != '\0';
	}
	return q;
}

static bool is_better(const json_t *fresh, const json_t *record)
{
	const struct quality a = quality_of(fresh), b = quality_of(record);

	return a.frames >= b.frames && a.names >= b.names &&
	       (a.frames > b.frames || a.names > b.names || json_array_size(frames_of(record)) == 0);
}

/* What unwinding the core tells, as keys of a record; NULL: nothing. */
static json_t *unwind_core(struct resign *resign, const char *id)
{
	struct crash crash = CRASH_NULL;
	struct corefile *file;
	json_t *details = NULL;
	int fd;

	if (store_open_core(resign->ledger->store_fd, id, &fd) != 0 ||
	    corefile_open(fd, &file) != 0)
		return NULL;
	crash.replayed = true;
	crash.files = resign->files;
	source_file(&crash.source, file);
	crash.core_parsed = head_read_front(&crash.head, &crash.source, &crash.core) == 0;
	if (crash.core_parsed && analyse_unwind(&crash, -1, true))
		details = json_incref(crash.record.details);
	crash_done(&crash);
	corefile_free(file);
	return details;
}

/* ---- from the frames of the record ---- */

/* The name that the unwinder gave to the module that is the executable. */
static const char *executable_name(const json_t *record)
{
	const char *path = text_of(record, "executable"), *slash = strrchr(path, '/');
	const json_t *module;
	size_t i;

	json_array_foreach(json_object_get(record, "modules"), i, module)
		if (text_of(record, "build_id")[0] &&
		    strcmp(text_of(module, "build_id"), text_of(record, "build_id")) == 0)
			return text_of(module, "name");
	return slash ? slash + 1 : path;
}

static void put(json_t *answer, const char *key, const json_t *value)
{
	if (value)
		(void)json_object_set(answer, key, (json_t *)(uintptr_t)value);
}

/* The record as corefold-unwind would have told it. */
static json_t *answer_of(const json_t *record)
{
	static const char *const keys[] = { "threads", "modules", "stack_overflow",
					    "abort_message" };
	const char *class = text_of(json_object_get(record, "signatures"), "class");
	json_t *answer = json_object(), *signal = json_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		put(answer, keys[i], json_object_get(record, keys[i]));
	(void)json_object_set_new(answer, "executable", json_string(executable_name(record)));
	put(signal, "number", json_object_get(record, "signal"));
	put(signal, "name", json_object_get(record, "signal_name"));
	put(signal, "code", json_object_get(record, "si_code"));
	/* Pids of a container are not those of the record: who sent it was found out then. */
	(void)json_object_set_new(answer, "pid", json_integer(1));
	(void)json_object_set_new(signal, "sender_pid",
				  json_integer(strcmp(class, "sent") == 0 ? 2 : 1));
	(void)json_object_set_new(answer, "signal", signal);
	return answer;
}

static void sign_frames(json_t *record)
{
	struct signature signature;
	json_t *answer = answer_of(record);

	sign_answer(answer, NULL, &signature);
	json_decref(answer);
	(void)json_object_set_new(record, "signature", sign_text(signature.shown));
	(void)json_object_set_new(record, "signatures", sign_to_json(&signature));
}

/* ---- one record ---- */

static const char *exact_of(const json_t *record)
{
	return text_of(json_object_get(record, "signatures"), "exact");
}

/* The process has shown this bug: under its new key, too, it is nothing new. */
static void teach(struct resign *resign, const json_t *record)
{
	const struct ledger_crash crash = {
		.uid = (uint32_t)json_integer_value(json_object_get(record, "uid")),
		.process = text_of(record, "process"),
		.signature = strtoull(exact_of(record), NULL, 16),
	};
	struct clock_reading now;

	/* At worst one more crash of it is kept as new. */
	if (clock_read(&now) == 0)
		(void)ledger_teach(resign->ledger, &crash, &now);
	cmd_tell_of_damage(resign->cmd, resign->ledger);
}

static int replace(struct resign *resign, const char *id, const json_t *record)
{
	int r = store_replace_record(resign->ledger->store_fd, id, record);

	if (r == -ENOENT)
		return 0; /* pruned meanwhile */
	if (r == 0)
		return 1;
	resign->failed++;
	(void)cmd_failed(resign->cmd, "record %s cannot be replaced: %s", id, strerror(-r));
	return 0;
}

static void sign_again(struct resign *resign, const char *id, json_t *record, bool has_core)
{
	json_t *fresh = has_core ? unwind_core(resign, id) : NULL;

	if (fresh && is_better(fresh, record)) {
		(void)json_object_update(record, fresh);
		(void)json_object_del(record, "unwind_error");
		resign->unwound++;
	} else if (json_array_size(frames_of(record)) > 0) {
		sign_frames(record);
	} else {
		resign->without_frames++;
	}
	json_decref(fresh);
}

static void resign_record(struct resign *resign, const char *id)
{
	json_t *record, *before;
	bool has_core;

	if (store_read_record(resign->ledger->store_fd, id, &record) < 0) {
		if (cmd_record_is_gone(resign->ledger->store_fd, id))
			return;
		resign->failed++;
		(void)cmd_failed(resign->cmd, "record %s cannot be read", id);
		return;
	}
	resign->records++;
	if (record_is_later(record)) {
		resign->later++;
		json_decref(record);
		return;
	}
	before = json_deep_copy(record);
	has_core = store_has(resign->ledger->store_fd, id, STORE_CORE_SUFFIX) == 1;
	resign->without_core += !has_core;
	sign_again(resign, id, record, has_core);
	if (!json_equal(before, record) && replace(resign, id, record)) {
		resign->changed++;
		if (exact_of(before)[0] && strcmp(exact_of(before), exact_of(record)) != 0)
			(void)json_object_set_new(resign->renamed, exact_of(before),
						  json_string(exact_of(record)));
		teach(resign, record);
	}
	json_decref(before);
	json_decref(record);
}

/* ---- records that name others ---- */

static void rename_kinds(struct resign *resign, const char *id)
{
	json_t *record, *kind;
	bool changed = false;
	size_t i;

	if (store_read_record(resign->ledger->store_fd, id, &record) < 0)
		return; /* told before */
	json_array_foreach(record_is_later(record) ? NULL : json_object_get(record, "stands_for"), i,
			   kind) {
		json_t *key = json_object_get(resign->renamed, text_of(kind, "signature"));

		if (key)
			(void)json_object_set(kind, "signature", key);
		changed |= key != NULL;
	}
	if (changed)
		(void)replace(resign, id, record);
	json_decref(record);
}

static int tell(const struct resign *resign)
{
	if (resign->cmd->json) {
		json_t *json = json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "records", (json_int_t)resign->records,
			"changed", (json_int_t)resign->changed, "unwound",
			(json_int_t)resign->unwound, "without_core",
			(json_int_t)resign->without_core, "without_frames",
			(json_int_t)resign->without_frames, "later",
			(json_int_t)resign->later, "failed", (json_int_t)resign->failed);
		int status = cmd_print_json(resign->cmd, json);

		json_decref(json);
		return status;
	}
	(void)printf("%zu records: %zu changed, %zu with more frames than before; %zu have no "
		     "core, %zu no frames to sign, %zu are of a later corefold, %zu failed\n",
		     resign->records, resign->changed, resign->unwound, resign->without_core,
		     resign->without_frames, resign->later, resign->failed);
	return cmd_flush(resign->cmd);
}

static int resign_all(struct resign *resign)
{
	char **ids;
	size_t n;
	int r, status;

	r = cmd_list_records(resign->cmd, resign->ledger->store_fd, &ids, &n);
	if (r != CMD_DONE)
		return r;
	for (size_t i = 0; i < n; i++) {
		resign_record(resign, ids[i]);
		resign_progress(i + 1, n);
	}
	for (size_t i = 0; json_object_size(resign->renamed) > 0 && i < n; i++)
		rename_kinds(resign, ids[i]);
	store_free_ids(ids, n);
	(void)store_sync(resign->ledger->store_fd); /* or it is done again */
	status = tell(resign);
	return resign->failed > 0 ? CMD_FAILED : status;
}

int resign_store(struct cmd *cmd, const struct buildfiles *files)
{
	struct ledger ledger = LEDGER_NULL;
	struct resign resign = { .cmd = cmd, .ledger = &ledger, .files = files };
	int status;

	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE) {
		resign.renamed = json_object();
		status = resign_all(&resign);
		json_decref(resign.renamed);
	}
	ledger_done(&ledger);
	return status;
}
