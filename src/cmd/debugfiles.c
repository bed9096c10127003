/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/debugfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/buildid.h"
#include "io/cleanup.h"

#define BUILD_ID_FILES "/usr/lib/debug/.build-id"
#define DELETED " (deleted)"
#define LEVELS_MAX 32 /* directories in a path */

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

/* ---- opening the right file ---- */

/*
 * The kernel gave these names without any link in them; one there now is somebody's doing.
 * Kernels before 5.6 check the last part only. Looked at before it is opened: to open a
 * device can be to use it.
 */
static int open_nofollow(const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				      .resolve = RESOLVE_NO_SYMLINKS };
	_cleanup_close_ int path_fd = -1;
	char again[32];
	struct stat st;
	int fd;

	path_fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (path_fd < 0 && errno == ENOSYS)
		path_fd = open(path, (int)how.flags);
	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISLNK(st.st_mode) ? -ELOOP : -EINVAL;
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", path_fd);
	fd = open(again, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* -EBADMSG: another build. */
static int open_build(const char *path, const char *build_id, struct buildid *ret_found)
{
	int fd = open_nofollow(path);

	if (fd < 0)
		return fd;
	if (buildid_read(fd, ret_found) == 0 && strcmp(ret_found->text, build_id) == 0)
		return fd;
	(void)close(fd);
	return -EBADMSG;
}

/* Where distributions keep what has this build-id: a link to the file itself, or its symbols. */
static int open_below(const char *directory, const char *build_id, const char *suffix,
		      char path[static PATH_MAX])
{
	char named[PATH_MAX];
	struct buildid found;

	if (strlen(build_id) < 4 || strspn(build_id, "0123456789abcdef") != strlen(build_id))
		return -ENOENT;
	(void)snprintf(named, sizeof(named), "%s/%.2s/%s%s", directory, build_id, build_id + 2,
		       suffix);
	/* Root's own directory: its links are meant. */
	if (!realpath(named, path))
		return -errno;
	return open_build(path, build_id, &found);
}

/* `more`: where else to look, first; or NULL. */
static int open_by_id(const char *more, const char *build_id, const char *suffix,
		      char path[static PATH_MAX])
{
	int fd = more ? open_below(more, build_id, suffix, path) : -ENOENT;

	return fd < 0 ? open_below(BUILD_ID_FILES, build_id, suffix, path) : fd;
}

int debugfiles_open(const char *path, const char *build_id)
{
	char where[PATH_MAX];
	struct buildid found;
	int fd, again;

	fd = open_build(path, build_id, &found);
	if (fd >= 0)
		return fd;
	again = open_by_id(NULL, build_id, "", where);
	return again < 0 ? fd : again; /* why the file itself would not do says more */
}

int debugfiles_open_symbols(const char *build_id)
{
	char where[PATH_MAX];

	return open_by_id(NULL, build_id, ".debug", where);
}

static int keep_fd(struct debugfiles *files, int fd)
{
	if (files->fds == DEBUGFILES_MAX)
		return -EMFILE;
	files->fd[files->fds++] = fd;
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

/* ---- the directory ---- */

/* Makes a directory below dir_fd, or finds it made. A new descriptor. */
static int enter(int dir_fd, const char *name)
{
	int fd;

	if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void link_to(int dir_fd, const char *name, int fd)
{
	char target[32];

	/* "self" is the debugger then. */
	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	if (symlinkat(target, dir_fd, name) < 0)
		return; /* a name that is taken stays with the first */
}

/* root/usr/lib/libc.so.6: as the kernel named the mapping. */
static void link_below_root(struct debugfiles *files, const char *path, int fd)
{
	int dir_fd = enter(files->dir_fd, "root");
	char part[NAME_MAX + 1];

	for (int level = 0; dir_fd >= 0 && level < LEVELS_MAX; level++) {
		size_t n;
		int next;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0 || n > NAME_MAX)
			break;
		(void)snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (strcmp(part, "..") == 0 || strcmp(part, ".") == 0)
			break;
		path += n;
		if (!*path) {
			link_to(dir_fd, part, fd);
			break;
		}
		next = enter(dir_fd, part);
		(void)close(dir_fd);
		dir_fd = next;
	}
	if (dir_fd >= 0)
		(void)close(dir_fd);
}

/* The loader's names of libraries differ from the kernel's: links, and sonames. */
static void link_flat(struct debugfiles *files, const char *path, const char *soname, int fd)
{
	_cleanup_close_ int flat_fd = enter(files->dir_fd, "flat");
	const char *slash = strrchr(path, '/');

	if (flat_fd < 0)
		return;
	link_to(flat_fd, slash ? slash + 1 : path, fd);
	if (soname[0])
		link_to(flat_fd, soname, fd);
}

/* ---- what the record names ---- */

static void add_module(struct debugfiles *files, const json_t *module)
{
	const char *path = text_of(module, "path"), *build_id = text_of(module, "build_id");
	char where[PATH_MAX];
	struct buildid found = { 0 };
	int fd;

	if (path[0] != '/' || !build_id[0])
		return;
	files->wanted++;
	fd = open_build(path, build_id, &found);
	if (fd < 0)
		fd = open_by_id(files->more, build_id, "", where);
	if (fd < 0)
		return;
	if (keep_fd(files, fd) < 0) {
		(void)close(fd);
		return;
	}
	files->found++;
	link_below_root(files, path, fd);
	link_flat(files, path, found.soname, fd);
}

/* Records without the executable's own build-id have it among the modules. */
static const char *executable_id(const json_t *record, const char *path)
{
	const char *build_id = text_of(record, "build_id");
	const json_t *module;
	size_t i;

	if (build_id[0])
		return build_id;
	json_array_foreach(json_object_get(record, "modules"), i, module)
		if (strcmp(text_of(module, "path"), path) == 0)
			return text_of(module, "build_id");
	return "";
}

/* An upgrade leaves "FILE (deleted)" as the name; FILE may be the same build again. */
static void plain_path(const json_t *record, char path[static PATH_MAX])
{
	const char *named = text_of(record, "executable");
	size_t n = strlen(named), suffix = strlen(DELETED);

	if (n > suffix && strcmp(named + n - suffix, DELETED) == 0)
		n -= suffix;
	(void)snprintf(path, PATH_MAX, "%.*s", (int)n, named);
}

const char *debugfiles_executable_id(const json_t *record)
{
	char path[PATH_MAX];

	plain_path(record, path);
	return executable_id(record, path);
}

static void say_missing(struct debugfiles *files, const char *path, const char *build_id, int r)
{
	(void)snprintf(files->missing_because, sizeof(files->missing_because),
		       "%s%s%s, and " BUILD_ID_FILES " has none with build-id %s",
		       path[0] ? path : "its path",
		       !path[0] || r == -EBADMSG || r == -ELOOP || r == -EINVAL ? " " : ": ",
		       !path[0]	       ? "is not known" :
		       r == -EBADMSG ? "is another build now" :
		       r == -ELOOP   ? "is behind a symbolic link now" :
		       r == -EINVAL  ? "is no regular file now" :
				       strerror(-r),
		       build_id);
}

static void find_executable(struct debugfiles *files, const json_t *record)
{
	char path[PATH_MAX], where[PATH_MAX];
	const char *build_id;
	struct buildid found;
	int fd, first;

	plain_path(record, path);
	build_id = executable_id(record, path);
	if (!build_id[0]) {
		(void)snprintf(files->missing_because, sizeof(files->missing_because),
			       "the record has no build-id to know it by");
		return;
	}
	fd = first = path[0] == '/' ? open_build(path, build_id, &found) : -ENOENT;
	(void)snprintf(where, sizeof(where), "%s", path);
	if (fd < 0)
		fd = open_by_id(files->more, build_id, "", where);
	if (fd < 0) {
		fd = open_by_id(files->more, build_id, ".debug", where);
		files->symbols_only = fd >= 0;
	}
	if (fd < 0 || keep_fd(files, fd) < 0) {
		say_missing(files, path, build_id, first);
		return;
	}
	files->executable_fd = fd;
	(void)snprintf(files->executable, sizeof(files->executable), "%s", where);
	link_below_root(files, path, fd);
}

int debugfiles_make(struct debugfiles *files, const char *parent, const json_t *record)
{
	char absolute[PATH_MAX]; /* the debugger is told of it, and is in it itself */
	const json_t *module;
	size_t i;

	if (!realpath(parent, absolute))
		return -errno;
	if (snprintf(files->directory, sizeof(files->directory), "%s/corefold-debug.XXXXXX",
		     absolute) >= (int)sizeof(files->directory) ||
	    !mkdtemp(files->directory)) {
		files->directory[0] = '\0';
		return -errno;
	}
	files->dir_fd = open(files->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (files->dir_fd < 0)
		return -errno;
	find_executable(files, record);
	json_array_foreach(json_object_get(record, "modules"), i, module)
		add_module(files, module);
	return 0;
}

/* ---- and away ---- */

/* Ours alone, so nothing in it changes; a level for each part of a path at most. */
static void remove_below(int dir_fd, int levels)
{
	DIR *dir = fdopendir(dup(dir_fd));
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		int fd;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    unlinkat(dir_fd, name, 0) == 0 || levels == 0)
			continue;
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			remove_below(fd, levels - 1);
			(void)close(fd);
		}
		(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
	}
	if (dir)
		(void)closedir(dir);
}

void debugfiles_remove(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		remove_below(fd, LEVELS_MAX + 1);
	(void)rmdir(path);
}

void debugfiles_done(struct debugfiles *files)
{
	for (size_t i = 0; i < files->fds; i++)
		(void)close(files->fd[i]);
	files->fds = 0;
	files->executable_fd = -1;
	if (files->dir_fd >= 0)
		remove_below(files->dir_fd, LEVELS_MAX + 1);
	close_fd(&files->dir_fd);
	if (files->directory[0])
		(void)rmdir(files->directory);
	files->directory[0] = '\0';
}
