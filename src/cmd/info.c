/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/choose.h"
#include "cmd/table.h"
#include "core/frames.h"
#include "core/record.h"
#include "io/store.h"
#include "policy/units.h"

#define SHOWN_SIZE 256
#define SHOWN_LOOKS 1000 /* records looked at for a name */

static const struct cmd_option options[] = {
	CHOICE_OPTIONS,
	{ '1', NULL, NULL, "the newest of those that match, as without it" },
	{ 't', "threads", NULL, "the frames of all threads, not only of the one that crashed" },
	{ 'm', "modules", NULL, "all modules, not only those in the frames" },
	CHOICE_NO_PAGER,
	{ 0 },
};

/* How much of it. */
struct detail {
	bool threads; /* of all of them, not only of the one that crashed */
	bool modules; /* also those in no frame of it */
};

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

static void print_text(const char *label, const json_t *json, const char *key)
{
	if (text_of(json, key)[0])
		(void)printf("%14s: %s\n", label, text_of(json, key));
}

/* In one line for programs; a terminal's lines are not longer than it. */
static void print_argv(const json_t *json)
{
	const json_t *argv = json_object_get(json, "argv"), *word;
	struct screen screen = screen_of(stdout);
	char *line = NULL;
	size_t i, bytes;
	FILE *out;

	if (json_array_size(argv) == 0)
		return;
	out = open_memstream(&line, &bytes);
	if (!out)
		return;
	json_array_foreach(argv, i, word)
		(void)fprintf(out, "%s%s", i > 0 ? " " : "", json_string_value(word) ?: "");
	if (fclose(out) == 0) {
		(void)printf("%14s: ", "Command line");
		if (screen.width)
			screen_wrap(line, 16, 16, screen.width, stdout);
		else
			(void)printf("%s\n", line);
	}
	free(line);
}

static void print_weight(const struct record *record)
{
	(void)printf("%14s: %" PRIu64, "Weight", record->weight);
	if (record->decision == RECORD_FOLDED)
		(void)printf(" (crashes that were folded and never followed by a kept one)");
	else if (record->weight > 1)
		(void)printf(" (this crash and %" PRIu64 " folded before it)",
			     record->weight - 1);
	(void)printf("\n");
}

/* "main+0x43~0123456789abcdef" for the key behind the tilde, from the newest record that has it. */
static bool find_shown(int store_fd, const char *key, char shown[static SHOWN_SIZE])
{
	char **ids;
	size_t n;
	bool found = false;

	if (store_list(store_fd, &ids, &n) < 0)
		return false;
	for (size_t i = n; i > 0 && n - i < SHOWN_LOOKS && !found; i--) {
		const char *signature, *tilde;
		json_t *record;

		if (store_read_record(store_fd, ids[i - 1], &record) < 0)
			continue;
		signature = text_of(record, "signature");
		tilde = strrchr(signature, '~');
		found = tilde && strcmp(tilde + 1, key) == 0;
		if (found)
			(void)snprintf(shown, SHOWN_SIZE, "%s", signature);
		json_decref(record);
	}
	store_free_ids(ids, n);
	return found;
}

/* Which crashes the weight is of, where that is more than one. */
static void print_stands_for(const json_t *json, const struct record *record, int store_fd)
{
	const json_t *kinds = json_object_get(json, "stands_for"), *kind;
	size_t i;

	if (record->weight < 2)
		return;
	json_array_foreach(kinds, i, kind) {
		const char *key = text_of(kind, "signature");
		char shown[SHOWN_SIZE];

		if (!key[0] || !find_shown(store_fd, key, shown))
			(void)snprintf(shown, sizeof(shown), "%s", key);
		(void)printf("%14s%s %" JSON_INTEGER_FORMAT " %s%s\n",
			     i == 0 ? "Stands for" : "", i == 0 ? ":" : " ",
			     json_integer_value(json_object_get(kind, "count")),
			     key[0] ? "of " : "of unknown signature", shown);
	}
}

static void print_capture(const json_t *json, const struct record *record)
{
	char plain[UNITS_SIZE], stored[UNITS_SIZE];

	(void)printf("%14s: %s (%s)\n", "Capture", capture_kind_name(record->capture),
		     record->capture_reason);
	if (record->capture == CAPTURE_NONE)
		return;
	(void)printf("%14s: %s, %s stored, from %s%s%s\n", "Core",
		     units_format_bytes(record->core_bytes, plain),
		     units_format_bytes(record->stored_bytes, stored),
		     record_source_name(record->source),
		     record->complete ? ", complete" : ", NOT COMPLETE: ",
		     record->complete ? "" : text_of(json, "incomplete_reason"));
}

