/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The state directory as a whole: what is damaged, full or half done costs no count. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "io/counters.h"
#include "io/events.h"
#include "ledgerutil.h"
#include "unit.h"

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

START_TEST(what_is_no_event_is_named_once)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);

	unit_write_file(dir_fd, EVENTS_FILE, "99999999999999999999999 -1 0 0 zzz y\n", 37);
	append_event(dir_fd, "20231114T221320-b0000001", "p");
	unit_append_file(dir_fd, EVENTS_FILE, "garbage\n");
	ck_assert_str_eq(sums(&ledger, 1), "1 0 0 1 0");
	ck_assert_uint_eq(ledger.events_left_out, 2);
	ledger_done(&ledger);
	ledger = open_ledger(dir_fd);
	unit_append_file(dir_fd, EVENTS_FILE, "more garbage\n");
	ck_assert_str_eq(sums(&ledger, 2), "1 0 0 1 0");
	ck_assert_uint_eq(ledger.events_left_out, 1);
	ledger_done(&ledger);
	ledger = open_ledger(dir_fd);
	ck_assert_str_eq(sums(&ledger, 3), "1 0 0 1 0");
	ck_assert_uint_eq(ledger.events_left_out, 0);
	ledger_done(&ledger);
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
	rebuild_gives(dir_fd, 2001, "1100 76 1024 0 0");
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
	rebuild_gives(dir_fd, 1, "1 1 0 0 0");
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
	rebuild_gives(dir_fd, 1, "2 2 0 0 0");
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
	rebuild_gives(dir_fd, 1, "1 0 0 1 0");
}
END_TEST

/* ---- novelty while a crash is being kept ---- */

struct seen {
	int dir_fd;
	int times;
	enum throttle_decision decision;
	off_t bytes; /* of the counters, at that moment */
};

static off_t counters_bytes(int dir_fd)
{
	struct stat st;

	return fstatat(dir_fd, COUNTERS_FILE, &st, 0) == 0 ? st.st_size : 0;
}

static void see(void *userdata, const struct ledger_ticket *ticket)
{
	struct seen *seen = userdata;

	seen->times++;
	seen->decision = ticket->decision;
	seen->bytes = counters_bytes(seen->dir_fd);
}

START_TEST(the_decision_is_told_before_its_line_is_written)
{
	int dir_fd = unit_dir();
	struct ledger ledger = open_ledger(dir_fd);
	struct seen seen = { .dir_fd = dir_fd };
	const struct ledger_crash question = { .process = "p", .decided = see, .userdata = &seen };

	for (int i = 0; i < 4; i++) {
		const struct clock_reading now = now_at(i);
		off_t before = counters_bytes(dir_fd);
		struct ledger_ticket ticket;

		ck_assert_int_eq(ledger_crash(&ledger, &question, &now, &ticket), 0);
		ck_assert_int_eq(seen.times, i + 1);
		ck_assert_int_eq(seen.decision, ticket.decision);
		ck_assert_int_eq(seen.bytes, before);
		ck_assert_int_gt(counters_bytes(dir_fd), before);
	}
	ledger_done(&ledger);
}
END_TEST

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

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *events = unit_case(suite, "events");
	TCase *rebuild = unit_case(suite, "rebuild");
	TCase *novelty = unit_case(suite, "novelty");
	TCase *decision = unit_case(suite, "decision");

	tcase_add_test(events, an_event_without_a_free_entry_waits);
	tcase_add_test(events, what_is_no_event_is_named_once);
	tcase_add_test(rebuild, evicted_weight_in_a_record_is_not_pending_again);
	tcase_add_test(rebuild, evicted_weight_on_its_way_is_settled_after_a_rebuild);
	tcase_add_test(rebuild, a_keep_whose_end_no_line_tells_counts_once);
	tcase_add_test(rebuild, a_record_whose_event_is_still_to_be_merged_counts_once);
	tcase_add_test(rebuild, events_that_were_merged_are_not_merged_by_a_rebuild);
	tcase_add_test(decision, the_decision_is_told_before_its_line_is_written);
	tcase_add_test(novelty, a_new_bug_is_seen_while_another_is_being_kept);
	ledger_damage_cases(suite);
	return unit_main(suite);
}
