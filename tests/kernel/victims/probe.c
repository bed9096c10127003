/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * How a machine feels from outside while something runs on it, until its input ends.
 *
 *   probe DIRECTORY
 *
 * Every 10 ms it sleeps 1 ms and starts a process, and tells at its end how long both took:
 * "turns median p99 max" in milliseconds. Besides that it looks at how much memory of their
 * own the programs of that directory named corefold... have together, at most: "KiB".
 */

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURNS_MAX 100000

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double turn_ms(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	double start = now_ms();
	pid_t pid;

	(void)nanosleep(&pause, NULL);
	pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return now_ms() - start - 1;
}

/* Resident pages less those of files: what it would not have without us. */
static long own_pages(const char *pid, const char *prefix)
{
	char path[64], exe[512];
	long size = 0, resident = 0, shared = 0;
	ssize_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return 0;
	exe[n] = '\0';
	if (strncmp(exe, prefix, strlen(prefix)) != 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%.16s/statm", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%ld %ld %ld", &size, &resident, &shared) != 3)
		resident = shared = 0;
	(void)fclose(f);
	return resident - shared;
}

static long memory_kib(const char *prefix)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	long pages = 0;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			pages += own_pages(entry->d_name, prefix);
	if (dir)
		(void)closedir(dir);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double turn[TURNS_MAX];
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char prefix[256];
	long most_kib = 0;
	size_t n = 0;

	if (argc != 2)
		return 2;
	(void)snprintf(prefix, sizeof(prefix), "%s/corefold", argv[1]);
	while (poll(&input, 1, 10) == 0 && n < TURNS_MAX) {
		long kib = memory_kib(prefix);

		if (kib > most_kib)
			most_kib = kib;
		turn[n++] = turn_ms();
	}
	if (n == 0)
		turn[n++] = turn_ms();
	qsort(turn, n, sizeof(*turn), compare);
	(void)printf("%zu %.1f %.1f %.1f\n%ld\n", n, turn[n / 2], turn[n * 99 / 100],
		     turn[n - 1], most_kib);
	return 0;
}
