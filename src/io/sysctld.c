/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/sysctld.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"

#define FILE_MAX (256 * 1024)
#define TEMP_FILE "." SYSCTLD_FILE ".tmp"

/* The first has precedence among files of one name. */
static const char *const directories[] = { "/etc/sysctl.d", "/run/sysctl.d",
					   "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d",
					   "/lib/sysctl.d" };

struct candidate {
	char *path;
	const char *name; /* in path */
	size_t directory;
};

struct candidates {
	struct candidate *item;
	size_t n;
};

static void candidates_done(struct candidates *all)
{
	for (size_t i = 0; i < all->n; i++)
		free(all->item[i].path);
	free(all->item);
}

static int add(struct candidates *all, const char *path, size_t directory)
{
	struct candidate *more = reallocarray(all->item, all->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	all->item = more;
	more += all->n;
	more->path = strdup(path);
	if (!more->path)
		return -ENOMEM;
	more->name = strrchr(more->path, '/') + 1;
	more->directory = directory;
	all->n++;
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

static int add_directory(struct candidates *all, const char *root, size_t directory)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s%s", root, directories[directory]);
	dir = opendir(path);
	while (dir && r == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !ends_with(entry->d_name, ".conf"))
			continue;
		if (snprintf(path, sizeof(path), "%s%s/%s", root, directories[directory],
			     entry->d_name) < (int)sizeof(path))
			r = add(all, path, directory);
	}
	if (dir)
		(void)closedir(dir);
	return r;
}

/* By name; of one name the one that has precedence is first. */
static int by_name(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	if (order == 0)
		order = (left->directory > right->directory) -
			(left->directory < right->directory);
	return order;
}

static int read_file(const char *path, char **ret_text)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	size_t bytes;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL; /* /dev/null: masked */
	return dir_read_fd(fd, FILE_MAX, ret_text, &bytes);
}

static char *trimmed(char *text)
{
	char *end = text + strlen(text);

	while (end > text && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

/* "kernel/core_pattern" is the same as "kernel.core_pattern", a '-' in front: may fail. */
static bool same_key(char *text, const char *key)
{
	text = trimmed(text);
	if (*text == '-')
		text++;
	if (strlen(text) != strlen(key))
		return false;
	for (; *key; key++, text++)
		if (*text != *key && !(*text == '/' && *key == '.'))
			return false;
	return true;
}

static void take_lines(const struct candidate *from, char *text, const char *key,
		       struct sysctld_setting *setting)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '=');

		line += strspn(line, " \t");
		if (*line == '#' || *line == ';' || !value)
			continue;
		*value++ = '\0';
		if (!same_key(line, key))
			continue;
		(void)snprintf(setting->value, sizeof(setting->value), "%s", trimmed(value));
		(void)snprintf(setting->path, sizeof(setting->path), "%s", from->path);
	}
}

int sysctld_find(const char *root, const char *key, struct sysctld_setting *ret_setting)
{
	struct candidates all = { 0 };
	int r = 0;

	*ret_setting = (struct sysctld_setting){ 0 };
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(directories); i++)
		r = add_directory(&all, root, i);
	if (r == 0 && all.n > 0)
		qsort(all.item, all.n, sizeof(*all.item), by_name);
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		_cleanup_free_ char *text = NULL;

		if (i > 0 && strcmp(all.item[i].name, all.item[i - 1].name) == 0)
			continue;
		if (read_file(all.item[i].path, &text) == 0)
			take_lines(&all.item[i], text, key, ret_setting);
	}
	candidates_done(&all);
	return r;
}

/* ---- units ---- */

/* Does a target below this directory want the unit? */
static bool wanted(const char *root, const char *directory, const char *unit)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	struct stat st;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s%s", root, directory);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		if (ends_with(entry->d_name, ".wants") &&
		    snprintf(path, sizeof(path), "%s%s/%s/%s", root, directory,
			     entry->d_name, unit) < (int)sizeof(path))
			found = lstat(path, &st) == 0;
	if (dir)
		(void)closedir(dir);
	return found;
}

static bool masked(const char *root, const char *unit)
{
	char path[PATH_MAX], target[32];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/etc/systemd/system/%s", root, unit);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	return strcmp(target, "/dev/null") == 0;
}

bool sysctld_unit_enabled(const char *root, const char *unit)
{
	return !masked(root, unit) && (wanted(root, "/etc/systemd/system", unit) ||
				       wanted(root, "/usr/lib/systemd/system", unit) ||
				       wanted(root, "/lib/systemd/system", unit));
}

/* ---- our own file ---- */

static int open_directory(bool make)
{
	int fd;

	if (make && mkdir(SYSCTLD_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(SYSCTLD_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sysctld_write(const char *text)
{
	_cleanup_close_ int dir_fd = open_directory(true), fd = -1;
	int r;

	if (dir_fd < 0)
		return dir_fd;
	(void)unlinkat(dir_fd, TEMP_FILE, 0);
	fd = openat(dir_fd, TEMP_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = dir_write_all(fd, text, strlen(text));
	if (r == 0 && (fchmod(fd, 0644) < 0 ||
		       renameat(dir_fd, TEMP_FILE, dir_fd, SYSCTLD_FILE) < 0))
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, TEMP_FILE, 0);
	return r;
}

int sysctld_remove(void)
{
	_cleanup_close_ int dir_fd = open_directory(false);

	if (dir_fd < 0)
		return dir_fd == -ENOENT ? 0 : dir_fd;
	return unlinkat(dir_fd, SYSCTLD_FILE, 0) < 0 && errno != ENOENT ? -errno : 0;
}