/* "main+0x43 (victim)", or module+offset where no name is known. */
static void print_frame(const json_t *frame)
{
	const char *module = text_of(frame, "module"), *symbol = text_of(frame, "symbol");
	const char *offset = text_of(frame, "offset");

	if (frames_is_signal(frame))
		(void)printf("signal handler called");
	else if (symbol[0])
		(void)printf("%s+%s (%s)", symbol, text_of(frame, "symbol_offset"),
			     module[0] ? module : "?");
	else if (module[0] && offset[0])
		(void)printf("%s+%s", module, offset);
	else
		(void)printf("%s%s%s", module, module[0] ? " " : "", text_of(frame, "pc"));
	if (strcmp(text_of(frame, "how"), "scan") == 0)
		(void)printf(" (a guess)");
}

static void print_line(const struct frames_line *line)
{
	char number[FRAMES_NUMBER], times[FRAMES_TIMES];

	if (!line->frame) {
		(void)printf("%14s  (%" PRIu64 " frames left out)\n", "", line->count);
		return;
	}
	(void)printf("%14s  %s", "", frames_number(line, number));
	if (line->again == 0)
		print_frame(line->frame);
	(void)printf("%s\n", frames_times(line, times));
}

static void print_thread(const json_t *thread, bool crashed)
{
	struct frames frames = { .thread = thread };
	struct frames_line line;

	if (json_array_size(json_object_get(thread, "frames")) == 0)
		return;
	(void)printf("%14s: %" JSON_INTEGER_FORMAT "%s\n", "Thread",
		     json_integer_value(json_object_get(thread, "tid")),
		     crashed ? " (crashed)" : "");
	while (frames_next(&frames, &line))
		print_line(&line);
}

static void print_threads(const json_t *json, bool all)
{
	const json_t *threads = json_object_get(json, "threads"), *thread;
	size_t n = json_array_size(threads), i;

	json_array_foreach(threads, i, thread)
		if (i == 0 || all)
			print_thread(thread, i == 0);
	if (n > 1 && !all)
		(void)printf("%14s  and %zu more threads: --threads shows them\n", "", n - 1);
	if (json_is_false(json_object_get(json, "unwind_complete")))
		(void)printf("%14s  not all of them could be unwound in time\n", "");
}

static bool in_frames(const json_t *module, const json_t *frames)
{
	const json_t *frame;
	size_t i;

	json_array_foreach(frames, i, frame)
		if (strcmp(text_of(frame, "module"), text_of(module, "name")) == 0)
			return true;
	return false;
}

static void print_modules(const json_t *json, bool all)
{
	const json_t *modules = json_object_get(json, "modules"), *module;
	const json_t *crashed = json_array_get(json_object_get(json, "threads"), 0);
	const json_t *frames = json_object_get(crashed, "frames");
	size_t i, hidden = 0;

	json_array_foreach(modules, i, module) {
		const char *build_id = text_of(module, "build_id");

		if (!all && !in_frames(module, frames))
			hidden++;
		else
			(void)printf("%14s: %s, %s%s\n", "Module", text_of(module, "name"),
				     build_id[0] ? "build-id " : "no build-id", build_id);
	}
	if (hidden > 0)
		(void)printf("%14s  and %zu more modules: --modules shows them\n", "", hidden);
}

static void print_exception(const json_t *json)
{
	const json_t *exception = json_object_get(json, "exception");
	const char *message = text_of(exception, "message");

	if (exception)
		(void)printf("%14s: %s%s%s\n", "Exception", text_of(exception, "type"),
			     message[0] ? ": " : "", message);
}

static void print_signature(const json_t *json)
{
	const json_t *all = json_object_get(json, "signatures");

	if (!text_of(json, "signature")[0])
		return;
	(void)printf("%14s: %s%s%s\n", "Signature", text_of(json, "signature"),
		     strcmp(text_of(all, "confidence"), "low") == 0 ?
			     ", low confidence: few frames could be resolved" :
			     "",
		     strcmp(text_of(all, "class"), "sent") == 0 ?
			     ", sent by another process" :
			     "");
}

