/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Tells of crashes as they come, until it is interrupted or nobody reads any more. Nothing
 * is asked of the handler and no lock is taken: kept crashes are new files in the store,
 * folds new lines of the counters, loops files of their own.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd/choose.h"
#include "cmd/folds.h"
#include "cmd/table.h"
#include "core/record.h"
#include "crash/loops.h"
#include "io/cleanup.h"
#include "io/counters.h"
#include "io/dir.h"
#include "io/store.h"
#include "policy/units.h"

#define EVENTS_BYTES (64 * 1024)

static const struct cmd_option options[] = {
	{ 'p', "process", "NAME", "only crashes of this process" },
	{ CHOICE_LETTER_SIGNATURE, "signature", "TEXT", "only signatures that contain TEXT" },
	{ 'n', NULL, "N", "begin with the N newest that are there (0)" },
	{ 0 },
};

struct watch {
	struct cmd *cmd;
	struct choice choice;
	uint64_t newest;
	struct ledger *ledger;
	struct screen screen;
	int inotify_fd;
	int signal_fd;
	int loops_fd;
	int store_wd, state_wd, loops_wd;
	json_t *told; /* ids that were there in the beginning */
	char last_id[STATE_ID_SIZE]; /* the greatest that was told of */
	struct folds folds;
	bool end;
	int status;
};

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

/* ---- telling ---- */

/* Whoever has read enough has closed the pipe: that is the end, and no failure. */
static void flush(struct watch *watch)
{
	if (fflush(stdout) == 0)
		return;
	watch->end = true;
	if (errno != EPIPE)
		watch->status = cmd_failed(watch->cmd, "cannot write to standard output: %s",
					   strerror(errno));
}

