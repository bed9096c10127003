/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a line of /proc/PID/cgroup says about who runs the process. */

#include <stddef.h>

#define CGROUP_NAME_SIZE 256

/* The path in the unified hierarchy, else in systemd's; "" when there is none. */
void cgroup_path(const char *text, char ret_path[static CGROUP_NAME_SIZE]);

/* The innermost component ending in .service, .scope, .socket or .slice; "" if none. */
void cgroup_unit(const char *path, char ret_unit[static CGROUP_NAME_SIZE]);

/* The id of a container: the innermost run of 64 hexadecimal digits; "" if none. */
void cgroup_container(const char *path, char ret_id[static CGROUP_NAME_SIZE]);
