/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Crashes that found the lock taken: each is read once, and nothing else is one. */

#include "io/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* What was read, and the prefix that counts as consumed once all of it is counted. */
struct batch {
	struct event *event;
	size_t n, left_out;
	uint64_t bytes;
	uint32_t crc;
};

static struct batch read_batch(int dir_fd, const struct batch *consumed)
{
	struct batch batch = { .bytes = consumed->bytes, .crc = consumed->crc };
	struct events_batch read;

	ck_assert_int_eq(events_read(dir_fd, consumed->bytes, consumed->crc, &read), 0);
	batch.event = read.event;
	batch.n = read.n;
	batch.left_out = read.left_out;
	if (read.n + read.left_out > 0) {
		batch.bytes = read.end_bytes;
		batch.crc = read.end_crc;
	}
	return batch;
}

static const struct batch nothing;

static struct event event_of(const char *process)
{
	struct event event = { .monotonic_ns = 123456789012345, .wall_ns = -5, .uid = 4294967294 };

	(void)snprintf(event.id, sizeof(event.id), "20260101T000000Z-1");
	(void)snprintf(event.process, sizeof(event.process), "%s", process);
	return event;
}

static void append(int dir_fd, const char *process)
{
	struct event event = event_of(process);

	ck_assert_int_eq(events_append(dir_fd, &event), 0);
}

/* ---- one event ---- */

static const struct {
	const char *claim;
	struct event event;
} events[] = {
	{ "a plain one", { .monotonic_ns = 5, .wall_ns = 6, .uid = 7, .id = "a-1", .process = "p" } },
	{ "one that was kept", { .kept = 1, .id = "a-1", .process = "p" } },
	{ "numbers at their ends",
	  { .monotonic_ns = INT64_MAX, .wall_ns = INT64_MIN, .uid = UINT32_MAX, .kept = 1,
	    .id = "123456789012345678901234567890123456789",
	    .process = "123456789012345678901234567890123456789012345678901234567890123" } },
	{ "a blank in the name", { .id = "a-1", .process = "Web Content" } },
	{ "a blank before the name", { .id = "a-1", .process = " p" } },
	{ "a blank behind the name", { .id = "a-1", .process = "p " } },
	{ "a name of blanks", { .id = "a-1", .process = "  " } },
	{ "a name like the fields before it", { .id = "a-1", .process = "1 2 3 0 b-1 q" } },
	{ "an escaped name", { .id = "a-1", .process = "a\\x0ab" } },
	{ "a name in UTF-8", { .id = "a-1", .process = "h\xc3\xa4mmer" } },
};

START_TEST(test_event)
{
	const struct event *wanted = &events[_i].event;
	struct batch batch;
	int dir_fd = unit_dir();

	ck_assert_int_eq(events_append(dir_fd, wanted), 0);
	batch = read_batch(dir_fd, &nothing);
	claim_int_eq(events[_i].claim, batch.n, 1);
	claim_int_eq(events[_i].claim, batch.event->monotonic_ns, wanted->monotonic_ns);
	claim_int_eq(events[_i].claim, batch.event->wall_ns, wanted->wall_ns);
	claim_int_eq(events[_i].claim, batch.event->uid, wanted->uid);
	claim_int_eq(events[_i].claim, batch.event->kept, wanted->kept);
	claim_str_eq(events[_i].claim, batch.event->id, wanted->id);
	claim_str_eq(events[_i].claim, batch.event->process, wanted->process);
	free(batch.event);
}
END_TEST

/* ---- the file ---- */

static const struct {
	const char *claim;
	const char *text;
	size_t n; /* events found */
} files[] = {
	{ "an empty file", "", 0 },
	{ "one event", "1 2 3 0 a p\n", 1 },
	{ "one being written", "1 2 3 0 a p\n1 2 3 0 a p", 1 },
	{ "only one being written", "1 2 3 0 a", 0 },
	{ "lines that are no events", "\nhello\n1 2 3 0 a p\n1 2 x 0 a p\n1 2 3\n", 1 },
	{ "a name that is too long",
	  "1 2 3 0 a 1234567890123456789012345678901234567890123456789012345678901234\n", 0 },
	{ "an id that is too long", "1 2 3 0 1234567890123456789012345678901234567890 p\n", 0 },
	{ "no name", "1 2 3 0 a \n", 0 },
	{ "a time before 1970", "1 -2 3 0 a p\n", 1 },
	{ "a time since the boot before it", "-1 2 3 0 a p\n", 0 },
	{ "a time beyond what there is", "99999999999999999999999 -1 0 0 zzz y\n", 0 },
	{ "... of day", "1 -99999999999999999999999 0 0 zzz y\n", 0 },
	{ "the last user", "1 2 4294967295 0 a p\n", 1 },
	{ "a user beyond the last", "1 2 4294967296 0 a p\n", 0 },
	{ "a negative user", "1 2 -1 0 a p\n", 0 },
	{ "neither kept nor not", "1 2 3 2 a p\n", 0 },
	{ "an id that is none", "1 2 3 0 ../a p\n", 0 },
	{ "no id", "1 2 3 0  p\n", 0 },
	{ "a name that no one would escape so", "1 2 3 0 a p\033[31m\n", 0 },
	{ "half a letter", "1 2 3 0 a h\xc3\n", 0 },
	{ "numbers that are more", "1 2 3 0x a p\n", 0 },
};

