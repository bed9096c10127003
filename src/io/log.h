/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One line to whoever reads: stderr when somebody started us by hand; else journald's own
 * socket, with fields; else the system log socket; else the kernel log. In the kernel path
 * nothing may wait: the crashed process may be the logger itself.
 *
 * Everything below the pipeline and the commands is silent; they log.
 */

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

struct log_target {
	bool to_stderr; /* a person is watching */
	int kmsg_fd; /* -1: not open */
};

/* Opens what can only be opened as root. */
void log_open(bool to_stderr);

/* Where lines go, and to let them go where another process of ours sent them. */
struct log_target log_get(void);
void log_set(struct log_target target);

/* What journald keeps beside the line. Names are capitals, digits and '_'. */
struct log_field {
	const char *name;
	const char *value; /* NULL or "": left out. What does not draw is escaped. */
};

/* What happened, for who searches by it: journalctl MESSAGE_ID=... */
#define LOG_ID_KEPT "b397ff670be34511aa41b0f8f0e76bfe"
#define LOG_ID_FOLDED "824f375941ab41de926872b6eed05e79"
#define LOG_ID_LOOP_START "472945882f6b4138b71f6601e8a1d9c5"
#define LOG_ID_LOOP_END "260189e3647d429fb86708e61c53720e"

struct log_entry {
	int priority; /* as in syslog(3) */
	const char *message_id; /* LOG_ID_*, or NULL */
	const struct log_field *field;
	size_t fields;
};

void log_entry(const struct log_entry *entry, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The entry as one datagram of journald's protocol. Returns its bytes, at most `size`:
 * fields that do not fit are left out, the line never is.
 */
size_t log_format_journal(const struct log_entry *entry, const char *text, char *out,
			  size_t size);

/* priority as in syslog(3). Control characters in the text are escaped. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
