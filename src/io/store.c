/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "io/cleanup.h"
#include "io/compat.h"
#include "io/dir.h"

#define RECORD_MAX_BYTES (4 << 20)
#define TEMP_PREFIX ".part."

int store_open(int state_fd, int *ret_store_fd)
{
	int r = dir_open_below(state_fd, STORE_DIR, ret_store_fd);

	/* A crash must be counted whatever stands there; the records in it are not lost. */
	if (dir_is_unsafe(r) && dir_move_aside(state_fd, STORE_DIR) == 0)
		r = dir_open_below(state_fd, STORE_DIR, ret_store_fd);
	return r;
}

bool store_is_id(const char *text)
{
	size_t n = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");

	return n > 0 && n < STATE_ID_SIZE && text[n] == '\0';
}

static void file_name(const char *id, const char *suffix, char out[static NAME_MAX])
{
	(void)snprintf(out, NAME_MAX, "%s%s", id, suffix);
}

/* ---- writing ---- */

int store_begin(int store_fd, struct store_file *file)
{
	file->temp[0] = '\0';
	file->fd = openat(store_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (file->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return -errno;
	/* A file system without O_TMPFILE: a name that cleaning up knows. */
	(void)snprintf(file->temp, sizeof(file->temp), TEMP_PREFIX "%d.%p", (int)getpid(),
		       (void *)file);
	return dir_open_file(store_fd, file->temp, O_RDWR | O_CREAT | O_EXCL, &file->fd);
}

/*
 * Renamed and not linked: a file killed between its two names would look like a planted one
 * to every reader.
 */
static int name_temp(int store_fd, const char *temp, const char *name)
{
	if (renameat2(store_fd, temp, store_fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return linkat(store_fd, temp, store_fd, name, 0) < 0 ? -errno : 0;
}

static int link_file(int store_fd, const struct store_file *file, const char *name)
{
	char path[64];

	if (file->temp[0])
		return name_temp(store_fd, file->temp, name);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	return linkat(AT_FDCWD, path, store_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int store_finish(int store_fd, struct store_file *file, const char *id, const char *suffix)
{
	char name[NAME_MAX];
	int r = 0;

	file_name(id, suffix, name);
	if (fsync(file->fd) < 0)
		r = -errno;
	if (r == 0)
		r = link_file(store_fd, file, name);
	store_abort(store_fd, file);
	return r;
}

void store_abort(int store_fd, struct store_file *file)
{
	close_fd(&file->fd);
	if (file->temp[0])
		(void)unlinkat(store_fd, file->temp, 0); /* the next clean-up would do it */
	file->temp[0] = '\0';
}

int store_sync(int store_fd)
{
	return fsync(store_fd) < 0 ? -errno : 0;
}

static int begin_record(int store_fd, const json_t *record, struct store_file *file)
{
	_cleanup_free_ char *text = NULL;
	int r;

	text = json_dumps(record, JSON_INDENT(1));
	if (!text)
		return -ENOMEM;
	r = store_begin(store_fd, file);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	r = dir_write_all(file->fd, text, strlen(text));
	if (r == 0)
		r = dir_write_all(file->fd, "\n", 1);
	if (r < 0)
		store_abort(store_fd, file);
	return r;
}

int store_put_record(int store_fd, const char *id, const json_t *record)
{
	struct store_file file = STORE_FILE_NULL;
	int r;

	r = begin_record(store_fd, record, &file);
	return r < 0 ? r : store_finish(store_fd, &file, id, STORE_RECORD_SUFFIX);
}

/* Exchanged, not renamed over: a record that was removed meanwhile must not come back. */
static int exchange(int store_fd, const char *temp, const char *name)
{
	if (renameat2(store_fd, temp, store_fd, name, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return renameat(store_fd, temp, store_fd, name) < 0 ? -errno : 0;
}

int store_replace_record(int store_fd, const char *id, const json_t *record)
{
	struct store_file file = STORE_FILE_NULL;
	char temp[NAME_MAX], name[NAME_MAX];
	int r;

	file_name(id, STORE_RECORD_SUFFIX, name);
	(void)snprintf(temp, sizeof(temp), TEMP_PREFIX "%d", (int)getpid());
	r = begin_record(store_fd, record, &file);
	if (r == 0 && fsync(file.fd) < 0)
		r = -errno;
	if (r == 0)
		r = link_file(store_fd, &file, temp);
	store_abort(store_fd, &file);
	if (r < 0)
		return r;
	r = exchange(store_fd, temp, name);
	(void)unlinkat(store_fd, temp, 0); /* the old one; the next clean-up would do it */
	return r;
}

/* ---- reading ---- */

/* A record is a file that somebody may have changed: what would not draw is escaped. */
static json_t *clean_text(json_t *string)
{
	const char *text = json_string_value(string);
	char out[4096];

	if (name_draws(text, json_string_length(string)))
		return json_incref(string);
	(void)name_escape(text, json_string_length(string), out, sizeof(out));
	return json_string(out);
}

static json_t *clean(json_t *value)
{
	json_t *cleaned, *member;
	const char *key;
	size_t i;

	if (json_is_string(value))
		return clean_text(value);
	if (json_is_array(value)) {
		cleaned = json_array();
		json_array_foreach(value, i, member)
			(void)json_array_append_new(cleaned, clean(member));
		return cleaned;
	}
	if (!json_is_object(value))
		return json_incref(value);
	cleaned = json_object();
	json_object_foreach(value, key, member)
		(void)json_object_set_new(cleaned, key, clean(member));
	return cleaned;
}

int store_read_record(int store_fd, const char *id, json_t **ret_record)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	char name[NAME_MAX];
	json_error_t error;
	size_t bytes;
	json_t *record;
	int r;

	file_name(id, STORE_RECORD_SUFFIX, name);
	r = dir_open_file(store_fd, name, O_RDONLY, &fd);
	if (r == 0)
		r = dir_read_fd(fd, RECORD_MAX_BYTES, &text, &bytes);
	if (r != 0)
		return r < 0 ? r : -EINVAL;
	record = json_loadb(text, bytes, 0, &error);
	if (!record)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
	*ret_record = clean(record);
	json_decref(record);
	return *ret_record ? 0 : -ENOMEM;
}

int store_open_core(int store_fd, const char *id, int *ret_fd)
{
	char name[NAME_MAX];

	file_name(id, STORE_CORE_SUFFIX, name);
	return dir_open_file(store_fd, name, O_RDONLY, ret_fd);
}

int store_has(int store_fd, const char *id, const char *suffix)
{
	char name[NAME_MAX];

	file_name(id, suffix, name);
	if (faccessat(store_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

int store_remove(int store_fd, const char *id, const char *suffix)
{
	char name[NAME_MAX];

	file_name(id, suffix, name);
	if (unlinkat(store_fd, name, 0) == 0 || errno == ENOENT)
		return 0; /* gone already is as good */
	return -errno;
}

/* The id before the suffix, or false. */
static bool split_name(const char *name, const char *suffix, char ret_id[static STATE_ID_SIZE])
{
	size_t n = strlen(name), m = strlen(suffix);

	if (n <= m || n - m >= STATE_ID_SIZE || strcmp(name + n - m, suffix) != 0)
		return false;
	memcpy(ret_id, name, n - m);
	ret_id[n - m] = '\0';
	return store_is_id(ret_id);
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static DIR *open_listing(int store_fd)
{
	int fd = openat(store_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		(void)close(fd);
	return dir;
}

static int collect_ids(DIR *dir, char ***ids, size_t *n)
{
	size_t room = 0;
	struct dirent *entry;

	while ((errno = 0, entry = readdir(dir))) {
		char id[STATE_ID_SIZE];

		if (!split_name(entry->d_name, STORE_RECORD_SUFFIX, id))
			continue;
		if (*n == room) {
			char **larger;

			room = room ? room * 2 : 64;
			larger = reallocarray(*ids, room, sizeof(**ids));
			if (!larger)
				return -ENOMEM;
			*ids = larger;
		}
		(*ids)[*n] = strdup(id);
		if (!(*ids)[*n])
			return -ENOMEM;
		(*n)++;
	}
	return -errno;
}

int store_list(int store_fd, char ***ret_ids, size_t *ret_n)
{
	char **ids = NULL;
	size_t n = 0;
	DIR *dir = open_listing(store_fd);
	int r;

	if (!dir)
		return -errno;
	r = collect_ids(dir, &ids, &n);
	(void)closedir(dir);
	if (r < 0) {
		store_free_ids(ids, n);
		return r;
	}
	if (n > 0)
		qsort(ids, n, sizeof(*ids), compare_ids);
	*ret_ids = ids;
	*ret_n = n;
	return 0;
}

void store_free_ids(char **ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(ids[i]);
	free(ids);
}

/* ---- cleaning up ---- */

static bool is_litter(int store_fd, const char *name)
{
	char id[STATE_ID_SIZE];

	if (strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0)
		return true;
	return split_name(name, STORE_CORE_SUFFIX, id) &&
	       store_has(store_fd, id, STORE_RECORD_SUFFIX) == 0;
}

void store_clean(int store_fd, int64_t wall_seconds, int64_t age_seconds)
{
	DIR *dir = open_listing(store_fd);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		struct stat st;

		if (!is_litter(store_fd, entry->d_name) ||
		    fstatat(store_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (wall_seconds - st.st_mtime >= age_seconds)
			(void)unlinkat(store_fd, entry->d_name, 0);
	}
	(void)closedir(dir);
}
