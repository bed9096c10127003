/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/loops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/hook.h"
#include "io/cleanup.h"
#include "io/compat.h"
#include "io/dir.h"
#include "io/log.h"
#include "policy/units.h"

#define TEMP_PREFIX ".new."
#define FLAG_BYTES_MAX 4096
#define FLAG_NAME_SIZE (NAME_SIZE * 4 + 16)

/* ---- one file ---- */

/* A name from `report` may hold slashes; no other name has a backslash before x2f. */
static void flag_name(uint32_t uid, const char *process, char out[static FLAG_NAME_SIZE])
{
	int used = snprintf(out, FLAG_NAME_SIZE, "%u-", uid);

	for (const char *p = process; *p; p++)
		used += snprintf(out + used, FLAG_NAME_SIZE - (size_t)used,
				 *p == '/' ? "\\x2f" : "%c", *p);
}

static int write_flag(int loops_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = -1;
	char temp[32];
	int r;

	(void)snprintf(temp, sizeof(temp), TEMP_PREFIX "%d", (int)getpid());
	r = dir_open_file(loops_fd, temp, O_WRONLY | O_CREAT | O_TRUNC, &fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	r = dir_write_all(fd, text, strlen(text));
	if (r == 0 && renameat(loops_fd, temp, loops_fd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(loops_fd, temp, 0); /* else the next with this pid does */
	return r;
}

static json_t *read_flag(int loops_fd, const char *name)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t bytes;

	if (dir_open_file(loops_fd, name, O_RDONLY, &fd) != 0 ||
	    dir_read_fd(fd, FLAG_BYTES_MAX, &text, &bytes) != 0)
		return NULL;
	return json_loads(text, 0, NULL);
}

static int is_flag(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void free_entries(struct dirent **entries, int n)
{
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
}

/* ---- the start ---- */

static json_t *describe(const struct crash *crash)
{
	const struct ledger_ticket *ticket = &crash->ticket;
	const char *unit = json_string_value(json_object_get(crash->record.details, "unit"));
	json_t *json = json_pack("{s:I, s:s, s:I, s:I, s:b, s:I}", "uid",
				 (json_int_t)ticket->uid, "process", ticket->process, "since",
				 (json_int_t)(crash->ledger->now.wall_ns / NS_PER_SEC), "pid",
				 (json_int_t)crash->request.pid, "slow", ticket->slow, "crashes",
				 (json_int_t)ticket->crashes);

	if (unit)
		(void)json_object_set_new(json, "unit", json_string(unit));
	return json;
}

static int put_flag(const struct crash *crash, const char *text)
{
	char name[FLAG_NAME_SIZE];
	_cleanup_close_ int loops_fd = -1;
	struct dirent **entries = NULL;
	int r, n;

	r = dir_open_below(crash->ledger->dir_fd, LOOPS_DIR, &loops_fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	n = scandirat(loops_fd, ".", &entries, is_flag, NULL);
	free_entries(entries, n);
	if (n >= LOOPS_MAX)
		return -ENOSPC;
	flag_name(crash->ticket.uid, crash->ticket.process, name);
	return write_flag(loops_fd, name, text);
}

static void log_start(const struct crash *crash)
{
	const struct ledger_ticket *ticket = &crash->ticket;
	const struct throttle_limits *limits = &crash->config->throttle;
	char uid[16], span[UNITS_SIZE];
	const struct log_field fields[] = {
		{ "COREFOLD_PROCESS", ticket->process },
		{ "COREFOLD_UID", uid },
		{ "COREFOLD_UNIT",
		  json_string_value(json_object_get(crash->record.details, "unit")) },
	};

	(void)snprintf(uid, sizeof(uid), "%u", ticket->uid);
	log_entry(&(struct log_entry){ LOG_WARNING, LOG_ID_LOOP_START, fields,
				       ARRAY_SIZE(fields) },
		  "%s (uid %u) is in a crash loop (more than %u crashes in %s): from now on one "
		  "crash in %u is kept",
		  ticket->process, ticket->uid, ticket->slow ? limits->slow_limit : limits->limit,
		  units_format_span(ticket->slow ? limits->slow_window_ns : limits->age_out_ns,
				    span),
		  limits->report_every);
}

void loops_begin(struct crash *crash)
{
	json_t *json = describe(crash);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int r = text ? put_flag(crash, text) : -ENOMEM;

	log_start(crash);
	if (r < 0)
		log_warning("no file in " LOOPS_DIR " for %s: %s", crash->ticket.process,
			    strerror(-r));
	r = text ? hook_queue_loop(crash->config, crash->ledger->dir_fd, HOOK_LOOP_START, text) : 0;
	if (r < 0)
		log_warning("the hook of the loop of %s is not run: %s", crash->ticket.process,
			    strerror(-r));
	free(text);
	json_decref(json);
}

/* ---- the end ---- */

static bool goes_on(struct ledger *ledger, uint32_t uid, const char *process,
		    uint64_t *ret_crashes)
{
	struct state_slot slot;
	uint32_t index;

	*ret_crashes = 0;
	if (state_find(ledger->state, uid, process, &index, &slot) != 0)
		return false; /* it had to give up its place: nobody knows any more */
	*ret_crashes = slot.account.crashes;
	return ledger->config->throttle.enabled &&
	       throttle_window_over(&slot.account.throttle.window, &ledger->config->throttle,
				    ledger->on_time_ns);
}

/* True: ended, or no flag of ours. What is told of the end goes into `json`. */
static bool has_ended(struct ledger *ledger, json_t *json)
{
	json_int_t uid = json_integer_value(json_object_get(json, "uid"));
	json_int_t before = json_integer_value(json_object_get(json, "crashes"));
	const char *process = json_string_value(json_object_get(json, "process"));
	uint64_t crashes;

	if (!process || uid < 0 || uid > UINT32_MAX)
		return true;
	if (goes_on(ledger, (uint32_t)uid, process, &crashes))
		return false;
	(void)json_object_set_new(json, "until",
				  json_integer(ledger->now.wall_ns / NS_PER_SEC));
	if (crashes >= (uint64_t)before) /* with the one that started it */
		(void)json_object_set_new(json, "loop_crashes",
					  json_integer((json_int_t)crashes - before + 1));
	return true;
}

json_t *loops_take_ended(struct ledger *ledger)
{
	_cleanup_close_ int loops_fd = -1;
	struct dirent **entries = NULL;
	json_t *ended = NULL;
	int n;

	if (faccessat(ledger->dir_fd, LOOPS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
	    dir_open_below(ledger->dir_fd, LOOPS_DIR, &loops_fd) != 0)
		return NULL;
	n = scandirat(loops_fd, ".", &entries, is_flag, alphasort);
	for (int i = 0; i < n; i++) {
		json_t *json = read_flag(loops_fd, entries[i]->d_name);

		if (has_ended(ledger, json) && unlinkat(loops_fd, entries[i]->d_name, 0) == 0 &&
		    json) {
			ended = ended ?: json_array();
			(void)json_array_append(ended, json);
		}
		json_decref(json);
	}
	free_entries(entries, n);
	return ended;
}

static void log_end(const json_t *json)
{
	const char *process = json_string_value(json_object_get(json, "process"));
	json_int_t since = json_integer_value(json_object_get(json, "since"));
	json_int_t until = json_integer_value(json_object_get(json, "until"));
	char uid[16], span[UNITS_SIZE];
	const struct log_field fields[] = {
		{ "COREFOLD_PROCESS", process },
		{ "COREFOLD_UID", uid },
		{ "COREFOLD_UNIT", json_string_value(json_object_get(json, "unit")) },
	};

	if (!process)
		return;
	(void)snprintf(uid, sizeof(uid), "%" JSON_INTEGER_FORMAT,
		       json_integer_value(json_object_get(json, "uid")));
	log_entry(&(struct log_entry){ LOG_NOTICE, LOG_ID_LOOP_END, fields, ARRAY_SIZE(fields) },
		  "the crash loop of %s (uid %s) has ended: %" JSON_INTEGER_FORMAT
		  " crashes in %s",
		  process, uid, json_integer_value(json_object_get(json, "loop_crashes")),
		  units_format_span(until > since ? (until - since) * NS_PER_SEC : 0, span));
}

void loops_tell_ended(struct ledger *ledger, json_t *ended)
{
	json_t *json;
	size_t i;

	json_array_foreach(ended, i, json) {
		char *text = json_dumps(json, JSON_COMPACT);
		int r = text ? hook_queue_loop(ledger->config, ledger->dir_fd, HOOK_LOOP_END, text) :
			       -ENOMEM;

		log_end(json);
		if (r < 0)
			log_warning("a hook of the end of a loop is not run: %s", strerror(-r));
		free(text);
	}
	json_decref(ended);
}
