/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Lines that are appended are read back, whatever stands around them, and rolled up. */

#include "io/counters.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

/* ---- reading back ---- */

/* What a reader knows at the end: the newest line, each process's newest object, open keeps. */
struct picture {
	json_t *last; /* totals of the newest line */
	json_t *processes; /* "uid name" to object */
	json_t *open; /* id to reservation */
	unsigned int lines;
	struct unit_text bad;
};

static bool see_line(void *userdata, const json_t *object, unsigned int number)
{
	struct picture *picture = userdata;
	json_t *entry;
	char key[NAME_SIZE + 16];
	size_t i;

	(void)number;
	json_decref(picture->last);
	picture->last = json_deep_copy(object);
	json_array_foreach(json_object_get(object, "processes"), i, entry) {
		(void)snprintf(key, sizeof(key), "%d %s",
			       (int)json_integer_value(json_object_get(entry, "uid")),
			       json_string_value(json_object_get(entry, "process")));
		(void)json_object_set(picture->processes, key, entry);
	}
	json_array_foreach(json_object_get(object, "reserved"), i, entry)
		(void)json_object_set(picture->open,
				      json_string_value(json_object_get(entry, "id")), entry);
	if (json_object_get(object, "settled"))
		(void)json_object_del(picture->open,
				      json_string_value(json_object_get(object, "settled")));
	picture->lines++;
	return true;
}

static void see_bad(void *userdata, unsigned int line, const char *why)
{
	struct picture *picture = userdata;

	ck_assert_uint_gt(strlen(why), 0);
	unit_append(&picture->bad, "%s%u", picture->bad.n ? " " : "", line);
}

static struct picture look(int dir_fd)
{
	struct picture picture = { .processes = json_object(), .open = json_object() };

	ck_assert_int_eq(counters_read(dir_fd, see_line, see_bad, &picture), 0);
	(void)json_object_del(picture.last, "processes");
	(void)json_object_del(picture.last, "reserved");
	(void)json_object_del(picture.last, "settled");
	return picture;
}

static void picture_done(struct picture *picture)
{
	json_decref(picture->last);
	json_decref(picture->processes);
	json_decref(picture->open);
}

static int64_t value(const json_t *object, const char *key)
{
	const json_t *number = json_object_get(object, key);

	ck_assert_msg(json_is_integer(number), "%s is no number", key);
	return json_integer_value(number);
}

/* ---- appending ---- */

static void append(int dir_fd, uint64_t crashes, int64_t time)
{
	struct state_header header = { .sequence = crashes };
	struct totals totals = { .crashes = crashes };
	struct counters_event event = { 0 };

	ck_assert_int_eq(counters_append(dir_fd, &header, &totals, time * SEC, &event, false), 0);
}

