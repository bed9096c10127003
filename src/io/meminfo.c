/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/meminfo.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"

uint64_t meminfo_available(void)
{
	_cleanup_close_ int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	static const char key[] = "\nMemAvailable:";
	char text[1024]; /* it is the third line */
	const char *line;
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, key);
	return line ? strtoull(line + strlen(key), NULL, 10) * 1024 : UINT64_MAX;
}
