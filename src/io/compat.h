/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What musl 1.2 has not got, by the names and with the results that glibc gives. Each is
 * there only where it is missing.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h> /* RENAME_NOREPLACE, RENAME_EXCHANGE */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#ifndef HAVE_CLOSE_RANGE
static inline int close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}
#endif

#ifndef HAVE_RENAMEAT2
static inline int renameat2(int from_fd, const char *from, int to_fd, const char *to,
			    unsigned int flags)
{
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}
#endif

#ifndef HAVE_SCANDIRAT
/* Only of a directory that is open: the path is ".". */
static inline int scandirat(int dir_fd, const char *path, struct dirent ***ret_entries,
			    int (*wanted)(const struct dirent *),
			    int (*order)(const struct dirent **, const struct dirent **))
{
	char name[sizeof("/proc/self/fd/") + 10];

	(void)path;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", dir_fd);
	return scandir(name, ret_entries, wanted, order);
}
#endif

#ifndef HAVE_PTHREAD_CLOCKJOIN_NP
/* By the wall clock that there is: who sets it in between waits longer, or not so long. */
static inline int pthread_clockjoin_np(pthread_t thread, void **ret_value, clockid_t clock,
				       const struct timespec *until)
{
	struct timespec now, wall;
	long long ns;

	(void)clock_gettime(clock, &now);
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	ns = (until->tv_sec - now.tv_sec) * 1000000000LL + until->tv_nsec - now.tv_nsec +
	     wall.tv_nsec;
	if (ns < 0)
		ns = 0;
	wall.tv_sec += (time_t)(ns / 1000000000);
	wall.tv_nsec = (long)(ns % 1000000000);
	return pthread_timedjoin_np(thread, ret_value, &wall);
}
#endif
