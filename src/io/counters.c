/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/counters_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
static int tell_line(const struct counters_listener *listener, const char *text,
		     size_t n, unsigned int line)
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

int counters_tell(int dir_fd, const struct counters_listener *listener, uint64_t *ret_bytes)
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
	const struct counters_listener listener = {
		.each = each,
		.bad = bad,
		.userdata = userdata,
	};
	uint64_t bytes;

	return counters_tell(dir_fd, &listener, &bytes);
}