START_TEST(test_every_field)
{
	struct state_header header = {
		.sequence = 99,
		.clock = { .on_time_ns = 7 * SEC, .uncovered_ns = 3 * SEC, .boots = 2,
			   .boot_id = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff } },
		.hours = { .operational = 11, .crashfree = 12, .crashfree_slots = 13 },
	};
	struct totals totals = { 21, 22, 23, 24, 25, 26, 27, 28 };
	struct state_slot slot = { .uid = 1000, .process = "h\xc3\xa4mmer \"x\"",
				   .last_wall_ns = 55 * SEC };
	struct counters_event event = { .slot = &slot, .reserved_id = "id-1",
					.reserved_weight = 4 };
	struct picture p;
	const json_t *process, *reserved;
	int dir_fd = unit_dir();

	slot.account = (struct account){ .crashes = 31, .folded = 32, .kept = 33,
					 .kept_weight = 34, .in_flight = 35 };
	slot.account.throttle.pending = 36;
	ck_assert_int_eq(counters_append(dir_fd, &header, &totals, 1234567890LL * SEC, &event,
					 true), 0);
	p = look(dir_fd);
	ck_assert_int_eq(value(p.last, "time"), 1234567890);
	ck_assert_str_eq(json_string_value(json_object_get(p.last, "boot_id")),
			 "01234567-89ab-cdef-ff00-000000000000");
	ck_assert_int_eq(value(p.last, "boots"), 2);
	ck_assert_int_eq(value(p.last, "on_time_seconds"), 7);
	ck_assert_int_eq(value(p.last, "uncovered_seconds"), 3);
	ck_assert_int_eq(value(p.last, "operational_hours"), 11);
	ck_assert_int_eq(value(p.last, "crashfree_hours"), 12);
	ck_assert_int_eq(value(p.last, "crashfree_slots"), 13);
	ck_assert_int_eq(value(p.last, "crashes"), 21);
	ck_assert_int_eq(value(p.last, "folded"), 22);
	ck_assert_int_eq(value(p.last, "kept"), 23);
	ck_assert_int_eq(value(p.last, "kept_weight"), 24);
	ck_assert_int_eq(value(p.last, "pending"), 25);
	ck_assert_int_eq(value(p.last, "in_flight"), 26);
	ck_assert_int_eq(value(p.last, "evicted"), 27);
	ck_assert_int_eq(value(p.last, "unseen"), 28);
	ck_assert_int_eq(value(p.last, "sequence"), 99);
	process = json_object_get(p.processes, "1000 h\xc3\xa4mmer \"x\"");
	ck_assert_int_eq(value(process, "crashes"), 31);
	ck_assert_int_eq(value(process, "folded"), 32);
	ck_assert_int_eq(value(process, "kept"), 33);
	ck_assert_int_eq(value(process, "kept_weight"), 34);
	ck_assert_int_eq(value(process, "in_flight"), 35);
	ck_assert_int_eq(value(process, "pending"), 36);
	ck_assert_int_eq(value(process, "last_time"), 55);
	reserved = json_object_get(p.open, "id-1");
	ck_assert_int_eq(value(reserved, "weight"), 4);
	ck_assert_int_eq(value(reserved, "uid"), 1000);
	picture_done(&p);
}
END_TEST

/* ---- lines that are none ---- */

#define GOOD "{\"time\":1,\"crashes\":1}\n"

static const struct {
	const char *claim;
	const char *text;
	unsigned int lines;
	const char *bad; /* numbers of the lines complained about */
} files[] = {
	{ "nothing yet", "", 0, "" },
	{ "two lines", GOOD GOOD, 2, "" },
	{ "a torn last line is ignored in silence", GOOD "{\"time\":2,\"cra", 1, "" },
	{ "a whole last line without its newline is torn too", GOOD "{\"time\":2,\"crashes\":2}", 1,
	  "" },
	{ "text", GOOD "hello\n" GOOD, 2, "2" },
	{ "an empty line is nothing to complain about", GOOD "\n" GOOD, 2, "" },
	{ "other JSON", "[1]\n" GOOD "{}\n" GOOD "7\n", 2, "1 3 5" },
	{ "fields of another type", "{\"time\":\"1\",\"crashes\":1}\n" GOOD, 1, "1" },
	{ "a line torn in the middle of the file", GOOD "{\"time\":1,\"cra\n" GOOD, 2, "2" },
	{ "a key twice", "{\"time\":1,\"crashes\":1,\"time\":2}\n", 0, "1" },
	{ "bytes that are no UTF-8", "{\"time\":1,\"crashes\":1,\"x\":\"\xff\"}\n" GOOD, 1, "1" },
};

START_TEST(test_file)
{
	struct picture picture;
	int dir_fd = unit_dir();

	unit_write_file(dir_fd, COUNTERS_FILE, files[_i].text, strlen(files[_i].text));
	picture = look(dir_fd);
	claim_int_eq(files[_i].claim, picture.lines, files[_i].lines);
	claim_str_eq(files[_i].claim, picture.bad.bytes, files[_i].bad);
	picture_done(&picture);
}
END_TEST

