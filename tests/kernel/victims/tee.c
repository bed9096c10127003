/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A handler that saves the very bytes the kernel wrote (as `dump` beside itself) while it
 * feeds them to the corefold beside itself, whose arguments it was given.
 */

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t written = write(fd, p, n);

		if (written <= 0)
			return false;
		p += written;
		n -= (size_t)written;
	}
	return true;
}

static int start_corefold(const char *directory, char **argv)
{
	char program[PATH_MAX + 16];
	int ends[2];
	pid_t pid;

	(void)snprintf(program, sizeof(program), "%s/corefold", directory);
	if (pipe(ends) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)dup2(ends[0], STDIN_FILENO);
		(void)close(ends[0]);
		(void)close(ends[1]);
		(void)close(STDOUT_FILENO);
		(void)close(STDERR_FILENO);
		(void)execv(program, argv);
		_exit(126);
	}
	(void)close(ends[0]);
	return pid < 0 ? -1 : ends[1];
}

int main(int argc, char **argv)
{
	static char self[PATH_MAX], path[PATH_MAX + 16], block[65536];
	ssize_t n;
	int save, feed;
	bool feeding = true;

	(void)argc;
	for (int fd = 0; fd <= 2; fd++) /* the kernel gives us no fds 1 and 2 */
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDWR);
	(void)signal(SIGPIPE, SIG_IGN);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/dump", dirname(self));
	save = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	feed = start_corefold(self, argv);
	if (save < 0 || feed < 0)
		return 1;
	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0) {
		if (!write_all(save, block, (size_t)n))
			return 1;
		feeding = feeding && write_all(feed, block, (size_t)n);
	}
	(void)close(feed);
	while (wait(NULL) > 0)
		;
	return 0;
}
