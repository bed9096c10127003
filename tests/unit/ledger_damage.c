/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The ledger after damage to its file, and after the power failed. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/record.h"
#include "crash/logs.h"
#include "crash/settle.h"
#include "io/log.h"
#include "io/state_format.h"
#include "io/store.h"
#include "ledgerutil.h"
#include "unit.h"

/* ---- what a damaged file still tells ---- */

/* "keep", or "fold" for a process that is still known to loop. */
static const char *next_crash(int dir_fd, const char *process, const char **ret_said)
{
	static char said[256];
	struct ledger ledger = open_ledger(dir_fd);
	struct ledger_ticket ticket = crash(&ledger, 1, process, 50);

	(void)snprintf(said, sizeof(said), "%s",
		       ledger.rebuilt ? ledger_windows_said(&ledger) : "good");
	*ret_said = said;
	ledger_done(&ledger);
	return throttle_decision_name(ticket.decision);
}

static void two_loops(int dir_fd)
{
	struct ledger ledger = open_ledger(dir_fd);

	for (int i = 0; i < 3; i++) {
		crash_and_keep(&ledger, 1, "p", 2 * i);
		crash_and_keep(&ledger, 1, "q", 2 * i + 1);
	}
	ledger_done(&ledger);
}

static void damage_at(int dir_fd, size_t at)
{
	size_t n;
	char *bytes = unit_read_file(dir_fd, STATE_FILE, &n);

	ck_assert_uint_lt(at, n);
	bytes[at] ^= 0x55;
	unit_write_file(dir_fd, STATE_FILE, bytes, n);
}

/* The journal would mend it: a change of the header alone takes its place. */
static void change_header(int dir_fd)
{
	struct ledger ledger = open_ledger(dir_fd);

	lock(&ledger, 40);
	ck_assert_int_eq(state_write(ledger.state, 0, NULL, STATE_INFLIGHT, false), 0);
	ledger_done(&ledger);
}

static const struct {
	const char *claim;
	size_t at;
	const char *p, *said;
} damages[] = {
	{ "a place", PLACES_AT + offsetof(struct state_place, crc), "fold", "throttle windows kept" },
	{ "the slot of another", SLOT_AT(1) + 100, "fold", "good" },
	{ "its own slot", SLOT_AT(0) + 100, "keep", "some throttle windows lost" },
};

START_TEST(windows_outlive_damage_elsewhere)
{
	int dir_fd = unit_dir();
	const char *said;

	two_loops(dir_fd);
	change_header(dir_fd);
	damage_at(dir_fd, damages[_i].at);
	claim_str_eq(damages[_i].claim, next_crash(dir_fd, "p", &said), damages[_i].p);
	claim_str_eq(damages[_i].claim, said, damages[_i].said);
}
END_TEST

/* What is set aside was for people; now the next rebuild needs it, too. */
START_TEST(a_rebuild_that_is_killed_can_be_done_again)
{
	int dir_fd = unit_dir();
	struct state *state = calloc(1, sizeof(*state));
	struct state_slot slot = { .process = "p" };
	const char *said;
	size_t n, n_aside;
	char *bytes, *aside;

	two_loops(dir_fd);
	bytes = unit_read_file(dir_fd, STATE_FILE, &n);
	ck_assert_int_eq(renameat(dir_fd, STATE_FILE, dir_fd, STATE_FILE ".bad"), 0);
	ck_assert_ptr_nonnull(state);
	state_init(state);
	ck_assert_int_eq(state_lock(state, dir_fd, 0), 0);
	ck_assert_int_eq(state_write(state, 0, &slot, STATE_INFLIGHT, false), 0);
	state_done(state);
	free(state);
	ck_assert_str_eq(next_crash(dir_fd, "p", &said), "fold");
	ck_assert_str_eq(said, "throttle windows kept");
	aside = unit_read_file(dir_fd, STATE_FILE ".bad", &n_aside);
	ck_assert(n == n_aside && memcmp(bytes, aside, n) == 0);
}
END_TEST

