/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A handler that runs the program `peak-of` beside itself, else corefold, with its own
 * arguments and input, and leaves in `peak` beside itself how many KiB of memory that or
 * one of its helpers had at most. (Nobody can ask so of a child of the kernel.)
 */

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A socket that was handed over is for the process that is named. */
static void take_socket(void)
{
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (getenv("LISTEN_PID"))
		(void)setenv("LISTEN_PID", pid, 1);
}

int main(int argc, char **argv)
{
	char self[PATH_MAX], path[PATH_MAX + 16];
	struct rusage usage;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *directory;
	int status, fd;
	pid_t pid;

	(void)argc;
	if (n <= 0)
		return 1;
	self[n] = '\0';
	directory = dirname(self);
	(void)snprintf(path, sizeof(path), "%s/peak-of", directory);
	if (access(path, X_OK) < 0)
		(void)snprintf(path, sizeof(path), "%s/corefold", directory);
	pid = fork();
	if (pid == 0) {
		take_socket();
		(void)execv(path, argv);
		_exit(126);
	}
	(void)close(STDIN_FILENO); /* or a fold would not end the dump */
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/peak", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd >= 0 && dprintf(fd, "%ld\n", usage.ru_maxrss) > 0 ? 0 : 1;
}
