/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The kernel's settings that decide who gets core dumps. */

#include <stddef.h>

#define SYSCTL_CORE_PATTERN "/proc/sys/kernel/core_pattern"
#define SYSCTL_CORE_PIPE_LIMIT "/proc/sys/kernel/core_pipe_limit"
#define SYSCTL_SUID_DUMPABLE "/proc/sys/fs/suid_dumpable"
#define SYSCTL_SIZE 160

enum {
	SYSCTL_E_CUT = 1, /* the kernel stored something else than was written */
};

/* Reads a setting without its newline. */
int sysctl_read(const char *path, char ret_value[static SYSCTL_SIZE]);

/* Writes a setting and reads it back: core_pattern is cut silently at 127 characters. */
int sysctl_write(const char *path, const char *value);
