/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/buildfiles.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buildid.h"
#include "io/cleanup.h"

#define LEVELS_MAX 32

struct buildfile {
	char build_id[BUILDID_TEXT];
	int fd;
};

struct buildfiles {
	struct buildfile *file; /* by build-id, but for what was added just now */
	size_t n;
	size_t room;
};

static int append(struct buildfiles *files, const char *build_id, int fd)
{
	struct buildfile *larger;
	size_t room = files->room ? files->room * 2 : 64;

	if (files->n == files->room) {
		larger = realloc(files->file, room * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		files->file = larger;
		files->room = room;
	}
	memcpy(files->file[files->n].build_id, build_id, BUILDID_TEXT);
	files->file[files->n++].fd = fd;
	return 0;
}

/* Takes the descriptor over. */
static int take_file(struct buildfiles *files, int fd)
{
	_cleanup_close_ int file_fd = fd;
	struct buildid found;
	char magic[SELFMAG];

	if (pread(fd, magic, SELFMAG, 0) != SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0 ||
	    buildid_read(fd, &found) != 0 || !found.text[0])
		return 0;
	if (append(files, found.text, fd) < 0)
		return -ENOMEM;
	(void)take_fd(&file_fd);
	return 0;
}

static int look_below(struct buildfiles *files, int dir_fd, dev_t device, int levels);

/* Looked at before it is opened: to open a device can be to use it. */
static int look_at(struct buildfiles *files, int dir_fd, const char *name, dev_t device,
		   int levels)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, fd;
	struct stat st;
	bool directory;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device)
		return 0;
	directory = S_ISDIR(st.st_mode);
	if (!directory && !S_ISREG(st.st_mode))
		return 0;
	if (directory && levels == 0)
		return 0;
	fd = openat(dir_fd, name, directory ? flags | O_DIRECTORY : flags);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -EMFILE : 0;
	return directory ? look_below(files, fd, device, levels - 1) : take_file(files, fd);
}

/* Takes the descriptor over. */
static int look_below(struct buildfiles *files, int dir_fd, dev_t device, int levels)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		(void)close(dir_fd);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = look_at(files, dirfd(dir), entry->d_name, device, levels);
	(void)closedir(dir);
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct buildfile *x = a, *y = b;

	return strcmp(x->build_id, y->build_id);
}

/* Libraries of one system are more than the usual limit, which is for select() only. */
static void allow_many(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* then fewer have room */
}

int buildfiles_add(struct buildfiles **files, const char *path)
{
	struct stat st;
	int fd, r;

	if (!*files)
		*files = calloc(1, sizeof(**files));
	if (!*files)
		return -ENOMEM;
	allow_many();
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return -EINVAL;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = S_ISDIR(st.st_mode) ? look_below(*files, fd, st.st_dev, LEVELS_MAX) :
				  take_file(*files, fd);
	if ((*files)->n > 0)
		qsort((*files)->file, (*files)->n, sizeof(*(*files)->file), compare);
	return r;
}

/* Where the first of that build-id is, or would be. */
static size_t first_of(const struct buildfiles *files, const char *build_id)
{
	size_t low = 0, high = files->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(files->file[middle].build_id, build_id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t buildfiles_find(const struct buildfiles *files, const char *build_id,
		       int ret_fd[static BUILDFILES_SAME])
{
	size_t n = 0;

	for (size_t i = first_of(files, build_id);
	     i < files->n && n < BUILDFILES_SAME &&
	     strcmp(files->file[i].build_id, build_id) == 0;
	     i++)
		ret_fd[n++] = files->file[i].fd;
	return n;
}

void buildfiles_free(struct buildfiles *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->n; i++)
		(void)close(files->file[i].fd);
	free(files->file);
	free(files);
}