/* Folds that no line of the counters tells of: the disk was full. */
START_TEST(folds_are_read_from_the_damaged_file)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	char *counters;
	size_t n;

	crash_and_keep(&ledger, 1, "p", 0);
	crash_and_keep(&ledger, 1, "p", 1);
	counters = unit_read_file(dir_fd, "counters", &n);
	(void)crash(&ledger, 1, "p", 2);
	(void)crash(&ledger, 1, "p", 3);
	ledger_done(&ledger);
	unit_write_file(dir_fd, "counters", counters, n);
	damage_at(dir_fd, PLACES_AT + offsetof(struct state_place, crc));
	ledger = open_ledger(dir_fd);
	ck_assert_str_eq(sums(&ledger, 10), "4 2 2 0 0");
	ledger_done(&ledger);
}
END_TEST

/* Nothing tells of it any more, and yet its handler is about to store its record. */
START_TEST(an_id_after_a_rebuild_is_none_that_is_under_way)
{
	int dir_fd = unit_dir();
	struct ledger handler = open_ledger(dir_fd), other = open_ledger(dir_fd);
	struct ledger_ticket under_way, ticket;

	crash_and_keep(&handler, 1, "p", 0);
	under_way = crash(&handler, 1, "p", 1);
	ck_assert_int_eq(unlinkat(dir_fd, "counters", 0), 0);
	damage(dir_fd);
	ticket = crash(&other, 1, "p", 1);
	ck_assert_str_ne(ticket.id, under_way.id);
	put_record(&handler, &under_way);
	put_record(&other, &ticket); /* fails if it is there */
	ledger_done(&handler);
	ledger_done(&other);
}
END_TEST

/* ---- lines of the counters that are false ---- */

#define TOO_MANY 999999999999

/* What is changed in the newest line; `then`: true lines follow, else it is the last. */
static const struct {
	const char *claim;
	bool then;
	const char *key;
	json_int_t value;
	const char *second_key; /* or NULL */
	json_int_t second_value;
} lies[] = {
	{ "crashes that are nowhere", false, "crashes", 100, NULL, 0 },
	{ "more than a machine can crash", false, "crashes", TOO_MANY, "evicted", TOO_MANY - 6 },
	{ "... in records", false, "crashes", TOO_MANY, "kept_weight", TOO_MANY - 2 },
	{ "more than crash afterwards", true, "crashes", 106, "evicted", 100 },
	{ "a sum beyond all numbers", true, "kept_weight", INT64_MAX, "pending", INT64_MAX },
	{ "fewer crashes than before", false, "crashes", 2, "kept_weight", 0 },
	{ "fewer records than before", false, "kept_weight", 3, "pending", 3 },
	{ "... before a true one", true, "kept_weight", 3, "pending", 3 },
	{ "more folds than crashes", false, "folded", 7, NULL, 0 },
	{ "a clock that ran for too long", false, "on_time_seconds", TOO_MANY, NULL, 0 },
	{ "... before a true one", true, "on_time_seconds", TOO_MANY, NULL, 0 },
	{ "a clock that went back", false, "on_time_seconds", 0, "boots", 0 },
};

static json_t *newest_line(int dir_fd)
{
	size_t n;
	char *text = unit_read_file(dir_fd, "counters", &n), *line;
	json_t *object;

	ck_assert_uint_gt(n, 1);
	text[n - 1] = '\0';
	line = strrchr(text, '\n');
	object = json_loads(line ? line + 1 : text, 0, NULL);
	ck_assert_ptr_nonnull(object);
	return object;
}

/* Lets go of the line. */
static void append_line(int dir_fd, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	unit_append_file(dir_fd, "counters", text);
	unit_append_file(dir_fd, "counters", "\n");
	free(text);
	json_decref(object);
}

/* The ledger after the damage; what the log is told is in *ret_said. */
static const char *rebuilt_sums(int dir_fd, const char **ret_said)
{
	static char said[256];
	struct ledger ledger = open_ledger(dir_fd);
	const char *text;

	damage(dir_fd);
	text = sums(&ledger, 60);
	ck_assert(ledger.rebuilt);
	(void)snprintf(said, sizeof(said), "%s", ledger_windows_said(&ledger));
	*ret_said = said;
	ledger_done(&ledger);
	return text;
}

