/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/hook.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/clock.h"
#include "io/compat.h"
#include "io/dir.h"
#include "io/log.h"
#include "io/process.h"
#include "io/store.h"
#include "summary/known.h"

#define LOCK_FILE ".lock"
#define WORDS_MAX 32
#define POLL_MS 20

#define LOOP_PREFIX "loop-"
#define TEMP_PREFIX ".new."

/* ---- the queue ---- */

/* Ids of records begin with a date. */
static bool is_loop(const char *name)
{
	return strncmp(name, LOOP_PREFIX, strlen(LOOP_PREFIX)) == 0;
}

static int is_entry(const struct dirent *entry)
{
	return store_is_id(entry->d_name) || is_loop(entry->d_name);
}

static int list_entries(int queue_fd, struct dirent ***ret_entries)
{
	int n = scandirat(queue_fd, ".", ret_entries, is_entry, alphasort);

	return n < 0 ? -errno : n;
}

static void free_entries(struct dirent **entries, int n)
{
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
}

/* The queue, if it has room. */
static int open_queue(int dir_fd, int *ret_fd)
{
	struct dirent **entries = NULL;
	int r, n;

	r = dir_open_below(dir_fd, HOOK_DIR, ret_fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	n = list_entries(*ret_fd, &entries);
	if (n < 0)
		return n;
	free_entries(entries, n);
	return n >= HOOK_QUEUE_MAX ? -ENOSPC : 0;
}

int hook_queue(const struct config *config, int dir_fd, const char *id)
{
	_cleanup_close_ int queue_fd = -1, fd = -1;
	int r;

	if (!config->on_keep[0] && !config->on_new_signature[0])
		return 0;
	r = open_queue(dir_fd, &queue_fd);
	if (r == 0)
		r = dir_open_file(queue_fd, id, O_WRONLY | O_CREAT, &fd);
	return r > 0 ? -EPERM : r;
}

static const char *loop_command(const struct config *config, enum hook_loop what)
{
	return what == HOOK_LOOP_START ? config->on_loop_start : config->on_loop_end;
}

/* Whole before it has its name: a worker may be looking. */
int hook_queue_loop(const struct config *config, int dir_fd, enum hook_loop what,
		    const char *text)
{
	_cleanup_close_ int queue_fd = -1, fd = -1;
	char temp[32], name[64];
	struct clock_reading now;
	int r;

	if (!loop_command(config, what)[0])
		return 0;
	r = clock_read(&now);
	if (r == 0)
		r = open_queue(dir_fd, &queue_fd);
	if (r < 0)
		return r;
	(void)snprintf(temp, sizeof(temp), TEMP_PREFIX "%d", (int)getpid());
	(void)snprintf(name, sizeof(name), LOOP_PREFIX "%020lld-%d-%s", (long long)now.wall_ns,
		       (int)getpid(), what == HOOK_LOOP_START ? "start" : "end");
	r = dir_open_file(queue_fd, temp, O_WRONLY | O_CREAT | O_TRUNC, &fd);
	if (r == 0)
		r = dir_write_all(fd, text, strlen(text));
	if (r == 0 && renameat(queue_fd, temp, queue_fd, name) < 0)
		r = -errno;
	return r > 0 ? -EPERM : r;
}

/* ---- one command ---- */

/* Splits in place. The last place is for NULL, the one before for the record. */
static size_t split(char *command, char *words[static WORDS_MAX])
{
	size_t n = 0;
	char *save = NULL;

	for (char *word = strtok_r(command, " \t", &save); word && n < WORDS_MAX - 2;
	     word = strtok_r(NULL, " \t", &save))
		words[n++] = word;
	return n;
}

/* In the child. */
static void become_command(const char *command, const char *event, const char *path,
			   int record_fd)
{
	char text[CONFIG_COMMAND_SIZE], variable[64], *words[WORDS_MAX];
	char *environment[] = { (char *)"PATH=/usr/local/bin:/usr/bin:/bin", variable, NULL };
	const struct rlimit no_core = { 0, 0 };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	size_t n;

	(void)snprintf(text, sizeof(text), "%s", command);
	(void)snprintf(variable, sizeof(variable), "COREFOLD_EVENT=%s", event);
	n = split(text, words);
	if (n == 0 || null_fd < 0 || setsid() < 0)
		_exit(127);
	words[n] = (char *)path;
	words[n + 1] = NULL;
	(void)alarm(0);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)setrlimit(RLIMIT_CORE, &no_core); /* a hook that crashes starts no hook */
	if (dup2(record_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
	    dup2(null_fd, STDERR_FILENO) < 0 || chdir("/") < 0)
		_exit(127);
	/* Those we were started with are not ours to pass on. Linux 5.11; before, they stay. */
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)execve(words[0], words, environment);
	_exit(127);
}

