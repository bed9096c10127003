/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "policy/units.h"

#define COUNTERS_LINE_MAX 4096

/* ---- writing ---- */

static void format_boot_id(const uint8_t id[CLOCK_BOOT_ID_BYTES], char out[static 37])
{
	char *p = out;

	for (int i = 0; i < CLOCK_BOOT_ID_BYTES; i++)
		p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			     id[i]);
}

static json_t *process_object(const struct state_slot *slot)
{
	const struct account *a = &slot->account;

	return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "uid",
			 (json_int_t)slot->uid, "process", slot->process, "first_ms",
			 (json_int_t)(slot->first_ns / 1000000), "crashes",
			 (json_int_t)a->crashes, "kept", (json_int_t)a->kept, "folded",
			 (json_int_t)a->folded, "kept_weight", (json_int_t)a->kept_weight,
			 "pending", (json_int_t)a->throttle.pending, "in_flight",
			 (json_int_t)a->in_flight, "last_time",
			 (json_int_t)(slot->last_wall_ns / NS_PER_SEC));
}

static json_t *totals_object(const struct state_header *header, const struct totals *t,
			     int64_t wall_ns)
{
	char boot_id[37], machine[17];
	json_t *object;

	format_boot_id(header->clock.boot_id, boot_id);
	(void)snprintf(machine, sizeof(machine), "%016" PRIx64, header->machine);
	object = json_pack(
		"{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"time", (json_int_t)(wall_ns / NS_PER_SEC), "boot_id", boot_id, "boots",
		(json_int_t)header->clock.boots, "on_time_seconds",
		(json_int_t)(header->clock.on_time_ns / NS_PER_SEC), "uncovered_seconds",
		(json_int_t)(header->clock.uncovered_ns / NS_PER_SEC), "operational_hours",
		(json_int_t)header->hours.operational, "crashfree_hours",
		(json_int_t)header->hours.crashfree, "crashfree_slots",
		(json_int_t)header->hours.crashfree_slots, "crashes", (json_int_t)t->crashes,
		"kept", (json_int_t)t->kept, "folded", (json_int_t)t->folded, "kept_weight",
		(json_int_t)t->kept_weight, "pending", (json_int_t)t->pending, "in_flight",
		(json_int_t)t->in_flight, "evicted", (json_int_t)t->evicted, "unseen",
		(json_int_t)t->unseen, "sequence", (json_int_t)header->sequence);
	(void)json_object_set_new(object, "machine", json_string(machine));
	if (header->stops.known)
		(void)json_object_set_new(object, "unclean_shutdowns",
					  json_integer((json_int_t)header->stops.unclean));
	return object;
}

static json_t *line_object(const struct state_header *header, const struct totals *totals,
			   int64_t wall_ns, const struct counters_event *event)
{
	json_t *line = totals_object(header, totals, wall_ns);

	if (!line)
		return NULL;
	if (header->events_bytes > 0) {
		(void)json_object_set_new(line, "events_bytes",
					  json_integer((json_int_t)header->events_bytes));
		(void)json_object_set_new(line, "events_crc", json_integer(header->events_crc));
	}
	if (event->slot)
		(void)json_object_set_new(line, "processes",
					  json_pack("[o]", process_object(event->slot)));
	if (event->reserved_id)
		(void)json_object_set_new(line, "reserved",
					  json_pack("[{s:s, s:I, s:I, s:s}]", "id",
						    event->reserved_id, "weight",
						    (json_int_t)event->reserved_weight,
						    "uid",
						    (json_int_t)(event->slot ? event->slot->uid : 0),
						    "process",
						    event->slot ? event->slot->process : ""));
	if (event->settled_id)
		(void)json_object_set_new(line, "settled", json_string(event->settled_id));
	return line;
}

/* Behind a torn line a new one must not be read as its end. */
static bool ends_torn(int fd)
{
	struct stat st;
	char last = '\n';

	if (fstat(fd, &st) == 0 && st.st_size > 0)
		(void)!pread(fd, &last, 1, st.st_size - 1); /* unreadable: taken as whole */
	return last != '\n';
}