static void tell_lie(int dir_fd, const char *key, json_int_t value, const char *second_key,
		     json_int_t second_value)
{
	json_t *line = newest_line(dir_fd);

	(void)json_object_set_new(line, key, json_integer(value));
	if (second_key)
		(void)json_object_set_new(line, second_key, json_integer(second_value));
	append_line(dir_fd, line);
}

START_TEST(a_line_that_cannot_be_is_not_believed)
{
	int dir_fd = unit_dir();
	json_t *truth;
	const char *said;

	two_loops(dir_fd);
	truth = newest_line(dir_fd);
	tell_lie(dir_fd, lies[_i].key, lies[_i].value, lies[_i].second_key,
		 lies[_i].second_value);
	(void)json_object_set_new(truth, "time", json_integer(1700000009));
	if (lies[_i].then)
		append_line(dir_fd, truth);
	else
		json_decref(truth);
	claim_str_eq(lies[_i].claim, rebuilt_sums(dir_fd, &said), "6 4 2 0 0");
	claim_int_eq(lies[_i].claim, strstr(said, ", lines left out of the counters: 1") != NULL, 1);
}
END_TEST

/* Whoever takes the lock first may find it, be it for the hash only. */
static const struct {
	const char *claim;
	bool learns;
} finders[] = {
	{ "found with the lock that ends the keep", false },
	{ "found with the lock for the head's hash", true },
};

START_TEST(damage_is_told_once)
{
	const struct clock_reading now = now_at(51);
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	struct ledger_ticket ticket = crash(&ledger, 1, "p", 50);
	char *text, *first;
	size_t n;

	ck_assert_int_eq(dup2(openat(dir_fd, "said", O_WRONLY | O_CREAT | O_APPEND, 0600), 2), 2);
	log_set((struct log_target){ .to_stderr = true, .kmsg_fd = -1 });
	logs_found(&ledger);
	damage(dir_fd);
	if (finders[_i].learns)
		ck_assert_int_eq(ledger_learn_hash(&ledger, &ticket, 7, &now), 0);
	put_record(&ledger, &ticket);
	ck_assert_int_eq(ledger_commit(&ledger, &ticket, &now), 0);
	logs_found(&ledger);
	logs_found(&ledger);
	text = unit_read_file(dir_fd, "said", &n);
	first = strstr(text, "the throttle file was damaged");
	claim_int_eq(finders[_i].claim, first != NULL, 1);
	claim_int_eq(finders[_i].claim, first && strchr(first, '\n')[1], 0);
	ledger_done(&ledger);
}
END_TEST

static const char *const turned[] = { "machine", "processes" };

START_TEST(a_line_of_another_state_is_not_believed)
{
	int dir_fd = unit_dir();
	json_t *line;
	const char *said;

	two_loops(dir_fd);
	line = newest_line(dir_fd);
	if (_i == 0)
		(void)json_object_set_new(line, "machine", json_string("1234567890abcdef"));
	else
		(void)json_object_set_new(
			json_array_get(json_object_get(line, "processes"), 0), "crashes",
			json_integer(5000));
	for (const char *const *key = (const char *const[]){ "crashes", "pending", NULL };
	     *key && _i == 0; key++)
		(void)json_object_set_new(
			line, *key,
			json_integer(json_integer_value(json_object_get(line, *key)) + 50));
	append_line(dir_fd, line);
	claim_str_eq(turned[_i], rebuilt_sums(dir_fd, &said), "6 4 2 0 0");
}
END_TEST

/* Cumulative, so a line that is there twice changes no sum, wherever it stands. */
START_TEST(a_line_that_is_repeated_counts_nothing)
{
	int dir_fd = unit_dir();
	const char *said, *line;
	char *text;
	size_t n;

	two_loops(dir_fd);
	text = unit_read_file(dir_fd, "counters", &n);
	line = strtok(text, "\n");
	for (int i = 0; i < _i; i++)
		line = strtok(NULL, "\n");
	ck_assert_ptr_nonnull(line);
	unit_append_file(dir_fd, "counters", line);
	unit_append_file(dir_fd, "counters", "\n");
	claim_str_eq("an old line at the end", rebuilt_sums(dir_fd, &said), "6 4 2 0 0");
}
END_TEST

/* ---- power cuts ---- */

