/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "policy/units.h"

static int64_t read_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(id, &ts); /* cannot fail for these two clocks */
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" to 16 bytes. */
static int parse_boot_id(const char *text, size_t n, uint8_t ret_id[CLOCK_BOOT_ID_BYTES])
{
	size_t digits = 0;

	for (size_t i = 0; i < n && digits < 2 * CLOCK_BOOT_ID_BYTES; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			continue;
		ret_id[digits / 2] = (uint8_t)(ret_id[digits / 2] << 4 | digit);
		digits++;
	}
	return digits == 2 * CLOCK_BOOT_ID_BYTES ? 0 : -EINVAL;
}

/* "monotonic <seconds> <nanoseconds>" in a line of its own; seconds may be negative. */
int64_t clock_offset_ns(const char *timens_offsets)
{
	const char *line = strstr(timens_offsets, "monotonic");
	int64_t seconds, ns, offset_ns;

	if (!line || sscanf(line, "monotonic %" SCNd64 " %" SCNd64, &seconds, &ns) != 2 ||
	    __builtin_mul_overflow(seconds, NS_PER_SEC, &offset_ns) ||
	    __builtin_add_overflow(offset_ns, ns, &offset_ns))
		return 0;
	return offset_ns;
}

/* We do not leave it, so it is asked for once. */
static bool in_initial_namespace;

void clock_assume_initial_namespace(void)
{
	in_initial_namespace = true;
}

/* PROC_TIME_INIT_INO */
#define INITIAL_NAMESPACE "time:[4026531834]"

/*
 * timens_offsets are those of our children, which are ours if the namespace is. It is not
 * after an unshare without exec or fork, or with exec before Linux 6.3.
 */
static int64_t namespace_offset_ns(void)
{
	char ours[64] = "", childrens[64] = "", text[256] = "";
	_cleanup_close_ int fd = -1;

	if (in_initial_namespace)
		return 0;
	if (readlink("/proc/self/ns/time", ours, sizeof(ours) - 1) < 0)
		return 0;
	in_initial_namespace = strcmp(ours, INITIAL_NAMESPACE) == 0;
	if (in_initial_namespace ||
	    readlink("/proc/self/ns/time_for_children", childrens, sizeof(childrens) - 1) < 0 ||
	    strcmp(ours, childrens) != 0)
		return 0;
	fd = open("/proc/self/timens_offsets", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	return clock_offset_ns(text);
}

int clock_read(struct clock_reading *ret_now)
{
	struct clock_reading now = { 0 };
	_cleanup_close_ int fd = -1;
	char text[64];
	ssize_t n;
	int r;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return -errno;
	r = parse_boot_id(text, (size_t)n, now.boot_id);
	if (r < 0)
		return r;
	now.monotonic_ns = read_ns(CLOCK_MONOTONIC) - namespace_offset_ns();
	now.wall_ns = read_ns(CLOCK_REALTIME);
	*ret_now = now;
	return 0;
}

int64_t clock_monotonic_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000;
}
