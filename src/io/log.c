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

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_SOCKET "/dev/log"
#define DATAGRAM_BYTES 4096
#define TEXT_BYTES 1000
#define VALUE_BYTES 512

static bool send_to(int fd, const char *path, const char *bytes, size_t n)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return sendto(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&address, sizeof(address)) == (ssize_t)n;
}

/* Names come escaped: once is enough, or none would be found again. */
static void escape_once(const char *raw, char *out, size_t size)
{
	if (name_draws(raw, strlen(raw)))
		(void)snprintf(out, size, "%s", raw);
	else
		(void)name_escape(raw, strlen(raw), out, size);
}

/* NAME=value and a newline, or nothing of it. The text holds no newline: it is escaped. */
static size_t add_field(char *out, size_t used, size_t size, const char *name,
			const char *value)
{
	size_t left = size - used;
	int n = snprintf(out + used, left, "%s=%s\n", name, value);

	return n > 0 && (size_t)n < left ? used + (size_t)n : used;
}

size_t log_format_journal(const struct log_entry *entry, const char *text, char *out,
			  size_t size)
{
	char priority[4], value[VALUE_BYTES];
	size_t n = 0;

	(void)snprintf(priority, sizeof(priority), "%d", entry->priority & LOG_PRIMASK);
	n = add_field(out, n, size, "MESSAGE", text);
	n = add_field(out, n, size, "PRIORITY", priority);
	n = add_field(out, n, size, "SYSLOG_IDENTIFIER", "corefold");
	n = add_field(out, n, size, "SYSLOG_FACILITY", "3"); /* daemon */
	if (entry->message_id)
		n = add_field(out, n, size, "MESSAGE_ID", entry->message_id);
	for (size_t i = 0; i < entry->fields; i++) {
		const char *raw = entry->field[i].value;

		if (!raw || !*raw)
			continue;
		escape_once(raw, value, sizeof(value));
		n = add_field(out, n, size, entry->field[i].name, value);
	}
	return n;
}

static void log_text(const struct log_entry *entry, const char *text)
{
	_cleanup_close_ int fd = -1;
	char bytes[DATAGRAM_BYTES];
	size_t n;

	if (log_target.to_stderr) {
		(void)fprintf(stderr, "corefold: %s\n", text);
		return;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	n = log_format_journal(entry, text, bytes, sizeof(bytes));
	if (fd >= 0 && send_to(fd, JOURNAL_SOCKET, bytes, n))
		return;
	n = (size_t)snprintf(bytes, sizeof(bytes), "<%d>corefold[%d]: %s",
			     LOG_DAEMON | entry->priority, (int)getpid(), text);
	if (fd >= 0 && send_to(fd, SYSLOG_SOCKET, bytes, n))
		return;
	bytes[n] = '\n';
	if (log_target.kmsg_fd >= 0)
		(void)!write(log_target.kmsg_fd, bytes, n + 1); /* nowhere left to say it */
	else /* of a handler it is /dev/null */
		(void)fprintf(stderr, "corefold: %s\n", text);
}

__attribute__((format(printf, 2, 0)))
static void log_format(const struct log_entry *entry, const char *format, va_list args)
{
	char raw[TEXT_BYTES - 100], text[TEXT_BYTES];

	(void)vsnprintf(raw, sizeof(raw), format, args);
	escape_once(raw, text, sizeof(text));
	log_text(entry, text);
}

void log_line(int priority, const char *format, ...)
{
	const struct log_entry entry = { .priority = priority };
	va_list args;

	va_start(args, format);
	log_format(&entry, format, args);
	va_end(args);
}

void log_entry(const struct log_entry *entry, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_format(entry, format, args);
	va_end(args);
}