static void print_where(const json_t *json, const struct detail *detail)
{
	print_signature(json);
	print_text("Message", json, "abort_message");
	print_exception(json);
	print_text("Panic at", json_object_get(json, "panic"), "location");
	print_text("Not unwound", json, "unwind_error");
	print_threads(json, detail->threads);
	print_modules(json, detail->modules);
}

/* "11 (SIGSEGV: SEGV_MAPERR) at 0x10 (null page)" */
static void print_signal(const json_t *json, const struct record *record)
{
	const char *code = text_of(json, "si_code_name"), *at = text_of(json, "fault_address");
	const char *what = text_of(json, "points_at");
	const json_t *sender = json_object_get(json, "sender_pid");

	if (!record->signal)
		return;
	(void)printf("%14s: %d (%s%s%s)%s%s", "Signal", record->signal,
		     text_of(json, "signal_name"), code[0] ? ": " : "", code,
		     at[0] ? " at " : "", at);
	if (at[0] && what[0])
		(void)printf(" (%s)", what);
	if (json_is_true(json_object_get(json, "stack_overflow")))
		(void)printf(", the stack overflowed");
	if (json_is_integer(sender) && json_integer_value(sender) == record->pid)
		(void)printf(", sent by itself");
	else if (json_is_integer(sender))
		(void)printf(", sent by pid %" JSON_INTEGER_FORMAT, json_integer_value(sender));
	(void)printf("\n");
}

static void print_record(const json_t *json, const struct record *record, int store_fd)
{
	char time[CMD_TIME_SIZE];

	(void)printf("%14s: %s\n", "ID", record->id);
	(void)printf("%14s: %s\n", "Time",
		     cmd_format_time(record->time_ns / NS_PER_SEC, time));
	(void)printf("%14s: %s\n", "Process", record->process);
	if (record->decision != RECORD_FOLDED && record->pid == 0) /* a report that has none */
		(void)printf("%14s: %u\n", "UID", record->uid);
	else if (record->decision != RECORD_FOLDED)
		(void)printf("%14s: %" PRId64 " (thread %" PRId64 "), uid %u, gid %u\n", "PID",
			     record->pid, record->tid, record->uid, record->gid);
	print_text("Executable", json, "executable");
	print_text("Build-id", json, "build_id");
	print_argv(json);
	print_signal(json, record);
	print_text("Cgroup", json, "cgroup");
	print_text("Unit", json, "unit");
	print_text("Container", json, "container_id");
	print_text("Reported", json, "reported");
	(void)printf("%14s: %s (%s)\n", "Decision", record_decision_name(record->decision),
		     text_of(json, "decision_reason"));
	print_weight(record);
	print_stands_for(json, record, store_fd);
	print_capture(json, record);
	if (record->held_ms >= 0)
		(void)printf("%14s: %" PRId64 " ms, done after %" PRId64 " ms\n", "Held",
			     record->held_ms, record->total_ms);
	if (!record->identity_verified)
		print_text("Unverified", json, "identity_reason");
	print_text("Dump", json, "dump_error");
}

static int show(struct cmd *cmd, const struct ledger *ledger, const char *id,
		const struct detail *detail)
{
	struct record record = RECORD_NULL;
	json_t *json = cmd_read_record(ledger->store_fd, id);
	int status = CMD_DONE;

	if (!json || record_from_json(json, &record) < 0)
		status = cmd_failed(cmd, "record %s cannot be read", id);
	else if (cmd->json)
		status = cmd_print_json(cmd, json);
	else {
		print_record(json, &record, ledger->store_fd);
		print_where(json, detail);
	}
	json_decref(json);
	return status == CMD_DONE ? cmd_flush(cmd) : status;
}

static int info_run(struct cmd *cmd)
{
	struct choice choice = CHOICE_ALL;
	struct ledger ledger = LEDGER_NULL;
	char id[STATE_ID_SIZE];
	struct detail detail = { 0 };
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = choice_option(cmd, &choice, letter);
		if (status > 0)
			return status;
		detail.threads |= letter == 't';
		detail.modules |= letter == 'm';
	}
	if (letter < 0)
		return status;
	status = choice_take_words(cmd, &choice);
	if (status != CMD_DONE)
		return status;
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = choice_find(cmd, &choice, ledger.store_fd, id);
	if (status == CMD_DONE)
		status = show(cmd, &ledger, id, &detail);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_info = {
	.name = "info",
	.arguments = "[MATCH...]",
	.summary = "tell all that is known of one crash",
	.description = CHOICE_ONE,
	.options = options,
	.has_json = true,
	.has_times = true,
	.run = info_run,
};
