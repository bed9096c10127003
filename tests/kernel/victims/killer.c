/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Starts a program that crashes and kills its handler with SIGKILL.
 *
 *   killer HANDLER MICROSECONDS PROGRAM [ARGUMENT...]
 *
 * The handler is the process whose executable begins with HANDLER, and gets so long to live from
 * the moment it is seen. Says on stdout whether it was "killed" or was "gone" before.
 */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIDS_BEHIND 64
#define SECONDS_MAX 60

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static pid_t start_victim(char **argv)
{
	const struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)setrlimit(RLIMIT_CORE, &core);
	(void)execv(argv[0], argv);
	_exit(126);
}

/* The pid that was given last; the machine may start many programs while the victim runs. */
static pid_t newest_pid(void)
{
	FILE *f = fopen("/proc/loadavg", "re");
	int pid = 0;

	if (!f)
		return 0;
	(void)fscanf(f, "%*s %*s %*s %*s %d", &pid);
	(void)fclose(f);
	return pid;
}

/* The handler was started a moment ago: its pid is one of the last. */
static pid_t look_for(const char *handler)
{
	pid_t newest = newest_pid();

	for (pid_t pid = newest; pid > 0 && pid > newest - PIDS_BEHIND; pid--) {
		char path[64], executable[PATH_MAX];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
		n = readlink(path, executable, sizeof(executable) - 1);
		if (n <= 0)
			continue;
		executable[n] = '\0';
		if (strncmp(executable, handler, strlen(handler)) == 0)
			return pid;
	}
	return 0;
}

static void spin(double seconds)
{
	double end = now() + seconds;

	while (now() < end)
		;
}

int main(int argc, char **argv)
{
	double deadline = now() + SECONDS_MAX;
	pid_t victim, handler = 0;
	int status, killed = -1;

	if (argc < 4)
		return 2;
	victim = start_victim(argv + 3);
	if (victim < 0)
		return 1;
	/* The kernel starts handlers as nice as itself: not to come behind them. */
	(void)setpriority(PRIO_PROCESS, 0, -20);
	while (handler == 0 && now() < deadline && waitpid(victim, &status, WNOHANG) == 0)
		handler = look_for(argv[1]);
	if (handler > 0) {
		spin(strtod(argv[2], NULL) / 1e6);
		killed = kill(handler, SIGKILL);
	}
	(void)waitpid(victim, &status, 0);
	(void)puts(killed == 0 ? "killed" : "gone");
	return 0;
}
