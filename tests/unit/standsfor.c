/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Which bugs the weight of a record is of: the counts add up to the weight, and a crash
 * whose bug is known is told once, whatever becomes of the keeps that carry it.
 */

#include "ledger/ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/record.h"
#include "crash/settle.h"
#include "io/clock.h"
#include "io/store.h"
#include "unit.h"

#define BUGS 5
#define STEPS 1500
#define UNDER_WAY 4

static struct config config;

/* The real one: settle_record() reads it, too. All of it happens within a window. */
static struct clock_reading now(void)
{
	struct clock_reading reading;

	check_that(clock_read(&reading) == 0);
	return reading;
}

static struct ledger open_ledger(int dir_fd)
{
	struct ledger ledger = LEDGER_NULL;

	config_init(&config);
	config.throttle.limit = 2;
	config.throttle.report_every = 7;
	config.throttle.novel_per_window = 16;
	config.throttle.age_out_ns = 3600 * SEC;
	ck_assert_int_eq(ledger_open(&ledger, &config, fcntl(dir_fd, F_DUPFD_CLOEXEC, 0)), 0);
	return ledger;
}

/* The last two of them may look alike without unwinding. */
#define ALIKE (BUGS - 2)
static bool two_are_alike;

static uint64_t hash_of(uint64_t bug)
{
	return 1000 + (two_are_alike && bug > ALIKE ? ALIKE : bug);
}

static uint64_t signature_of(uint64_t bug) { return 0x1111111111111111u * (bug + 1); }

static struct ledger_ticket crash(struct ledger *ledger, const char *process)
{
	const struct ledger_crash question = { .uid = 1, .process = process };
	const struct clock_reading at = now();
	struct ledger_ticket ticket;

	check_that(ledger_crash(ledger, &question, &at, &ticket) == 0);
	return ticket;
}

/* As the pipeline does with a fold. True if the bug of it is known to the ledger. */
static bool fold(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t bug)
{
	const struct clock_reading at = now();

	if (!ticket->may_be_novel)
		return false;
	if (ledger_knows_hash(ticket, hash_of(bug))) {
		ledger_note_fold(ledger, ticket);
		return true;
	}
	if (ledger_probe(ledger, ticket, hash_of(bug), &at) != 0)
		return false;
	return ledger_admit(ledger, ticket, signature_of(bug), &at) == LEDGER_E_FOLD;
}

static void begin_keep(struct ledger *ledger, struct ledger_ticket *ticket, uint64_t bug)
{
	const struct clock_reading at = now();

	if (ticket->hash == 0)
		check_that(ledger_learn_hash(ledger, ticket, hash_of(bug), &at) == 0);
	ticket->signature = signature_of(bug);
}

static void store(struct ledger *ledger, const struct ledger_ticket *ticket)
{
	struct record record = RECORD_NULL;

	memcpy(record.id, ticket->id, sizeof(record.id));
	memcpy(record.process, ticket->process, sizeof(record.process));
	record.uid = ticket->uid;
	record.weight = ticket->weight;
	record.decision = ticket->decision == THROTTLE_FOLD ? RECORD_FOLDED : RECORD_KEEP;
	check_that(settle_record(ledger, ticket, &record) == 0);
}

/* Pending crashes into a record, as the tick does. */
static void write_pending(struct ledger *ledger, uint32_t slot)
{
	const struct clock_reading at = now();
	struct ledger_ticket ticket;

	check_that(ledger_lock(ledger, &at) == 0);
	check_that(ledger_take_pending(ledger, slot, &ticket) == 0);
	ledger_unlock(ledger);
	if (ticket.weight > 0)
		store(ledger, &ticket);
}

/* Sums of the records of a process: of each bug, and in the last place of unknown ones. */
static uint64_t told(struct ledger *ledger, const char *process, uint64_t sums[static BUGS + 1])
{
	uint64_t weight = 0;
	char **ids;
	size_t n;

	memset(sums, 0, (BUGS + 1) * sizeof(*sums));
	ck_assert_int_eq(store_list(ledger->store_fd, &ids, &n), 0);
	for (size_t i = 0; i < n; i++) {
		json_t *record, *kinds, *kind;
		json_int_t of_record = 0;
		size_t k;

		ck_assert_int_eq(store_read_record(ledger->store_fd, ids[i], &record), 0);
		kinds = json_object_get(record, "stands_for");
		json_array_foreach(kinds, k, kind) {
			const char *key = json_string_value(json_object_get(kind, "signature"));
			json_int_t count = json_integer_value(json_object_get(kind, "count"));

			check_that(count > 0);
			of_record += count;
			if (strcmp(json_string_value(json_object_get(record, "process")), process) == 0)
				sums[key ? (uint64_t)(key[0] - '1') : BUGS] += (uint64_t)count;
		}
		ck_assert_int_eq(of_record, json_integer_value(json_object_get(record, "weight")));
		weight += (uint64_t)of_record;
		json_decref(record);
	}
	store_free_ids(ids, n);
	return weight;
}

