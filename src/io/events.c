/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/events.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "io/store.h"

/*
 * The shared lock only keeps the file from being emptied under an append; it is tried for
 * a moment, because the event matters more than tidiness.
 */
static void lock_briefly(int fd)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < 20 && flock(fd, LOCK_SH | LOCK_NB) < 0; i++)
		(void)nanosleep(&pause, NULL);
}

/* A full disk can leave half a line: what comes next must not be read as its end. */
static bool ends_torn(int fd, off_t bytes)
{
	char last = '\n';

	if (bytes > 0)
		(void)!pread(fd, &last, 1, bytes - 1); /* unreadable: taken as whole */
	return last != '\n';
}

int events_append(int dir_fd, const struct event *event)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char line[256];
	int n, r;

	r = dir_open_file(dir_fd, EVENTS_FILE, O_RDWR | O_CREAT | O_APPEND, &fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	lock_briefly(fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > EVENTS_FILE_MAX)
		return -EFBIG;
	/* The name goes last and is escaped: it holds no newline. */
	n = snprintf(line, sizeof(line), "%s%" PRId64 " %" PRId64 " %u %u %s %s\n",
		     ends_torn(fd, st.st_size) ? "\n" : "", event->monotonic_ns,
		     event->wall_ns, event->uid, event->kept, event->id, event->process);
	r = dir_write_all(fd, line, (size_t)n);
	if (r == 0)
		(void)fdatasync(fd); /* appended it is counted, durable or not */
	return r;
}

/* Up to the blank behind it; moves *at behind that. */
static bool take_number(const char **at, int64_t low, int64_t high, int64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoll(*at, &end, 10);
	if (errno != 0 || end == *at || *end != ' ' || *ret_number < low || *ret_number > high)
		return false;
	*at = end + 1;
	return true;
}

static bool take_id(const char **at, char ret_id[static STATE_ID_SIZE])
{
	size_t n = strcspn(*at, " ");

	if (n >= STATE_ID_SIZE || (*at)[n] != ' ')
		return false;
	(void)snprintf(ret_id, STATE_ID_SIZE, "%.*s", (int)n, *at);
	*at += n + 1;
	return store_is_id(ret_id);
}

static bool parse_line(const char *line, size_t n, struct event *ret_event)
{
	struct event event = { 0 };
	int64_t uid, kept;
	char copy[256];
	const char *at = copy;

	if (n >= sizeof(copy) || memchr(line, '\0', n))
		return false;
	memcpy(copy, line, n);
	copy[n] = '\0';
	if (!take_number(&at, 0, INT64_MAX, &event.monotonic_ns) ||
	    !take_number(&at, INT64_MIN, INT64_MAX, &event.wall_ns) ||
	    !take_number(&at, 0, UINT32_MAX, &uid) || !take_number(&at, 0, 1, &kept) ||
	    !take_id(&at, event.id))
		return false;
	event.uid = (uint32_t)uid;
	event.kept = (uint32_t)kept;
	/* The name as it is behind one blank: it may begin with blanks, or be nothing else. */
	n = strlen(at);
	if (n == 0 || n >= sizeof(event.process) || !name_draws(at, n))
		return false;
	/* Escaped when written: escaping it again would make another name of it. */
	memcpy(event.process, at, n + 1);
	*ret_event = event;
	return true;
}

/* Splits text[from..n) into events; a last line without its newline is still being written. */
static int split_lines(const char *text, size_t from, size_t n, uint32_t crc,
		       struct events_batch *ret_batch)
{
	struct events_batch batch = { 0 };
	size_t lines = 0;