START_TEST(test_file)
{
	struct batch batch;
	int dir_fd = unit_dir();

	unit_write_file(dir_fd, EVENTS_FILE, files[_i].text, strlen(files[_i].text));
	batch = read_batch(dir_fd, &nothing);
	claim_int_eq(files[_i].claim, batch.n, files[_i].n);
	free(batch.event);
}
END_TEST

START_TEST(test_consume)
{
	struct batch first, second, third;
	int dir_fd = unit_dir();

	first = read_batch(dir_fd, &nothing);
	ck_assert_uint_eq(first.n, 0);
	append(dir_fd, "a");
	append(dir_fd, "b");
	first = read_batch(dir_fd, &nothing);
	ck_assert_uint_eq(first.n, 2);
	append(dir_fd, "c");
	second = read_batch(dir_fd, &first);
	ck_assert_uint_eq(second.n, 1);
	ck_assert_str_eq(second.event->process, "c");
	third = read_batch(dir_fd, &second);
	ck_assert_uint_eq(third.n, 0);
	free(third.event);
	third = read_batch(dir_fd, &nothing); /* a state that forgot what it had counted */
	ck_assert_uint_eq(third.n, 3);
	free(first.event);
	free(second.event);
	free(third.event);
}
END_TEST

/* Each event says what is consumed once it is counted: a merger may stop at any of them. */
START_TEST(test_one_by_one)
{
	static const char *const processes[] = { "a", " b", "c", "d" };
	struct batch consumed = { 0 };
	int dir_fd = unit_dir();

	for (int i = 0; i < ROWS(processes); i++) {
		append(dir_fd, processes[i]);
		unit_append_file(dir_fd, EVENTS_FILE, "no event\n");
	}
	for (int i = 0; i < ROWS(processes); i++) {
		struct batch batch = read_batch(dir_fd, &consumed);

		ck_assert_uint_eq(batch.n, (size_t)(ROWS(processes) - i));
		ck_assert_str_eq(batch.event->process, processes[i]);
		consumed.bytes = batch.event->end_bytes;
		consumed.crc = batch.event->end_crc;
		free(batch.event);
	}
}
END_TEST

/* A prefix is known by its checksum: a file begun anew, even as long, is all unread. */
START_TEST(test_other_file)
{
	struct batch first, second;
	int dir_fd = unit_dir();

	append(dir_fd, "a");
	first = read_batch(dir_fd, &nothing);
	ck_assert_int_eq(unlinkat(dir_fd, EVENTS_FILE, 0), 0);
	append(dir_fd, "b");
	second = read_batch(dir_fd, &first);
	ck_assert_uint_eq(second.n, 1);
	ck_assert_str_eq(second.event->process, "b");
	free(first.event);
	free(second.event);
}
END_TEST

START_TEST(test_trim)
{
	struct batch first, second;
	size_t bytes;
	int dir_fd = unit_dir();

	events_trim(dir_fd, 0); /* nothing there */
	append(dir_fd, "a");
	first = read_batch(dir_fd, &nothing);
	append(dir_fd, "b");
	events_trim(dir_fd, first.bytes);
	second = read_batch(dir_fd, &first); /* the unread one kept the file */
	ck_assert_uint_eq(second.n, 1);
	events_trim(dir_fd, second.bytes);
	(void)unit_read_file(dir_fd, EVENTS_FILE, &bytes);
	ck_assert_uint_eq(bytes, 0);
	append(dir_fd, "c");
	free(first.event);
	first = read_batch(dir_fd, &second); /* the old prefix is not looked for in a new file */
	ck_assert_uint_eq(first.n, 1);
	ck_assert_str_eq(first.event->process, "c");
	free(first.event);
	free(second.event);
}
END_TEST

