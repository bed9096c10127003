/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The state directory as a whole: what is damaged, full or half done costs no count. */

#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/record.h"
#include "io/events.h"
#include "io/state_format.h"
#include "io/store.h"
#include "settle.h"
#include "unit.h"

static struct config config;

static struct clock_reading now_at(int64_t seconds)
{
	return (struct clock_reading){ .boot_id = { 1 },
				       .monotonic_ns = seconds * SEC,
				       .wall_ns = (1700000000 + seconds) * SEC };
}

/* Opens it again for the same directory, as another process would. */
static struct ledger open_ledger(int dir_fd)
{
	struct ledger ledger = LEDGER_NULL;
	int copy = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);

	config_init(&config);
	config.throttle.limit = 2;
	config.throttle.report_every = 3;
	ck_assert_int_ge(copy, 0);
	ck_assert_int_eq(ledger_open(&ledger, &config, copy), 0);
	return ledger;
}

static void lock(struct ledger *ledger, int64_t seconds)
{
	const struct clock_reading now = now_at(seconds);

	ck_assert_int_eq(ledger_lock(ledger, &now), 0);
}

static struct ledger_ticket crash(struct ledger *ledger, uint32_t uid, const char *process,
				  int64_t seconds)
{
	const struct ledger_crash question = { .uid = uid, .process = process };
	const struct clock_reading now = now_at(seconds);
	struct ledger_ticket ticket;

	ck_assert_int_eq(ledger_crash(ledger, &question, &now, &ticket), 0);
	return ticket;
}

static void put_record(struct ledger *ledger, const struct ledger_ticket *ticket)
{
	struct record record = RECORD_NULL;
	json_t *json;

	memcpy(record.id, ticket->id, sizeof(record.id));
	memcpy(record.process, ticket->process, sizeof(record.process));
	record.uid = ticket->uid;
	record.weight = ticket->weight;
	record.decision = ticket->decision == THROTTLE_FOLD ? RECORD_FOLDED : RECORD_KEEP;
	json = record_to_json(&record);
	ck_assert_int_eq(store_put_record(ledger->store_fd, record.id, json), 0);
	json_decref(json);
}

/* Decides, and keeps what is to be kept. */
static void crash_and_keep(struct ledger *ledger, uint32_t uid, const char *process,
			   int64_t seconds)
{
	const struct ledger_ticket ticket = crash(ledger, uid, process, seconds);
	const struct clock_reading now = now_at(seconds);

	if (ticket.decision == THROTTLE_FOLD)
		return;
	put_record(ledger, &ticket);
	ck_assert_int_eq(ledger_commit(ledger, &ticket, &now), 0);
}

static uint64_t weight_of_records(int store_fd)
{
	uint64_t weight = 0;
	char **ids;
	size_t n;

	ck_assert_int_eq(store_list(store_fd, &ids, &n), 0);
	for (size_t i = 0; i < n; i++) {
		json_t *json;

		ck_assert_int_eq(store_read_record(store_fd, ids[i], &json), 0);
		weight += (uint64_t)json_integer_value(json_object_get(json, "weight"));
		json_decref(json);
	}
	store_free_ids(ids, n);
	return weight;
}

/* "crashes kept pending in-flight evicted", after checking that all of it adds up. */
static const char *sums(struct ledger *ledger, int64_t seconds)
{
	static char text[128];
	struct totals t;

	lock(ledger, seconds);
	t = ledger->state->header.totals;
	ck_assert_int_eq(state_verify(ledger->state), 0);
	ledger_unlock(ledger);
	ck_assert_msg(totals_balanced(&t), "crashes %ju, but %ju + %ju + %ju + %ju",
		      (uintmax_t)t.crashes, (uintmax_t)t.kept_weight, (uintmax_t)t.pending,
		      (uintmax_t)t.in_flight, (uintmax_t)t.evicted);
	ck_assert_uint_eq(weight_of_records(ledger->store_fd), t.kept_weight);
	(void)snprintf(text, sizeof(text), "%ju %ju %ju %ju %ju", (uintmax_t)t.crashes,
		       (uintmax_t)t.kept_weight, (uintmax_t)t.pending, (uintmax_t)t.in_flight,
		       (uintmax_t)t.evicted);
	return text;
}

static void damage(int dir_fd)
{
	unit_write_file(dir_fd, STATE_FILE, "damaged", 7);
}

/* ---- events ---- */