/* The exit status as wait(2) has it; what is still there at the deadline is killed. */
static int wait_for(pid_t child, int64_t timeout_ms, bool *ret_killed)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	int64_t end_ms = clock_monotonic_ms() + timeout_ms;
	siginfo_t info = { 0 };
	int status = 0;

	while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0 && clock_monotonic_ms() < end_ms)
		(void)nanosleep(&pause, NULL);
	*ret_killed = info.si_pid == 0;
	/* Before it is reaped: until then nobody else can have its number. */
	(void)kill(-child, SIGKILL); /* a session of its own: what it left behind, too */
	(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void run_command(const struct config *config, const char *command, const char *event,
			const char *id, const char *path, int record_fd)
{
	int64_t timeout_ms = config->hook_timeout_ns / 1000000;
	bool killed;
	pid_t child;
	int status;

	process_deadline((unsigned int)(timeout_ms / 1000) + 30);
	if (lseek(record_fd, 0, SEEK_SET) < 0)
		return;
	child = fork();
	if (child == 0)
		become_command(command, event, path, record_fd);
	if (child < 0) {
		log_warning("hook %s for %s: %s", event, id, strerror(errno));
		return;
	}
	status = wait_for(child, timeout_ms, &killed);
	if (killed)
		log_warning("hook %s for %s: killed after %lld s", event, id,
			    (long long)(timeout_ms / 1000));
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		log_warning("hook %s for %s: cannot be started: %.100s", event, id, command);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		log_warning("hook %s for %s: %s %d", event, id,
			    WIFEXITED(status) ? "exit status" : "signal",
			    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* ---- one entry ---- */

/* New is what no record before this one has shown; it is known from now on. */
static bool is_new(int dir_fd, int store_fd, const char *id)
{
	struct known known = KNOWN_NULL;
	struct record record;
	json_t *json;
	bool new = false;

	if (store_read_record(store_fd, id, &json) < 0)
		return false;
	if (record_from_json(json, &record) == 0 && known_read(&known, dir_fd) == 0 &&
	    known_merge(&known, json, &record) == 0) {
		new = known_is_first(&known, json, &record);
		if (known.changed)
			(void)known_write(&known, dir_fd); /* the next tick does it again */
	}
	known_done(&known);
	json_decref(json);
	return new;
}

/* What is told of the loop is in the entry itself. */
static void run_loop(const struct config *config, int queue_fd, const char *name)
{
	size_t n = strlen(name);
	enum hook_loop what = n > 4 && strcmp(name + n - 4, "-end") == 0 ? HOOK_LOOP_END :
									     HOOK_LOOP_START;
	const char *command = loop_command(config, what);
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX + 80];

	(void)snprintf(path, sizeof(path), "%s/" HOOK_DIR "/%.60s", config->directory, name);
	if (command[0] && dir_open_file(queue_fd, name, O_RDONLY, &fd) == 0)
		run_command(config, command, what == HOOK_LOOP_END ? "loop-end" : "loop-start",
			    "a loop", path, fd);
}

static void run_record(const struct config *config, int dir_fd, int store_fd, const char *id)
{
	_cleanup_close_ int fd = -1;
	char name[STATE_ID_SIZE + 16], path[PATH_MAX + 64];

	(void)snprintf(name, sizeof(name), "%.*s" STORE_RECORD_SUFFIX, STATE_ID_SIZE, id);
	if (dir_open_file(store_fd, name, O_RDONLY, &fd) != 0)
		return; /* removed to make room meanwhile */
	(void)snprintf(path, sizeof(path), "%s/" STORE_DIR "/%s", config->directory, name);
	if (config->on_keep[0])
		run_command(config, config->on_keep, "keep", id, path, fd);
	if (config->on_new_signature[0] && is_new(dir_fd, store_fd, id))
		run_command(config, config->on_new_signature, "new-signature", id, path, fd);
}

/* ---- all of them ---- */

static bool hook_wanted(const struct config *config)
{
	return config->on_keep[0] || config->on_new_signature[0] || config->on_loop_start[0] ||
	       config->on_loop_end[0];
}

static bool has_entries(int queue_fd)
{
	struct dirent **entries = NULL;
	int n = list_entries(queue_fd, &entries);

	if (n >= 0)
		free_entries(entries, n);
	return n > 0;
}

/* False when another is at it. */
static bool run_entries(const struct config *config, int dir_fd, int store_fd, int queue_fd,
			int64_t end_ms)
{
	struct dirent **entries = NULL;
	_cleanup_close_ int lock_fd = -1;
	int n;

	if (dir_open_file(queue_fd, LOCK_FILE, O_RDWR | O_CREAT, &lock_fd) != 0 ||
	    flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	n = list_entries(queue_fd, &entries);
	for (int i = 0; i < n && clock_monotonic_ms() < end_ms; i++) {
		if (is_loop(entries[i]->d_name))
			run_loop(config, queue_fd, entries[i]->d_name);
		else
			run_record(config, dir_fd, store_fd, entries[i]->d_name);
		(void)unlinkat(queue_fd, entries[i]->d_name, 0); /* else it runs once more */
	}
	if (n >= 0)
		free_entries(entries, n);
	return true;
}

void hook_run(const struct config *config, int dir_fd, int store_fd, int64_t budget_ms)
{
	int64_t end_ms = clock_monotonic_ms() + budget_ms;
	_cleanup_close_ int queue_fd = -1;

	if (!hook_wanted(config) || faccessat(dir_fd, HOOK_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
	    dir_open_below(dir_fd, HOOK_DIR, &queue_fd) != 0)
		return;
	/*
	 * Who comes while another holds the lock leaves its entry to that one, maybe after
	 * its last look: so look again once the lock is free.
	 */
	while (has_entries(queue_fd) && clock_monotonic_ms() < end_ms)
		if (!run_entries(config, dir_fd, store_fd, queue_fd, end_ms))
			break;
}