/* A line torn by a full disk costs itself, not the one behind it. */
START_TEST(test_behind_torn)
{
	static const char torn[] = "1 2 3 0 a p\n1 2 3 0 a na";
	struct batch batch;
	int dir_fd = unit_dir();

	unit_write_file(dir_fd, EVENTS_FILE, torn, strlen(torn));
	append(dir_fd, "behind");
	batch = read_batch(dir_fd, &nothing);
	ck_assert_uint_ge(batch.n, 2);
	ck_assert_str_eq(batch.event[batch.n - 1].process, "behind");
	ck_assert_uint_eq(batch.event[batch.n - 1].uid, 4294967294);
	free(batch.event);
}
END_TEST

/* Events beyond what is read at a time come with the next reading. */
START_TEST(test_large)
{
	struct batch consumed = { 0 }, batch;
	size_t total = 0, rounds = 0, lines = 3 * EVENTS_MAX_BYTES / 64;
	char *text = malloc(lines * 64 + 1), *p = text;
	int dir_fd = unit_dir();

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < lines; i++)
		p += sprintf(p, "%019zu 2 3 0 a %-35s\n", i, "p");
	unit_write_file(dir_fd, EVENTS_FILE, text, (size_t)(p - text));
	free(text);
	do {
		batch = read_batch(dir_fd, &consumed);
		for (size_t i = 0; i < batch.n; i++)
			ck_assert_int_eq(batch.event[i].monotonic_ns, (int64_t)(total + i));
		free(batch.event);
		total += batch.n;
		consumed = batch;
		rounds++;
	} while (batch.n > 0 && rounds < 100);
	ck_assert_uint_eq(total, lines);
	ck_assert_uint_ge(rounds, 4);
}
END_TEST

/* What is no event is left out once, also without an end of a line. */
START_TEST(test_left_out)
{
	struct batch consumed = { 0 }, batch;
	size_t left_out = 0, n = 0, bytes = 3 * EVENTS_MAX_BYTES / 2;
	char *text = malloc(bytes);
	int dir_fd = unit_dir();

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', bytes);
	unit_write_file(dir_fd, EVENTS_FILE, text, bytes);
	free(text);
	append(dir_fd, "p");
	unit_append_file(dir_fd, EVENTS_FILE, "garbage\n");
	for (int i = 0; i < 3; i++) {
		batch = read_batch(dir_fd, &consumed);
		free(batch.event);
		left_out += batch.left_out;
		n += batch.n;
		consumed = batch;
	}
	ck_assert_uint_eq(left_out, 3); /* one line in two parts */
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(batch.left_out, 0);
}
END_TEST

START_TEST(test_full)
{
	struct event event = event_of("p");
	int dir_fd = unit_dir(), fd;

	append(dir_fd, "p");
	fd = openat(dir_fd, EVENTS_FILE, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, EVENTS_FILE_MAX + 1), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(events_append(dir_fd, &event), -EFBIG);
}
END_TEST

START_TEST(test_unsafe)
{
	struct event event = event_of("p");
	struct events_batch batch;
	int dir_fd = unit_dir();

	ck_assert_int_eq(symlinkat("elsewhere", dir_fd, EVENTS_FILE), 0);
	ck_assert_int_lt(events_append(dir_fd, &event), 0);
	ck_assert_int_lt(events_read(dir_fd, 0, 0, &batch), 0);
	ck_assert_int_ne(faccessat(dir_fd, "elsewhere", F_OK, 0), 0);
}
END_TEST

/* Many handlers without the lock, each line whole. */
START_TEST(test_many)
{
	struct event event = event_of("p");
	struct batch batch;
	int dir_fd = unit_dir(), status;

	for (uint32_t child = 0; child < 4; child++)
		if (fork() == 0) {
			event.uid = child;
			for (int i = 0; i < 200; i++)
				if (events_append(dir_fd, &event) != 0)
					_exit(1);
			_exit(0);
		}
	while (wait(&status) > 0)
		ck_assert_int_eq(status, 0);
	batch = read_batch(dir_fd, &nothing);
	ck_assert_uint_eq(batch.n, 800);
	free(batch.event);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("events");
	TCase *event_case = unit_case(suite, "events");

	tcase_add_loop_test(event_case, test_event, 0, ROWS(events));
	tcase_add_loop_test(event_case, test_file, 0, ROWS(files));
	tcase_add_test(event_case, test_consume);
	tcase_add_test(event_case, test_one_by_one);
	tcase_add_test(event_case, test_other_file);
	tcase_add_test(event_case, test_trim);
	tcase_add_test(event_case, test_behind_torn);
	tcase_add_test(event_case, test_large);
	tcase_add_test(event_case, test_left_out);
	tcase_add_test(event_case, test_full);
	tcase_add_test(event_case, test_unsafe);
	tcase_add_test(event_case, test_many);
	return unit_main(suite);
}
