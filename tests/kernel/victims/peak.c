/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A handler that runs the corefold beside itself with its own arguments and input, and
 * leaves in `peak` beside itself how many KiB of memory that had at most. (Nobody can ask
 * so of a child of the kernel.)
 */

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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
	(void)snprintf(path, sizeof(path), "%s/corefold", directory);
	pid = fork();
	if (pid == 0) {
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
