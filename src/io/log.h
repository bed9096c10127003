/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One line to whoever reads: stderr when somebody started us by hand, else the system log
 * socket without blocking, else the kernel log. In the kernel path nothing may wait: the
 * crashed process may be the logger itself.
 *
 * Everything below the pipeline and the commands is silent; they log.
 */

#include <stdbool.h>
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

/* priority as in syslog(3). Control characters in the text are escaped. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