/* Takes the reference. */
static void tell_json(struct watch *watch, const char *event, json_t *json)
{
	json_t *line = json_pack("{s:s}", "event", event);

	(void)json_object_update(line, json);
	(void)json_object_set_new(line, "event", json_string(event));
	(void)json_dumpf(line, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(line);
	json_decref(json);
	flush(watch);
}

__attribute__((format(printf, 3, 4)))
static void tell_text(struct watch *watch, int64_t seconds, const char *format, ...)
{
	char time_text[CMD_TIME_SIZE], line[2048], cut[4096];
	va_list args;
	int n;

	n = snprintf(line, sizeof(line), "%s  ", cmd_format_time(seconds, time_text));
	va_start(args, format);
	(void)vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	va_end(args);
	screen_cut(&watch->screen, line, watch->screen.width ?: UINT32_MAX, cut, sizeof(cut));
	(void)puts(cut);
	flush(watch);
}

static void tell_record(struct watch *watch, const char *id, json_t *json)
{
	struct record record = RECORD_NULL;

	if (record_from_json(json, &record) < 0)
		return;
	if (strcmp(id, watch->last_id) > 0)
		(void)snprintf(watch->last_id, sizeof(watch->last_id), "%s", id);
	if (!choice_matches(&watch->choice, json))
		return;
	if (watch->cmd->json) {
		tell_json(watch, "kept", cmd_brief(json));
		return;
	}
	tell_text(watch, record.time_ns / NS_PER_SEC,
		  "%-6s %s  %s (pid %" PRId64 ", uid %u) signal %d, weight %" PRIu64 ", %s %s",
		  record_decision_name(record.decision), record.id, record.process, record.pid,
		  record.uid, record.signal, record.weight, capture_kind_name(record.capture),
		  text_of(json, "signature"));
}

static void tell_id(struct watch *watch, const char *id)
{
	json_t *json = cmd_read_record(watch->ledger->store_fd, id);

	if (json)
		tell_record(watch, id, json);
	json_decref(json);
}

/* A signature is not known of what was folded, nor an id. */
static bool wants_process(const struct watch *watch, const char *process)
{
	const struct choice *choice = &watch->choice;
	bool named = choice->words == 0;

	for (int i = 0; i < choice->words; i++)
		named |= strcmp(choice->word[i], process) == 0 ||
			 strcmp(choice->word[i], "last") == 0; /* what comes is the newest */
	return named && !choice->signature &&
	       (!choice->process || strcmp(choice->process, process) == 0);
}

/* ---- folds, from the counters ---- */

static bool tell_fold(void *userdata, const struct fold *fold)
{
	struct watch *watch = userdata;

	if (!wants_process(watch, fold->process))
		return true;
	if (watch->cmd->json)
		tell_json(watch, "folded",
			  json_pack("{s:I, s:I, s:s, s:I, s:I}", "time", fold->time_s, "uid",
				    fold->uid, "process", fold->process, "count", fold->count,
				    "pending", fold->pending));
	else
		tell_text(watch, fold->time_s,
			  "folded %" JSON_INTEGER_FORMAT " of %s (uid %" JSON_INTEGER_FORMAT
			  "), %" JSON_INTEGER_FORMAT " pending",
			  fold->count, fold->process, fold->uid, fold->pending);
	return !watch->end;
}

static void tell_folds(struct watch *watch)
{
	folds_read(&watch->folds, watch->ledger->dir_fd, tell_fold, watch);
}

/* ---- loops ---- */

static void tell_loop(struct watch *watch, const char *name, bool begins)
{
	const char *dash = strchr(name, '-'), *process = dash ? dash + 1 : name;
	int64_t now_s = time(NULL);

	if (name[0] == '.' || !wants_process(watch, process))
		return;
	if (watch->cmd->json)
		tell_json(watch, begins ? "loop-start" : "loop-end",
			  json_pack("{s:I, s:I, s:s}", "time", (json_int_t)now_s, "uid",
				    (json_int_t)strtoul(name, NULL, 10), "process", process));
	else
		tell_text(watch, now_s, "%s (uid %.*s) %s", process, (int)(process - 1 - name), name,
			  begins ? "is in a crash loop" : "is out of its crash loop");
}

/* ---- what inotify says ---- */

/* More came than the queue holds: what is new is found by its id. */
static void catch_up(struct watch *watch)
{
	char last[STATE_ID_SIZE], **ids;
	size_t n;

	(void)snprintf(last, sizeof(last), "%s", watch->last_id);
	if (store_list(watch->ledger->store_fd, &ids, &n) < 0)
		return;
	for (size_t i = 0; i < n && !watch->end; i++)
		if (strcmp(ids[i], last) > 0)
			tell_id(watch, ids[i]);
	store_free_ids(ids, n);
	tell_folds(watch);
}

static void take_new_file(struct watch *watch, const char *name)
{
	size_t n = strlen(name), suffix = strlen(STORE_RECORD_SUFFIX);
	char id[STATE_ID_SIZE];

	if (n <= suffix || n - suffix >= sizeof(id) || strcmp(name + n - suffix, STORE_RECORD_SUFFIX) != 0)
		return;
	(void)snprintf(id, sizeof(id), "%.*s", (int)(n - suffix), name);
	if (!store_is_id(id))
		return;
	if (json_object_get(watch->told, id)) { /* came between the first look and the watch */
		(void)json_object_del(watch->told, id);
		return;
	}
	tell_id(watch, id);
}

/* The watch would go on, on a directory that nobody reaches any more. */
static void take_removal(struct watch *watch, const char *name)
{
	if (strcmp(name, STORE_DIR) != 0 && strcmp(name, LOOPS_DIR) != 0)
		return;
	watch->end = true;
	watch->status = cmd_failed(watch->cmd, "%s/%s is gone", watch->cmd->config.directory, name);
}

static void take_event(struct watch *watch, const struct inotify_event *event)
{
	const char *name = event->len > 0 ? event->name : "";

	if (event->mask & IN_Q_OVERFLOW)
		catch_up(watch);
	else if (event->wd == watch->state_wd && (event->mask & (IN_DELETE | IN_MOVED_FROM)))
		take_removal(watch, name);
	else if (event->wd == watch->store_wd)
		take_new_file(watch, name);
	else if (event->wd == watch->loops_wd)
		tell_loop(watch, name, !(event->mask & IN_DELETE));
	else if (strcmp(name, COUNTERS_FILE) == 0)
		tell_folds(watch);
}

static void take_events(struct watch *watch)
{
	static char bytes[EVENTS_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(watch->inotify_fd, bytes, sizeof(bytes));

	for (ssize_t at = 0; at < n && !watch->end;) {
		const struct inotify_event *event = (const struct inotify_event *)(bytes + at);

		take_event(watch, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

/* ---- following ---- */

static int add_watch(struct watch *watch, int fd, uint32_t mask, int *ret_wd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*ret_wd = inotify_add_watch(watch->inotify_fd, path, mask);
	return *ret_wd < 0 ? -errno : 0;
}

static int add_watches(struct watch *watch)
{
	int r;

	watch->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->inotify_fd < 0)
		return -errno;
	r = dir_open_below(watch->ledger->dir_fd, LOOPS_DIR, &watch->loops_fd);
	if (r == 0)
		r = add_watch(watch, watch->ledger->store_fd, IN_CREATE | IN_MOVED_TO,
			      &watch->store_wd);
	if (r == 0)
		r = add_watch(watch, watch->loops_fd, IN_MOVED_TO | IN_DELETE, &watch->loops_wd);
	if (r == 0)
		r = add_watch(watch, watch->ledger->dir_fd, IN_MODIFY | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM,
			      &watch->state_wd);
	return r > 0 ? -EPERM : r;
}

/* Blocked before anything is told: who interrupts always finds a clean end. */
static int take_signals(struct watch *watch)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	watch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return watch->signal_fd < 0 ? -errno : 0;
}

static void tell_newest(struct watch *watch)
{
	char **ids;
	size_t n;

	if (store_list(watch->ledger->store_fd, &ids, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		(void)json_object_set_new(watch->told, ids[i], json_true());
		if (i + 1 == n)
			(void)snprintf(watch->last_id, sizeof(watch->last_id), "%s", ids[i]);
	}
	for (size_t i = n - (watch->newest < n ? watch->newest : n); i < n && !watch->end; i++)
		tell_id(watch, ids[i]);
	store_free_ids(ids, n);
}

static void follow(struct watch *watch)
{
	struct pollfd fds[] = {
		{ .fd = watch->inotify_fd, .events = POLLIN },
		{ .fd = watch->signal_fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO, .events = 0 }, /* its reader may go while nothing crashes */
	};

	while (!watch->end) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents || (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)))
			break;
		if (fds[0].revents)
			take_events(watch);
	}
}

static int watch_store(struct watch *watch)
{
	int r;

	r = take_signals(watch);
	if (r == 0)
		r = add_watches(watch);
	if (r < 0)
		return cmd_failed(watch->cmd, "cannot watch %s: %s", watch->cmd->config.directory,
				  strerror(-r));
	watch->told = json_object();
	watch->screen = screen_of(stdout);
	folds_read(&watch->folds, watch->ledger->dir_fd, NULL, NULL);
	tell_newest(watch);
	if (!watch->cmd->json && watch->screen.terminal)
		(void)fprintf(stderr, "waiting for crashes; Ctrl-C ends\n");
	follow(watch);
	json_decref(watch->told);
	folds_done(&watch->folds);
	return watch->status;
}

/* ---- the command ---- */

static int watch_run(struct cmd *cmd)
{
	struct ledger ledger = LEDGER_NULL;
	struct watch watch = { .cmd = cmd,
			       .choice = CHOICE_ALL,
			       .ledger = &ledger,
			       .inotify_fd = -1,
			       .signal_fd = -1,
			       .loops_fd = -1,
			       .folds = FOLDS_NULL };
	int status = CMD_DONE, letter, r;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = choice_option(cmd, &watch.choice, letter);
		if (status > 0)
			return status;
		r = letter == 'n' ? units_parse_number(optarg, UINT32_MAX, &watch.newest) : 0;
		if (r < 0)
			return cmd_bad_value(cmd, letter, r);
	}
	if (letter < 0)
		return status;
	status = choice_take_words(cmd, &watch.choice);
	if (status != CMD_DONE)
		return status;
	status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE) /* but 'last' is whichever comes */
		status = choice_resolve(cmd, &watch.choice, ledger.store_fd);
	watch.choice.last[0] = '\0';
	if (status == CMD_DONE)
		status = watch_store(&watch);
	close_fd(&watch.inotify_fd);
	close_fd(&watch.signal_fd);
	close_fd(&watch.loops_fd);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_watch = {
	.name = "watch",
	.arguments = "[MATCH...]",
	.summary = "tell of crashes as they come, kept and folded",
	.description = "Ends when it is interrupted or nobody reads any more.",
	.options = options,
	.has_json = true,
	.has_times = true,
	.run = watch_run,
};