	for (size_t i = from; i < n; i++)
		lines += text[i] == '\n';
	batch.event = calloc(lines + 1, sizeof(*batch.event));
	if (!batch.event)
		return -ENOMEM;
	for (size_t i = 0; i < lines; i++) {
		const char *line = text + from;
		size_t length = (size_t)((const char *)memchr(line, '\n', n - from) - line);
		struct event *event = &batch.event[batch.n];

		crc = (uint32_t)crc32(crc, (const Bytef *)line, (uInt)length + 1);
		from += length + 1;
		if (!parse_line(line, length, event)) { /* torn, or nothing that we wrote */
			batch.left_out += length > 0;
			continue;
		}
		event->end_bytes = from;
		event->end_crc = crc;
		batch.n++;
	}
	batch.end_bytes = from;
	batch.end_crc = crc;
	*ret_batch = batch;
	return 0;
}

/* Where unconsumed events begin: behind the consumed prefix if it is still there. */
static size_t unconsumed_from(const char *text, size_t n, uint64_t bytes, uint32_t crc)
{
	if (bytes > n || (uint32_t)crc32(0, (const Bytef *)text, (uInt)bytes) != crc)
		return 0;
	return (size_t)bytes;
}

static int read_text(int dir_fd, char **ret_text, size_t *ret_bytes)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char *text;
	ssize_t n;
	int r;

	r = dir_open_file(dir_fd, EVENTS_FILE, O_RDONLY, &fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return -ENOENT;
	if (st.st_size > 16 * EVENTS_MAX_BYTES)
		st.st_size = 16 * EVENTS_MAX_BYTES;
	text = malloc((size_t)st.st_size);
	if (!text)
		return -ENOMEM;
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n < 0) {
		r = -errno;
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_bytes = (size_t)n;
	return 0;
}

/* No line of ours is as long: it must not bar the way for those behind it. */
static int leave_out(const char *text, size_t end, uint32_t crc, struct events_batch *ret_batch)
{
	*ret_batch = (struct events_batch){
		.left_out = 1,
		.end_bytes = end,
		.end_crc = (uint32_t)crc32(crc, (const Bytef *)text, EVENTS_MAX_BYTES),
	};
	return 0;
}

int events_read(int dir_fd, uint64_t consumed_bytes, uint32_t consumed_crc,
		struct events_batch *ret_batch)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0, from;
	int r;

	r = read_text(dir_fd, &text, &n);
	if (r == -ENOENT) {
		*ret_batch = (struct events_batch){ 0 };
		return 0;
	}
	if (r < 0)
		return r;
	from = unconsumed_from(text, n, consumed_bytes, consumed_crc);
	if (from == 0)
		consumed_crc = 0;
	if (n - from > EVENTS_MAX_BYTES) {
		n = from + EVENTS_MAX_BYTES;
		if (!memchr(text + from, '\n', EVENTS_MAX_BYTES))
			return leave_out(text + from, n, consumed_crc, ret_batch);
	}
	return split_lines(text, from, n, consumed_crc, ret_batch);
}

uint64_t events_kept(int dir_fd, uint32_t uid, const char *process, int64_t since_ns)
{
	_cleanup_free_ struct event *events = NULL;
	struct events_batch batch;
	uint64_t kept = 0;

	if (events_read(dir_fd, 0, 0, &batch) < 0)
		return 0;
	events = batch.event;
	for (size_t i = 0; i < batch.n; i++) {
		const struct event *event = &batch.event[i];

		kept += event->kept && event->monotonic_ns >= since_ns && event->uid == uid &&
			strcmp(event->process, process) == 0;
	}
	return kept;
}

/* Whoever gets the lock empties the file. */
bool events_waiting(int dir_fd)
{
	struct stat st;

	return fstatat(dir_fd, EVENTS_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && st.st_size > 0;
}

int events_set_aside(int dir_fd)
{
	return dir_move_aside(dir_fd, EVENTS_FILE);
}

void events_trim(int dir_fd, uint64_t consumed_bytes)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (dir_open_file(dir_fd, EVENTS_FILE, O_WRONLY, &fd) != 0)
		return;
	/* Somebody appending holds it shared: next time. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == consumed_bytes)
		(void)!ftruncate(fd, 0); /* else the prefix stays and is skipped by its checksum */
}
