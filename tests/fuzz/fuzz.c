/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[64];
static pid_t owner;

void fuzz_broken(const char *condition)
{
	(void)dprintf(STDERR_FILENO, "broken: %s\n", condition);
	abort();
}

void fuzz_quiet(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	/* The streams of this program only: libFuzzer has its own already. */
	stderr = fopen("/dev/null", "we");
	stdout = fopen("/dev/null", "we");
	must_hold(stderr && stdout);
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static void remove_dir(void)
{
	if (getpid() == owner)
		(void)nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int fuzz_dir(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	owner = getpid();
	(void)snprintf(path, sizeof(path), "%s/corefold-fuzz.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must_hold(mkdtemp(path));
	(void)atexit(remove_dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must_hold(fd >= 0);
	return fd;
}

const char *fuzz_dir_path(void)
{
	(void)fuzz_dir();
	return path;
}

static void write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t written = write(fd, p, n);

		must_hold(written > 0);
		p += written;
		n -= (size_t)written;
	}
}

void fuzz_write(int dir_fd, const char *name, const void *bytes, size_t n)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must_hold(fd >= 0);
	write_all(fd, bytes, n);
	(void)close(fd);
}

int fuzz_memory_file(const void *bytes, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must_hold(fd >= 0);
	write_all(fd, bytes, n);
	must_hold(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must_hold(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}