/* ---- by hand ---- */

START_TEST(folds_of_two_bugs_are_told_apart)
{
	struct ledger ledger = open_ledger(unit_dir());
	uint64_t sums[BUGS + 1];

	for (uint64_t i = 0; i < 9; i++) {
		struct ledger_ticket ticket = crash(&ledger, "p");
		const uint64_t bug = i < 2 ? i : i % 3 == 0; /* bugs 0 and 1 */

		if (ticket.decision == THROTTLE_FOLD) {
			ck_assert(fold(&ledger, &ticket, bug));
			continue;
		}
		begin_keep(&ledger, &ticket, bug);
		store(&ledger, &ticket);
	}
	(void)told(&ledger, "p", sums); /* 0 1 | 0 1 0 0 1 0 0 */
	ck_assert_uint_eq(sums[0], 6);
	ck_assert_uint_eq(sums[1], 3);
	ck_assert_uint_eq(sums[BUGS], 0);
	ledger_done(&ledger);
}
END_TEST

/* Looking alike, they are told apart only where each crash was unwound. */
static const struct {
	const char *claim;
	const char *bugs; /* of each crash: a, b look alike, c is another. KKFFFFFFK, then as before */
	uint64_t a, b, c, unknown;
} alike[] = {
	{ "one bug is one bug", "aaaaaaaaa", 9, 0, 0, 0 },
	{ "the kept one is another than the folds before it", "aaaaaaaab", 2, 1, 0, 6 },
	{ "... and some of those may have been", "aaaaabbbb", 2, 1, 0, 6 },
	{ "both were seen before", "abaaaaaaa", 2, 1, 0, 6 },
	{ "... and are kept by turns", "abaaaaaab", 1, 2, 0, 6 },
	{ "what looks like neither is known", "abccaaacaa", 2, 1, 3, 4 },
	{ "the next folds are unknown, too", "aaaaaaaabbbbbbbb", 2, 2, 0, 12 },
	{ "a third one carries them", "aaaaaaaabbbbbbbc", 2, 1, 1, 12 },
};

START_TEST(bugs_that_look_alike_are_not_taken_for_one_another)
{
	struct ledger ledger = open_ledger(unit_dir());
	uint64_t sums[BUGS + 1];

	two_are_alike = true;
	for (const char *bug = alike[_i].bugs; *bug; bug++) {
		const uint64_t number = *bug == 'c' ? 0 : ALIKE + (uint64_t)(*bug - 'a');
		struct ledger_ticket ticket = crash(&ledger, "p");

		if (ticket.decision == THROTTLE_FOLD)
			(void)fold(&ledger, &ticket, number);
		if (ticket.decision == THROTTLE_FOLD)
			continue;
		begin_keep(&ledger, &ticket, number);
		store(&ledger, &ticket);
	}
	claim_int_eq(alike[_i].claim, told(&ledger, "p", sums), strlen(alike[_i].bugs));
	claim_int_eq(alike[_i].claim, sums[ALIKE], alike[_i].a);
	claim_int_eq(alike[_i].claim, sums[ALIKE + 1], alike[_i].b);
	claim_int_eq(alike[_i].claim, sums[0], alike[_i].c);
	claim_int_eq(alike[_i].claim, sums[BUGS], alike[_i].unknown);
	ledger_done(&ledger);
}
END_TEST

START_TEST(folds_that_nobody_looked_at_are_unknown)
{
	struct ledger ledger = open_ledger(unit_dir());
	uint64_t sums[BUGS + 1];

	for (int i = 0; i < 9; i++) {
		struct ledger_ticket ticket = crash(&ledger, "p");

		if (ticket.decision != THROTTLE_FOLD) {
			begin_keep(&ledger, &ticket, 3);
			store(&ledger, &ticket);
		}
	}
	(void)told(&ledger, "p", sums);
	ck_assert_uint_eq(sums[3], 3);
	ck_assert_uint_eq(sums[BUGS], 6);
	ledger_done(&ledger);
}
END_TEST

START_TEST(a_place_taken_by_another_process_starts_anew)
{
	struct ledger ledger = open_ledger(unit_dir());
	struct ledger_ticket late = { 0 };
	uint64_t sums[BUGS + 1];
	char name[32];

	for (int i = 0; i < 5; i++) {
		struct ledger_ticket ticket = crash(&ledger, "p");

		if (ticket.decision == THROTTLE_FOLD) {
			ck_assert(fold(&ledger, &ticket, 0));
			late = ticket;
			continue;
		}
		begin_keep(&ledger, &ticket, 0);
		store(&ledger, &ticket);
	}
	for (int i = 0; i < STATE_SLOTS; i++) {
		struct ledger_ticket ticket;

		(void)snprintf(name, sizeof(name), "q%d", i);
		ticket = crash(&ledger, name);
		begin_keep(&ledger, &ticket, 1);
		store(&ledger, &ticket);
		if (ticket.slot == late.slot)
			break;
	}
	/* A fold of the evicted process that comes to count only now. */
	ledger_note_fold(&ledger, &late);
	for (int i = 0; i < 8; i++) {
		struct ledger_ticket ticket = crash(&ledger, name);

		if (ticket.decision == THROTTLE_FOLD) {
			ck_assert(fold(&ledger, &ticket, 1));
			continue;
		}
		begin_keep(&ledger, &ticket, 1);
		store(&ledger, &ticket);
	}
	(void)told(&ledger, name, sums);
	ck_assert_uint_eq(sums[1], 9);
	ledger_done(&ledger);
}
END_TEST