START_TEST(test_behind_torn)
{
	struct picture picture;
	int dir_fd = unit_dir();

	append(dir_fd, 1, 10);
	unit_write_file(dir_fd, COUNTERS_FILE, GOOD "{\"time\":2,", strlen(GOOD) + 10);
	append(dir_fd, 3, 20);
	append(dir_fd, 4, 30);
	picture = look(dir_fd);
	ck_assert_uint_eq(picture.lines, 3);
	ck_assert_str_eq(picture.bad.bytes, "2");
	ck_assert_int_eq(value(picture.last, "crashes"), 4);
	picture_done(&picture);
}
END_TEST

static bool stop_at_two(void *userdata, const json_t *object, unsigned int line)
{
	(void)object;
	*(unsigned int *)userdata = line;
	return line < 2;
}

START_TEST(test_stop)
{
	unsigned int last = 0;
	int dir_fd = unit_dir();

	for (uint64_t i = 0; i < 4; i++)
		append(dir_fd, i, 10);
	ck_assert_int_eq(counters_read(dir_fd, stop_at_two, NULL, &last), 0);
	ck_assert_uint_eq(last, 2);
}
END_TEST

START_TEST(test_unsafe)
{
	struct state_header header = { 0 };
	struct counters_event event = { 0 };
	int dir_fd = unit_dir();

	ck_assert_int_eq(symlinkat("elsewhere", dir_fd, COUNTERS_FILE), 0);
	ck_assert_int_lt(counters_read(dir_fd, stop_at_two, NULL, NULL), 0);
	/* Set aside by whoever appends; nothing is written where the link led. */
	ck_assert_int_eq(counters_append(dir_fd, &header, &header.totals, 0, &event, false),
			 COUNTERS_E_SET_ASIDE);
	ck_assert_int_eq(counters_append(dir_fd, &header, &header.totals, 0, &event, false), 0);
	ck_assert_int_eq(faccessat(dir_fd, COUNTERS_FILE ".bad", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_int_ne(faccessat(dir_fd, "elsewhere", F_OK, 0), 0);
}
END_TEST

/* ---- rolling up ---- */

static void random_line(struct unit_random *random, int dir_fd, int64_t *time, uint64_t i)
{
	struct state_header header = { .sequence = i };
	struct totals totals = { .crashes = i };
	struct state_slot slot = { .uid = (uint32_t)unit_below(random, 3) };
	struct counters_event event = { 0 };
	char id[STATE_ID_SIZE];

	*time += (int64_t)unit_below(random, 1200);
	(void)snprintf(slot.process, sizeof(slot.process), "p%d", (int)unit_below(random, 5));
	(void)snprintf(id, sizeof(id), "id-%d", (int)unit_below(random, 12));
	slot.account.crashes = i;
	if (unit_below(random, 8) > 0)
		event.slot = &slot;
	switch (unit_below(random, 4)) {
	case 0:
		event.reserved_id = id;
		event.reserved_weight = i;
		break;
	case 1:
		event.settled_id = id;
		break;
	default:
		break;
	}
	ck_assert_int_eq(counters_append(dir_fd, &header, &totals, *time * SEC, &event, false),
			 0);
}

static void check_equal(const struct picture *a, const struct picture *b)
{
	ck_assert(json_equal(a->last, b->last));
	ck_assert(json_equal(a->processes, b->processes));
	ck_assert(json_equal(a->open, b->open));
}

/* Whatever the history and whatever came meanwhile: the end of it reads the same. */
START_TEST(test_roll_up)
{
	struct unit_random random = unit_random(_i);
	int64_t time = 1700000000;
	int dir_fd = unit_dir();
	uint64_t n = 0;

	for (int round = 0; round < 6; round++) {
		struct counters_roll roll = COUNTERS_ROLL_NULL;
		struct picture before, after;
		uint64_t end;

		for (end = n + 1 + unit_below(&random, 120); n < end; n++)
			random_line(&random, dir_fd, &time, n);
		ck_assert_int_eq(counters_roll_begin(dir_fd, 0, &roll), 0);
		ck_assert_int_ge(roll.fd, 0);
		for (end = n + unit_below(&random, 4); n < end; n++)
			random_line(&random, dir_fd, &time, n);
		before = look(dir_fd);
		ck_assert_int_eq(counters_roll_end(dir_fd, &roll), 0);
		ck_assert_int_eq(roll.fd, -1);
		after = look(dir_fd);
		check_equal(&before, &after);
		ck_assert_str_eq(after.bad.bytes, "");
		ck_assert_uint_le(after.lines, before.lines + 1);
		picture_done(&before);
		picture_done(&after);
	}
}
END_TEST

/* A storm in one hour becomes one line. */
START_TEST(test_roll_up_shortens)
{
	struct counters_roll roll = COUNTERS_ROLL_NULL;
	struct picture picture;
	int dir_fd = unit_dir();

	for (uint64_t i = 0; i < 500; i++)
		append(dir_fd, i, 7200 + (int64_t)i);
	append(dir_fd, 500, 3 * 3600);
	ck_assert_int_eq(counters_roll_begin(dir_fd, 0, &roll), 0);
	ck_assert_int_eq(counters_roll_end(dir_fd, &roll), 0);
	picture = look(dir_fd);
	ck_assert_uint_eq(picture.lines, 2);
	ck_assert_int_eq(value(picture.last, "crashes"), 500);
	picture_done(&picture);
}
END_TEST

START_TEST(test_roll_up_torn_tail)
{
	struct counters_roll roll = COUNTERS_ROLL_NULL;
	static const char text[] = GOOD "{\"time\":2,";
	struct picture picture;
	int dir_fd = unit_dir();

	unit_write_file(dir_fd, COUNTERS_FILE, text, strlen(text));
	ck_assert_int_eq(counters_roll_begin(dir_fd, 0, &roll), 0);
	append(dir_fd, 9, 20);
	ck_assert_int_eq(counters_roll_end(dir_fd, &roll), 0);
	picture = look(dir_fd);
	ck_assert_uint_eq(picture.lines, 2);
	ck_assert_int_eq(value(picture.last, "crashes"), 9);
	picture_done(&picture);
}
END_TEST

START_TEST(test_roll_up_not_needed)
{
	struct counters_roll roll = COUNTERS_ROLL_NULL, second = COUNTERS_ROLL_NULL;
	int dir_fd = unit_dir();

	ck_assert_int_eq(counters_roll_begin(dir_fd, 0, &roll), 0); /* no file */
	ck_assert_int_eq(roll.fd, -1);
	ck_assert_int_eq(counters_roll_end(dir_fd, &roll), 0);
	append(dir_fd, 1, 10);
	ck_assert_int_eq(counters_roll_begin(dir_fd, COUNTERS_ROLL_BYTES, &roll), 0);
	ck_assert_int_eq(roll.fd, -1);
	ck_assert_int_eq(counters_roll_begin(dir_fd, 0, &roll), 0);
	ck_assert_int_ge(roll.fd, 0);
	ck_assert_int_eq(counters_roll_begin(dir_fd, 0, &second), 0); /* one at a time */
	ck_assert_int_eq(second.fd, -1);
	ck_assert_int_eq(counters_roll_end(dir_fd, &roll), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("counters");
	TCase *lines = unit_case(suite, "lines");
	TCase *roll = unit_case(suite, "roll");

	tcase_add_test(lines, test_every_field);
	tcase_add_loop_test(lines, test_file, 0, ROWS(files));
	tcase_add_test(lines, test_behind_torn);
	tcase_add_test(lines, test_stop);
	tcase_add_test(lines, test_unsafe);
	tcase_add_loop_test(roll, test_roll_up, 0, 15);
	tcase_add_test(roll, test_roll_up_shortens);
	tcase_add_test(roll, test_roll_up_torn_tail);
	tcase_add_test(roll, test_roll_up_not_needed);
	return unit_main(suite);
}
