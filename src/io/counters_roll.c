/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A shorter file that counts the same. Of each bucket of time one line remains, its last;
 * the older the lines, the longer the bucket: an hour, a day, a month. What the others said
 * of processes and of keeps under way is held back and goes with the next line that is
 * written: snapshots are cumulative, so of each the newest is enough.
 */

#include "io/counters_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"

#define ROLL_FILE ".counters.new"

/* ---- the shorter file ---- */

struct roll_up {
	FILE *out;
	json_t *last; /* newest line, not yet written */
	json_t *processes; /* newest object of each process not yet written, longest waiting first */
	int64_t newest_s; /* time of the file's last line */
	json_t *reserved; /* by id: keeps that have not ended so far */
	bool failed;
};

/* Takes those that have waited longest out of the ones held back. */
static json_t *take_processes(struct roll_up *roll, size_t max)
{
	json_t *taken = json_array(), *process;
	const char *key;
	void *next;

	json_object_foreach_safe(roll->processes, next, key, process) {
		if (json_array_size(taken) == max)
			break;
		(void)json_array_append(taken, process);
		(void)json_object_del(roll->processes, key);
	}
	return taken;
}

/* Writes what has been held back: one snapshot with processes that changed. */
static void flush(struct roll_up *roll, size_t processes_max)
{
	json_t *processes;

	if (!roll->last)
		return;
	processes = take_processes(roll, processes_max);
	(void)json_object_set_new(roll->last, "processes", processes);
	(void)json_object_del(roll->last, "settled");
	(void)json_object_del(roll->last, "reserved");
	if (json_dumpf(roll->last, roll->out, JSON_COMPACT) < 0 || fputc('\n', roll->out) == EOF)
		roll->failed = true;
	json_decref(roll->last);
	roll->last = NULL;
}

/* The last line carries the keeps that were still under way. */
static void flush_last(struct roll_up *roll)
{
	json_t *open = json_array(), *entry;
	const char *id;

	json_object_foreach(roll->reserved, id, entry)
		(void)json_array_append(open, entry);
	if (roll->last && json_array_size(open) > 0) {
		json_t *last = json_deep_copy(roll->last);

		flush(roll, SIZE_MAX);
		(void)json_object_set(last, "reserved", open);
		if (json_dumpf(last, roll->out, JSON_COMPACT) < 0 ||
		    fputc('\n', roll->out) == EOF)
			roll->failed = true;
		json_decref(last);
	}
	flush(roll, SIZE_MAX);
	json_decref(open);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static void hold_changes(struct roll_up *roll, const json_t *line)
{
	json_t *process, *entry;
	size_t i;

	json_array_foreach(json_object_get(line, "processes"), i, process) {
		char key[NAME_SIZE + 48];

		/* An evicted process that comes back counts from 0: another life, kept apart. */
		(void)snprintf(key, sizeof(key),
			       "%" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT " %.*s",
			       json_integer_value(json_object_get(process, "uid")),
			       json_integer_value(json_object_get(process, "first_ms")),
			       NAME_SIZE - 1, text_of(process, "process"));
		(void)json_object_set(roll->processes, key, process);
		if (json_object_size(roll->processes) > COUNTERS_HELD_PROCESSES)
			json_decref(take_processes(roll, 1));
	}
	json_array_foreach(json_object_get(line, "reserved"), i, entry)
		(void)json_object_set(roll->reserved, text_of(entry, "id"), entry);
	(void)json_object_del(roll->reserved, text_of(line, "settled"));
}

/* Lines of one bucket become one; buckets of different kinds never are the same. */
static int64_t bucket_of(const json_t *line, int64_t newest_s)
{
	time_t time = json_integer_value(json_object_get(line, "time"));
	struct tm tm;

	if (newest_s - time <= COUNTERS_HOURS_S)
		return 4 * (time / 3600);
	if (newest_s - time <= COUNTERS_DAYS_S)
		return 4 * (time / 86400) + 1;
	if (!gmtime_r(&time, &tm))
		return 3;
	return 4 * (12 * (int64_t)tm.tm_year + tm.tm_mon) + 2;
}

static bool roll_line(void *userdata, const json_t *line, unsigned int number)
{
	struct roll_up *roll = userdata;

	(void)number;
	if (roll->last &&
	    bucket_of(roll->last, roll->newest_s) != bucket_of(line, roll->newest_s))
		flush(roll, COUNTERS_LINE_PROCESSES);
	json_decref(roll->last);
	hold_changes(roll, line);
	roll->last = json_deep_copy(line);
	return !roll->failed;
}

/* Only the time of each line is looked at, which is much faster than parsing it. */
static int newest_time(int dir_fd, int64_t *ret_newest_s)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r;

	*ret_newest_s = 0;
	r = dir_open_stream(dir_fd, COUNTERS_FILE, &file);
	if (r != 0)
		return r;
	while (getline(&text, &size, file) > 0)
		(void)sscanf(text, "{\"time\":%" SCNd64, ret_newest_s);
	return 0;
}

