/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "policy/name.h"

/* The only state of the process that is not passed around. */
static struct log_target log_target = { .to_stderr = true, .kmsg_fd = -1 };

struct log_target log_get(void)
{
	return log_target;
}

void log_set(struct log_target target)
{
	log_target = target;
}

void log_open(bool to_stderr)
{
	log_target.to_stderr = to_stderr;
	if (!to_stderr)
		log_target.kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
}

static bool send_to_socket(const char *text, size_t n)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 &&
	       connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

void log_line(int priority, const char *format, ...)
{
	char raw[900], text[1000], line[1100];
	va_list args;
	int n;

	va_start(args, format);
	(void)vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	(void)name_escape(raw, strlen(raw), text, sizeof(text));
	if (log_target.to_stderr) {
		(void)fprintf(stderr, "corefold: %s\n", text);
		return;
	}
	n = snprintf(line, sizeof(line), "<%d>corefold[%d]: %s", LOG_DAEMON | priority,
		     (int)getpid(), text);
	if (send_to_socket(line, (size_t)n) || log_target.kmsg_fd < 0)
		return;
	line[n] = '\n';
	(void)!write(log_target.kmsg_fd, line, (size_t)n + 1); /* nowhere left to say it */
}