bool counters_full(int dir_fd)
{
	struct stat st;

	return fstatat(dir_fd, COUNTERS_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_size > COUNTERS_HARD_BYTES;
}

int counters_append(int dir_fd, const struct state_header *header,
		    const struct totals *totals, int64_t wall_ns,
		    const struct counters_event *event, bool sync)
{
	_cleanup_close_ int fd = -1;
	char text[COUNTERS_LINE_MAX];
	bool set_aside = false;
	json_t *line;
	size_t n;
	int r;

	if (!event->always && counters_full(dir_fd))
		return 0;
	r = dir_open_file(dir_fd, COUNTERS_FILE, O_RDWR | O_CREAT | O_APPEND, &fd);
	set_aside = (r > 0 || r == -EISDIR) && dir_move_aside(dir_fd, COUNTERS_FILE) == 0;
	if (set_aside)
		r = dir_open_file(dir_fd, COUNTERS_FILE, O_RDWR | O_CREAT | O_APPEND, &fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	line = line_object(header, totals, wall_ns, event);
	if (!line)
		return -ENOMEM;
	text[0] = '\n';
	n = json_dumpb(line, text + 1, sizeof(text) - 2, JSON_COMPACT);
	json_decref(line);
	if (n == 0 || n > sizeof(text) - 2)
		return -E2BIG;
	text[n + 1] = '\n';
	r = ends_torn(fd) ? dir_write_all(fd, text, n + 2) : dir_write_all(fd, text + 1, n + 1);
	if (r == 0 && sync && fdatasync(fd) < 0)
		r = -errno;
	return r == 0 && set_aside ? COUNTERS_E_SET_ASIDE : r;
}

int counters_sync(int dir_fd)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = dir_open_file(dir_fd, COUNTERS_FILE, O_RDWR, &fd);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	return r == -ENOENT || r > 0 ? 0 : r; /* what is not ours is set aside by the next line */
}

/* ---- reading ---- */

static const char *check_line(const json_t *object)
{
	if (!json_is_object(object))
		return "not a JSON object";
	if (!json_is_integer(json_object_get(object, "time")) ||
	    !json_is_integer(json_object_get(object, "crashes")))
		return "not a line of counters";
	return NULL;
}

/* Who is told of lines. */
struct listener {
	counters_each *each;
	counters_bad *bad; /* or NULL */
	void *userdata;
};

/* 0: a whole line of *ret_n bytes, or *ret_n = 0: the end, or a torn last line. -errno. */
static int next_line(FILE *file, char **text, size_t *size, size_t *ret_n)
{
	ssize_t n = (errno = 0, getline(text, size, file));
	bool whole = n > 0 && (*text)[n - 1] == '\n';

	if (!whole && errno)
		return -errno; /* of the file or of memory; part of a line may be there */
	*ret_n = whole ? (size_t)n : 0;
	return 0;
}

/* 0: go on; 1: no more is wanted. -ENOMEM. */
static int tell_line(const struct listener *listener, const char *text, size_t n,
		     unsigned int line)
{
	json_error_t error;
	json_t *object = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	const char *why = object ? check_line(object) : "not JSON";
	bool more = true;

	if (!object && json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	if (!why)
		more = listener->each(listener->userdata, object, line);
	else if (listener->bad && n > 1)
		listener->bad(listener->userdata, line, why);
	json_decref(object);
	return more ? 0 : 1;
}

/* ret_bytes: what the whole lines took. */
static int read_lines(int dir_fd, const struct listener *listener, uint64_t *ret_bytes)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *text = NULL;
	uint64_t bytes = 0;
	size_t size = 0, n = 0;
	int r;

	r = dir_open_stream(dir_fd, COUNTERS_FILE, &file);
	if (r != 0)
		return r;
	for (unsigned int line = 1; r == 0; line++) {
		r = next_line(file, &text, &size, &n);
		if (r < 0 || n == 0)
			break;
		bytes += n;
		r = tell_line(listener, text, n, line);
	}
	if (r < 0)
		return r;
	*ret_bytes = bytes;
	return 0;
}

int counters_read(int dir_fd, counters_each *each, counters_bad *bad, void *userdata)
{
	const struct listener listener = { .each = each, .bad = bad, .userdata = userdata };
	uint64_t bytes;

	return read_lines(dir_fd, &listener, &bytes);
}

/* ---- rolling up ---- */

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
	const struct listener listener = { .each = roll_line, .userdata = &roll };
	int r;

	r = newest_time(dir_fd, &roll.newest_s);
	if (r == 0)
		r = read_lines(dir_fd, &listener, ret_bytes);
	flush_last(&roll);
	json_decref(roll.processes);
	json_decref(roll.reserved);
	return r == 0 && (roll.failed || fflush(out) != 0) ? -EIO : r;
}

#define ROLL_FILE ".counters.new"

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