static void append_event(int dir_fd, const char *id, const char *process)
{
	struct event event = { .kept = true, .wall_ns = 1700000000 * SEC };

	(void)snprintf(event.id, sizeof(event.id), "%s", id);
	(void)snprintf(event.process, sizeof(event.process), "%s", process);
	ck_assert_int_eq(events_append(dir_fd, &event), 0);
}

START_TEST(an_event_without_a_free_entry_waits)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd), later = open_ledger(dir_fd);

	/* Two hundred and fifty-six keeps under way: no entry is free. */
	for (int i = 0; i < STATE_INFLIGHT; i++) {
		char process[NAME_SIZE];

		(void)snprintf(process, sizeof(process), "keep%d", i);
		(void)crash(&ledger, 1, process, 0);
	}
	append_event(dir_fd, "20231114T221320-b0000001", "waits");
	/* A crash that is only counted writes the header: the event must not go with it. */
	(void)crash(&ledger, 1, "keep0", 1);
	ledger_done(&ledger);
	ck_assert_str_eq(sums(&later, 2), "258 0 257 1 0");
	ledger_done(&later);
}
END_TEST

/* ---- rebuilding ---- */

static struct ledger_ticket take_evicted(struct ledger *ledger, int64_t seconds)
{
	struct ledger_ticket ticket;

	lock(ledger, seconds);
	ck_assert_int_eq(ledger_take_pending(ledger, STATE_NO_SLOT, &ticket), 0);
	ledger_unlock(ledger);
	return ticket;
}

/* More processes than there are places, each with one fold. */
static struct ledger with_evicted(int dir_fd)
{
	struct ledger ledger = open_ledger(dir_fd);

	config.throttle.limit = 0;
	for (int i = 0; i < STATE_SLOTS + 76; i++) {
		char process[NAME_SIZE];

		(void)snprintf(process, sizeof(process), "process%d", i);
		crash_and_keep(&ledger, 1, process, i);
	}
	return ledger;
}

START_TEST(evicted_weight_in_a_record_is_not_pending_again)
{
	int dir_fd = unit_dir();
	struct ledger ledger = with_evicted(dir_fd);
	const struct clock_reading now = now_at(2000);
	struct ledger_ticket ticket;

	ck_assert_str_eq(sums(&ledger, 2000), "1100 0 1024 0 76");
	ticket = take_evicted(&ledger, 2000);
	put_record(&ledger, &ticket);
	ck_assert_int_eq(ledger_commit(&ledger, &ticket, &now), 0);
	ck_assert_str_eq(sums(&ledger, 2000), "1100 76 1024 0 0");
	ledger_done(&ledger);
	damage(dir_fd);
	ledger = open_ledger(dir_fd);
	ck_assert_str_eq(sums(&ledger, 2001), "1100 76 1024 0 0");
	ledger_done(&ledger);
}
END_TEST

START_TEST(evicted_weight_on_its_way_is_settled_after_a_rebuild)
{
	int dir_fd = unit_dir();
	struct ledger ledger = with_evicted(dir_fd), later = open_ledger(dir_fd);
	struct ledger_ticket ticket = take_evicted(&ledger, 2000);
	const struct clock_reading now = now_at(2002);

	damage(dir_fd);
	config.throttle.limit = 0;
	ck_assert_str_eq(sums(&later, 2001), "1100 0 1024 76 0");
	put_record(&ledger, &ticket);
	ck_assert_int_eq(ledger_commit(&ledger, &ticket, &now), 0);
	ledger_done(&ledger);
	ck_assert_str_eq(sums(&later, 2002), "1100 76 1024 0 0");
	ledger_done(&later);
}
END_TEST

/* The line that told of a keep's end is lost, those that came after it are not. */
START_TEST(a_keep_whose_end_no_line_tells_counts_once)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	char *text, *last;
	size_t n;

	crash_and_keep(&ledger, 1, "p", 0);
	ledger_done(&ledger);
	text = unit_read_file(dir_fd, "counters", &n);
	last = strstr(text, ",\"settled\"");
	ck_assert_ptr_nonnull(last);
	unit_write_file(dir_fd, "counters", text, (size_t)(last - text));
	unit_append_file(dir_fd, "counters", "}\n");
	damage(dir_fd);
	ledger = open_ledger(dir_fd);
	ck_assert_str_eq(sums(&ledger, 1), "1 1 0 0 0");
	ledger_done(&ledger);
}
END_TEST

