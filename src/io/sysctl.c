/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io/cleanup.h"
#include "io/dir.h"

int sysctl_read(const char *path, char ret_value[static SYSCTL_SIZE])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret_value, SYSCTL_SIZE - 1);
	if (n < 0)
		return -errno;
	ret_value[n] = '\0';
	ret_value[strcspn(ret_value, "\n")] = '\0';
	return 0;
}

int sysctl_write(const char *path, const char *value)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	char now[SYSCTL_SIZE];
	int r;

	if (fd < 0)
		return -errno;
	r = dir_write_all(fd, value, strlen(value));
	if (r == 0)
		r = sysctl_read(path, now);
	if (r < 0)
		return r;
	return strcmp(now, value) == 0 ? 0 : SYSCTL_E_CUT;
}