/* The files as they were on disk when the power failed. */
struct disk {
	char *throttle, *counters;
	size_t throttle_bytes, counters_bytes;
};

static struct disk save(int dir_fd)
{
	struct disk disk;

	disk.throttle = unit_read_file(dir_fd, STATE_FILE, &disk.throttle_bytes);
	disk.counters = unit_read_file(dir_fd, "counters", &disk.counters_bytes);
	return disk;
}

static void restore(int dir_fd, const struct disk *disk)
{
	unit_write_file(dir_fd, STATE_FILE, disk->throttle, disk->throttle_bytes);
	unit_write_file(dir_fd, "counters", disk->counters, disk->counters_bytes);
}

static const char *sums_after_boot(int dir_fd)
{
	struct ledger ledger = open_ledger(dir_fd);
	struct clock_reading now = now_at(100);
	const char *text;

	now.boot_id[0] = 2;
	ck_assert_int_eq(ledger_lock(&ledger, &now), 0);
	/* Written, so that it is not adopted again in the boot of the other tests. */
	ck_assert_int_eq(state_write(ledger.state, 0, NULL, STATE_INFLIGHT, false), 0);
	ledger_unlock(&ledger);
	text = sums(&ledger, 101);
	ledger_done(&ledger);
	return text;
}

static const struct {
	const char *claim;
	int before; /* crashes on disk */
	int lost; /* those after them, the last one being kept */
	const char *sums;
} cuts[] = {
	{ "the first crash", 1, 1, "2 2 0 0 0" },
	{ "a keep and no fold before it", 2, 3, "5 5 0 0 0" },
	{ "a keep whose folds are on disk", 4, 1, "5 5 0 0 0" },
	{ "a keep of which one fold is on disk", 3, 2, "5 5 0 0 0" },
};

START_TEST(a_record_whose_reservation_was_lost_is_adopted)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	struct ledger_ticket ticket = { 0 };
	struct disk disk;

	for (int i = 0; i < cuts[_i].before; i++)
		crash_and_keep(&ledger, 1, "p", i);
	disk = save(dir_fd);
	for (int i = 0; i < cuts[_i].lost; i++)
		ticket = crash(&ledger, 1, "p", 10 + i);
	put_record(&ledger, &ticket);
	ledger_done(&ledger);
	restore(dir_fd, &disk);
	claim_str_eq(cuts[_i].claim, sums_after_boot(dir_fd), cuts[_i].sums);
}
END_TEST

/* Without a clock that survives, an id may come again. */
START_TEST(a_record_of_the_same_id_is_not_removed)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	struct ledger_ticket ticket = crash(&ledger, 1, "p", 0);
	struct record record = RECORD_NULL;

	put_record(&ledger, &ticket);
	memcpy(record.id, ticket.id, sizeof(record.id));
	ck_assert_int_eq(settle_record(&ledger, &ticket, &record), -EEXIST);
	ck_assert_int_eq(store_has(ledger.store_fd, ticket.id, STORE_RECORD_SUFFIX), 1);
	ledger_done(&ledger);
}
END_TEST

void ledger_damage_cases(Suite *suite)
{
	TCase *damage = unit_case(suite, "damage");
	TCase *power = unit_case(suite, "power");

	tcase_add_loop_test(damage, windows_outlive_damage_elsewhere, 0, ROWS(damages));
	tcase_add_test(damage, a_rebuild_that_is_killed_can_be_done_again);
	tcase_add_test(damage, folds_are_read_from_the_damaged_file);
	tcase_add_test(damage, an_id_after_a_rebuild_is_none_that_is_under_way);
	tcase_add_loop_test(damage, a_line_that_cannot_be_is_not_believed, 0, ROWS(lies));
	tcase_add_loop_test(damage, damage_is_told_once, 0, ROWS(finders));
	tcase_add_loop_test(damage, a_line_of_another_state_is_not_believed, 0, ROWS(turned));
	tcase_add_loop_test(damage, a_line_that_is_repeated_counts_nothing, 0, 10);
	tcase_add_loop_test(power, a_record_whose_reservation_was_lost_is_adopted, 0,
			    ROWS(cuts));
	tcase_add_test(power, a_record_of_the_same_id_is_not_removed);
}
