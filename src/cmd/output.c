/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The unfinished file, for the parent to remove when it is told to stop. */
static char temp_path[PATH_MAX];

static void stop(int signal_number)
{
	(void)unlink(temp_path);
	_exit(128 + signal_number);
}

/* Waits for the child that writes, and puts the file in its place if all went well. */
static int finish(struct cmd *cmd, pid_t child, int fd, const char *path)
{
	int status;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) != CMD_DONE) {
		(void)unlink(temp_path);
		return WEXITSTATUS(status); /* the child has said why */
	}
	if (!WIFEXITED(status) || fsync(fd) < 0 || rename(temp_path, path) < 0) {
		status = cmd_failed(cmd, "%s: %s", path,
				    WIFEXITED(status) ? strerror(errno) :
							"the writer was killed");
		(void)unlink(temp_path);
		return status;
	}
	return CMD_DONE;
}

static int make_temp(struct cmd *cmd, const char *path, struct output *output)
{
	const char *slash = strrchr(path, '/');
	int directory = slash ? (int)(slash - path) + 1 : 0;

	if (snprintf(temp_path, sizeof(temp_path), "%.*s.corefold.XXXXXX", directory, path) >=
	    (int)sizeof(temp_path))
		return cmd_failed(cmd, "%s: %s", path, strerror(ENAMETOOLONG));
	output->fd = mkostemp(temp_path, O_CLOEXEC);
	if (output->fd < 0)
		return cmd_failed(cmd, "%s: %s", path, strerror(errno));
	output->regular = true;
	return CMD_DONE;
}

static pid_t fork_writer(struct cmd *cmd)
{
	pid_t child = fork();

	if (child < 0) {
		(void)cmd_failed(cmd, "cannot start a process: %s", strerror(errno));
		(void)unlink(temp_path);
	}
	if (child > 0)
		cmd_on_signals(stop);
	return child;
}

int output_write(struct cmd *cmd, const char *path, output_writer *write, void *userdata)
{
	struct output output;
	int status;
	pid_t child;

	status = make_temp(cmd, path, &output);
	if (status != CMD_DONE)
		return status;
	(void)fflush(stdout); /* or both write what is buffered */
	child = fork_writer(cmd);
	if (child == 0) {
		status = write(cmd, &output, userdata);
		(void)fflush(stdout);
		_exit(status);
	}
	status = child < 0 ? CMD_FAILED : finish(cmd, child, output.fd, path);
	(void)close(output.fd);
	return status;
}

static int open_temp(struct cmd *cmd, const char *path, struct output *output)
{
	int status;
	pid_t child;

	status = make_temp(cmd, path, output);
	if (status != CMD_DONE)
		return status;
	child = fork_writer(cmd);
	if (child > 0)
		exit(finish(cmd, child, output->fd, path));
	return child < 0 ? CMD_FAILED : CMD_DONE;
}

int output_open(struct cmd *cmd, const char *path, struct output *ret_output)
{
	struct stat st;

	*ret_output = (struct output){ .fd = STDOUT_FILENO };
	if (!path)
		return CMD_DONE;
	if (!*path)
		return cmd_usage_error(cmd, "an empty name is no file to write to");
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return open_temp(cmd, path, ret_output);
	/* A device or a pipe cannot be replaced, and need not. */
	ret_output->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (ret_output->fd < 0)
		return cmd_failed(cmd, "%s: %s", path, strerror(errno));
	return CMD_DONE;
}