static int roll_into(int dir_fd, FILE *out, uint64_t *ret_bytes)
{
	struct roll_up roll = { .out = out,
				.processes = json_object(),
				.reserved = json_object() };
	const struct counters_listener listener = { .each = roll_line, .userdata = &roll };
	int r;

	r = newest_time(dir_fd, &roll.newest_s);
	if (r == 0)
		r = counters_tell(dir_fd, &listener, ret_bytes);
	flush_last(&roll);
	json_decref(roll.processes);
	json_decref(roll.reserved);
	return r == 0 && (roll.failed || fflush(out) != 0) ? -EIO : r;
}

/* ---- in place of the old one ---- */

int counters_roll_begin(int dir_fd, uint64_t beyond_bytes, struct counters_roll *roll)
{
	_cleanup_fclose_ FILE *out = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r, out_fd;

	if (fstatat(dir_fd, COUNTERS_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((uint64_t)st.st_size <= beyond_bytes)
		return 0;
	r = dir_open_file(dir_fd, ROLL_FILE, O_RDWR | O_CREAT, &fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || dir_is_named(dir_fd, ROLL_FILE, fd) != 1)
		return 0; /* somebody is at it, or has just put it in place: then it is the counters */
	if (ftruncate(fd, 0) < 0)
		return -errno;
	out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	out = out_fd >= 0 ? fdopen(out_fd, "w") : NULL;
	if (!out)
		return -ENOMEM;
	r = roll_into(dir_fd, out, &roll->consumed_bytes);
	if (r < 0)
		return r;
	roll->fd = take_fd(&fd);
	return 0;
}

/* Appends to the new file what came to the old one after it was read. */
static int copy_rest(int from_fd, uint64_t from, int to_fd)
{
	char buffer[16384];

	if (lseek(to_fd, 0, SEEK_END) < 0)
		return -errno;
	for (;;) {
		ssize_t n = pread(from_fd, buffer, sizeof(buffer), (off_t)from);
		int r;

		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = dir_write_all(to_fd, buffer, (size_t)n);
		if (r < 0)
			return r;
		from += (uint64_t)n;
	}
}

int counters_roll_end(int dir_fd, struct counters_roll *roll)
{
	_cleanup_close_ int old_fd = -1;
	int r;

	if (roll->fd < 0)
		return 0;
	r = dir_open_file(dir_fd, COUNTERS_FILE, O_RDONLY, &old_fd);
	if (r == 0)
		r = copy_rest(old_fd, roll->consumed_bytes, roll->fd);
	if (r == 0 && fdatasync(roll->fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, ROLL_FILE, dir_fd, COUNTERS_FILE) < 0)
		r = -errno;
	/* Lines made durable in the new file must not come back as those of the old one. */
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	close_fd(&roll->fd);
	return r > 0 ? -EPERM : r;
}
