/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What one crash costs: how long the process is held, and when its core is stored.
 *
 *   bench-timed [-d DIRECTORY -s SUFFIX] COMMAND...
 *
 * Starts the command, waits until it says "ready", kills it with SIGABRT and waits for it;
 * then for a file DIRECTORY/...SUFFIX, which the handler makes last, whole and durable.
 * Prints nanoseconds from the signal until the process was reaped, nanoseconds until there
 * was the file (without -d, as before), the name of the file, and the process.
 */

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STORED_WITHIN_MS 120000

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The process, once it has said that it is ready. */
static pid_t start(char **command)
{
	const struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	char byte;
	int said[2];
	ssize_t n;
	pid_t pid;

	if (pipe(said) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &core);
		(void)dup2(said[1], STDOUT_FILENO);
		(void)close(said[0]);
		(void)close(said[1]);
		(void)execvp(command[0], command);
		_exit(127);
	}
	(void)close(said[1]);
	do {
		n = read(said[0], &byte, 1);
	} while (n == 1 && byte != '\n');
	(void)close(said[0]);
	return n == 1 ? pid : -1;
}

static bool is_wanted(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n >= m && name[0] != '.' && strcmp(name + n - m, suffix) == 0;
}

/* Files appear under their name when they are complete: linked or renamed. */
static int await_file(int fd, const char *suffix, char name[NAME_MAX + 1])
{
	char events[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	while (poll(&ready, 1, STORED_WITHIN_MS) == 1) {
		ssize_t n = read(fd, events, sizeof(events));

		for (char *p = events; n > 0 && p < events + n;) {
			struct inotify_event *event = (struct inotify_event *)p;

			if (event->len > 0 && is_wanted(event->name, suffix)) {
				(void)snprintf(name, NAME_MAX + 1, "%s", event->name);
				return 0;
			}
			p += sizeof(*event) + event->len;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	const char *directory = NULL, *suffix = "";
	char name[NAME_MAX + 1] = "-";
	int64_t killed_at, reaped_at, stored_at;
	int letter, status, fd;
	pid_t pid;

	while ((letter = getopt(argc, argv, "+d:s:")) > 0) {
		if (letter == 'd')
			directory = optarg;
		else if (letter == 's')
			suffix = optarg;
		else
			return 2;
	}
	fd = inotify_init1(IN_CLOEXEC);
	if (optind == argc || fd < 0 ||
	    (directory && inotify_add_watch(fd, directory, IN_CREATE | IN_MOVED_TO) < 0))
		return 2;
	pid = start(argv + optind);
	if (pid < 0)
		return 1;
	killed_at = now_ns();
	if (kill(pid, SIGABRT) < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	reaped_at = stored_at = now_ns();
	if (!WIFSIGNALED(status) || !WCOREDUMP(status))
		return 1;
	if (directory) {
		if (await_file(fd, suffix, name) < 0)
			return 1;
		stored_at = now_ns();
	}
	(void)printf("%lld %lld %s %d\n", (long long)(reaped_at - killed_at),
		     (long long)(stored_at - killed_at), name, (int)pid);
	return 0;
}