START_TEST(a_record_whose_event_is_still_to_be_merged_counts_once)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	struct ledger_ticket ticket = { .weight = 1, .process = "p",
					.id = "20231114T221320-b0000001" };

	crash_and_keep(&ledger, 0, "p", 0);
	append_event(dir_fd, ticket.id, "p");
	put_record(&ledger, &ticket);
	ledger_done(&ledger);
	damage(dir_fd);
	ledger = open_ledger(dir_fd);
	ck_assert_str_eq(sums(&ledger, 1), "2 2 0 0 0");
	ledger_done(&ledger);
}
END_TEST

/* The merger was killed before it could empty the file. */
START_TEST(events_that_were_merged_are_not_merged_by_a_rebuild)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	char *events;
	size_t n;

	append_event(dir_fd, "20231114T221320-b0000001", "p");
	events = unit_read_file(dir_fd, "events", &n);
	lock(&ledger, 0);
	ledger_unlock(&ledger);
	unit_write_file(dir_fd, "events", events, n);
	ledger_done(&ledger);
	damage(dir_fd);
	ledger = open_ledger(dir_fd);
	ck_assert_str_eq(sums(&ledger, 1), "1 0 0 1 0");
	ledger_done(&ledger);
}
END_TEST

/* ---- what a damaged file still tells ---- */

/* "keep", or "fold" for a process that is still known to loop. */
static const char *next_crash(int dir_fd, const char *process, const char **ret_said)
{
	struct ledger ledger = open_ledger(dir_fd);
	struct ledger_ticket ticket = crash(&ledger, 1, process, 50);

	*ret_said = ledger.rebuilt ? ledger_windows_said(&ledger) : "good";
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

/* ---- novelty while a crash is being kept ---- */

START_TEST(a_new_bug_is_seen_while_another_is_being_kept)
{
	struct ledger ledger = open_ledger(unit_dir());
	const struct clock_reading now = now_at(1);
	struct ledger_ticket kept = { 0 }, ticket;

	for (int i = 0; i < 5; i++) { /* K K F F K */
		kept = crash(&ledger, 1, "p", 1);
		if (i < 4 && kept.decision != THROTTLE_FOLD)
			ck_assert_int_eq(ledger_commit(&ledger, &kept, &now), 0);
	}
	ck_assert_int_eq(kept.decision, THROTTLE_KEEP);
	ticket = crash(&ledger, 1, "p", 1);
	ck_assert_msg(!ticket.may_be_novel, "it may be the bug that is being kept");
	ck_assert_int_eq(ledger_learn_hash(&ledger, &kept, 11, &now), 0);
	ticket = crash(&ledger, 1, "p", 1);
	ck_assert(ticket.may_be_novel);
	ck_assert_msg(ledger_knows_hash(&ticket, 11), "the one that is being kept is known");
	ck_assert(!ledger_knows_hash(&ticket, 12));
	ck_assert_int_eq(ledger_probe(&ledger, &ticket, 12, &now), 0);
	ck_assert_int_eq(ledger_admit(&ledger, &ticket, 0x12, &now), 0);
	ck_assert_int_eq(ticket.decision, THROTTLE_NOVEL);
	ledger_done(&ledger);
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

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *events = unit_case(suite, "events");
	TCase *rebuild = unit_case(suite, "rebuild");
	TCase *novelty = unit_case(suite, "novelty");
	TCase *power = unit_case(suite, "power");

	tcase_add_test(events, an_event_without_a_free_entry_waits);
	tcase_add_test(rebuild, evicted_weight_in_a_record_is_not_pending_again);
	tcase_add_test(rebuild, evicted_weight_on_its_way_is_settled_after_a_rebuild);
	tcase_add_test(rebuild, a_keep_whose_end_no_line_tells_counts_once);
	tcase_add_test(rebuild, a_record_whose_event_is_still_to_be_merged_counts_once);
	tcase_add_test(rebuild, events_that_were_merged_are_not_merged_by_a_rebuild);
	tcase_add_test(rebuild, an_id_after_a_rebuild_is_none_that_is_under_way);
	tcase_add_test(novelty, a_new_bug_is_seen_while_another_is_being_kept);
	tcase_add_loop_test(rebuild, windows_outlive_damage_elsewhere, 0, ROWS(damages));
	tcase_add_test(rebuild, a_rebuild_that_is_killed_can_be_done_again);
	tcase_add_test(rebuild, folds_are_read_from_the_damaged_file);
	tcase_add_loop_test(power, a_record_whose_reservation_was_lost_is_adopted, 0,
			    ROWS(cuts));
	tcase_add_test(power, a_record_of_the_same_id_is_not_removed);
	return unit_main(suite);
}