/* ---- by chance: one handler at a time, or several at once that may be killed ---- */

/* What became of a keep: stored, given back, or its handler was killed. */
static void end_keep(struct ledger *ledger, struct ledger_ticket *ticket, int dir_fd,
		     uint64_t how)
{
	const struct clock_reading at = now();

	if (how < 6)
		store(ledger, ticket);
	else if (how < 8)
		check_that(ledger_give_back(ledger, ticket, &at) == 0);
	ledger_done(ledger);
	*ledger = open_ledger(dir_fd);
}

START_TEST(every_known_crash_is_told_once)
{
	int dir_fd = unit_dir();
	struct unit_random random = unit_random(_i);
	struct ledger ledger[UNDER_WAY]; /* a handler each; a keep in all but the first */
	struct ledger_ticket ticket[UNDER_WAY] = { 0 };
	uint64_t known[BUGS + 1] = { 0 }, sums[BUGS + 1], crashes = 0;
	const bool overlapping = _i % 2;
	uint32_t slot = 0;

	two_are_alike = _i >= 8;
	for (size_t i = 0; i < UNDER_WAY; i++)
		ledger[i] = open_ledger(dir_fd);
	for (int i = 0; i < STEPS; i++) {
		uint64_t bug = unit_below(&random, BUGS);
		uint64_t at = 1 + (overlapping ? unit_below(&random, UNDER_WAY - 1) : 0);
		struct ledger_ticket t;

		if (ticket[at].weight > 0) {
			uint64_t how = unit_below(&random, overlapping ? 10 : 8);

			/* Without a record its crash is pending again, and what it was is not known. */
			if (how >= 6) {
				known[ticket[at].signature % 16 - 1]--;
				known[BUGS]++;
			}
			end_keep(&ledger[at], &ticket[at], dir_fd, how);
			ticket[at].weight = 0;
			continue;
		}
		if (crashes > 0 && unit_below(&random, 40) == 0)
			write_pending(&ledger[0], slot);
		t = crash(&ledger[at], "p");
		slot = t.slot;
		crashes++;
		if (t.decision == THROTTLE_FOLD) {
			known[fold(&ledger[at], &t, bug) || t.decision != THROTTLE_FOLD ? bug : BUGS]++;
			if (t.decision == THROTTLE_FOLD)
				continue;
		} else {
			known[bug]++;
		}
		begin_keep(&ledger[at], &t, bug);
		ticket[at] = t;
	}
	for (size_t i = 1; i < UNDER_WAY; i++)
		if (ticket[i].weight > 0)
			store(&ledger[i], &ticket[i]);
	write_pending(&ledger[0], slot);
	ck_assert_uint_eq(told(&ledger[0], "p", sums), crashes);
	if (two_are_alike) { /* either's crashes may be anybody's, but of the two */
		check_that(sums[ALIKE] + sums[ALIKE + 1] <= known[ALIKE] + known[ALIKE + 1]);
		check_that(sums[BUGS] >= known[BUGS]);
	}
	/* A bug whose first keep is under way, or was killed, has no name yet: it may be unknown. */
	for (size_t i = 0; i < (two_are_alike ? ALIKE : BUGS); i++)
		ck_assert_msg(overlapping ? sums[i] <= known[i] && sums[i] * 2 > known[i] :
					    sums[i] == known[i],
			      "bug %zu: %ju told, not %ju", i, (uintmax_t)sums[i],
			      (uintmax_t)known[i]);
	for (size_t i = 0; i < UNDER_WAY; i++)
		ledger_done(&ledger[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stands for");
	TCase *hand = unit_case(suite, "by hand");
	TCase *chance = unit_case(suite, "by chance");

	tcase_add_test(hand, folds_of_two_bugs_are_told_apart);
	tcase_add_loop_test(hand, bugs_that_look_alike_are_not_taken_for_one_another, 0,
			    ROWS(alike));
	tcase_add_test(hand, folds_that_nobody_looked_at_are_unknown);
	tcase_add_test(hand, a_place_taken_by_another_process_starts_anew);
	tcase_add_loop_test(chance, every_known_crash_is_told_once, 0, 16);
	return unit_main(suite);
}
