/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/debugfiles.h"
#include "io/cleanup.h"
#include "io/dir.h"

#define RECORD_MAX (16u << 20)
#define FILES_MAX 1024
#define BUILD_ID_MIN 4
#define BUILD_ID_MAX 128

/* ---- names ---- */

bool bundle_is_build_id(const char *text)
{
	size_t n = strlen(text);

	return n >= BUILD_ID_MIN && n <= BUILD_ID_MAX && n % 2 == 0 &&
	       strspn(text, "0123456789abcdef") == n;
}

void bundle_name(const char *id, const char *build_id, const char *suffix,
		 char ret_name[static TAR_NAME_SIZE])
{
	(void)snprintf(ret_name, TAR_NAME_SIZE, "%s/" BUNDLE_BUILD_IDS "/%.2s/%s%s", id, build_id,
		       build_id + 2, suffix);
}

/* Is this the name of a file by build-id? Then its two last parts are harmless, too. */
static bool is_build_id_name(const char *name, char ret_directory[static 3],
			     const char **ret_file)
{
	char id[BUILD_ID_MAX + 1];
	size_t n;

	if (strncmp(name, BUNDLE_BUILD_IDS "/", strlen(BUNDLE_BUILD_IDS) + 1) != 0)
		return false;
	name += strlen(BUNDLE_BUILD_IDS) + 1;
	if (strlen(name) < 4 || name[2] != '/')
		return false;
	n = strspn(name + 3, "0123456789abcdef");
	if ((name[3 + n] && strcmp(name + 3 + n, ".debug") != 0) || n + 2 > BUILD_ID_MAX)
		return false;
	(void)snprintf(id, sizeof(id), "%.2s%.*s", name, (int)n, name + 3);
	if (!bundle_is_build_id(id))
		return false;
	(void)snprintf(ret_directory, 3, "%.2s", name);
	*ret_file = name + 3;
	return true;
}

bool bundle_looks_like(int fd)
{
	unsigned char magic[2];
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && pread(fd, magic, 2, 0) == 2 &&
	       magic[0] == 0x1f && magic[1] == 0x8b;
}

/* ---- one file of it ---- */

struct unpacking {
	struct tar *tar;
	struct bundle *bundle;
	int build_ids_fd;
	uint64_t bytes;
	unsigned int files;
};

static int make_temporary(const char *parent)
{
	int fd = open(parent, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int take_record(struct unpacking *u, uint64_t bytes)
{
	_cleanup_close_ int fd = make_temporary(u->bundle->directory);
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r;

	if (fd < 0)
		return fd;
	if (bytes > RECORD_MAX || u->bundle->record)
		return TAR_E_BAD;
	r = tar_read_fd(u->tar, fd);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = dir_read_fd(fd, RECORD_MAX, &text, &n);
	if (r != 0)
		return r;
	u->bundle->record = json_loads(text, 0, NULL);
	return json_is_object(u->bundle->record) ? 0 : TAR_E_BAD;
}

static int take_core(struct unpacking *u)
{
	int fd = make_temporary(u->bundle->directory), r;

	if (fd < 0)
		return fd;
	r = u->bundle->core_fd >= 0 ? TAR_E_BAD : tar_read_fd(u->tar, fd);
	if (r != 0)
		(void)close(fd);
	else
		u->bundle->core_fd = fd;
	return r;
}

static int take_file(struct unpacking *u, const char *directory, const char *name,
		     uint64_t bytes)
{
	_cleanup_close_ int dir_fd = -1, fd = -1;

	if (++u->files > FILES_MAX || bytes > BUNDLE_FILES_MAX - u->bytes)
		return -EFBIG;
	u->bytes += bytes;
	if (mkdirat(u->build_ids_fd, directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir_fd = openat(u->build_ids_fd, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? TAR_E_BAD : -errno;
	return tar_read_fd(u->tar, fd);
}

/* Names begin with the id as a directory; what it is called is not ours to mind. */
static int take(struct unpacking *u, const char *name, uint64_t bytes)
{
	const char *slash = strchr(name, '/'), *file;
	char directory[3];

	if (!slash)
		return 0;
	if (strcmp(slash + 1, BUNDLE_RECORD) == 0)
		return take_record(u, bytes);
	if (strcmp(slash + 1, BUNDLE_CORE) == 0)
		return take_core(u);
	if (is_build_id_name(slash + 1, directory, &file))
		return take_file(u, directory, file, bytes);
	return 0;
}

/* ---- all of it ---- */

static int make_directory(const char *parent, struct bundle *bundle, int *ret_fd)
{
	char path[PATH_MAX + 32];

	if (snprintf(bundle->directory, PATH_MAX, "%s/corefold-bundle.XXXXXX", parent) >=
		    PATH_MAX ||
	    !mkdtemp(bundle->directory)) {
		bundle->directory[0] = '\0';
		return -errno;
	}
	(void)snprintf(path, sizeof(path), "%s/debug", bundle->directory);
	if (mkdir(path, 0700) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "%s/" BUNDLE_BUILD_IDS, bundle->directory);
	if (mkdir(path, 0700) < 0)
		return -errno;
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static int unpack(struct unpacking *u)
{
	char name[TAR_NAME_SIZE];
	uint64_t bytes;
	int r;

	while ((r = tar_next(u->tar, name, &bytes)) == 0) {
		r = take(u, name, bytes);
		if (r != 0)
			return r;
	}
	return r == TAR_E_END ? 0 : r;
}

int bundle_open(struct cmd *cmd, int fd, const char *path, const char *parent,
		struct bundle *bundle)
{
	_cleanup_close_ int build_ids_fd = -1;
	struct unpacking u = { .bundle = bundle };
	int r;

	r = make_directory(parent, bundle, &build_ids_fd);
	if (r < 0)
		return cmd_failed(cmd, "cannot make a directory in %s: %s", parent, strerror(-r));
	u.build_ids_fd = build_ids_fd;
	u.tar = tar_new_reader(fd);
	r = u.tar ? unpack(&u) : -ENOMEM;
	if (u.tar)
		(void)tar_close(u.tar);
	if (r > 0 || (r == 0 && !bundle->record))
		return cmd_failed(cmd, "%s is no archive of 'corefold export', or is damaged", path);
	if (r < 0)
		return cmd_failed(cmd, "cannot unpack %s into %s: %s", path, parent, strerror(-r));
	if (bundle->core_fd < 0)
		return cmd_failed(cmd, "%s holds no core: its %s says why", path, BUNDLE_RECORD);
	return CMD_DONE;
}

void bundle_done(struct bundle *bundle)
{
	json_decref(bundle->record);
	bundle->record = NULL;
	close_fd(&bundle->core_fd);
	if (bundle->directory[0])
		debugfiles_remove(bundle->directory);
	bundle->directory[0] = '\0';
}
