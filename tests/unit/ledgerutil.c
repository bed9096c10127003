/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "ledgerutil.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/record.h"
#include "io/store.h"
#include "unit.h"

struct config config;

struct clock_reading now_at(int64_t seconds)
{
	return (struct clock_reading){ .boot_id = { 1 },
				       .monotonic_ns = seconds * SEC,
				       .wall_ns = (1700000000 + seconds) * SEC };
}

/* Opens it again for the same directory, as another process would. */
struct ledger open_ledger(int dir_fd)
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

void lock(struct ledger *ledger, int64_t seconds)
{
	const struct clock_reading now = now_at(seconds);

	ck_assert_int_eq(ledger_lock(ledger, &now), 0);
}

struct ledger_ticket crash(struct ledger *ledger, uint32_t uid, const char *process,
				  int64_t seconds)
{
	const struct ledger_crash question = { .uid = uid, .process = process };
	const struct clock_reading now = now_at(seconds);
	struct ledger_ticket ticket;

	ck_assert_int_eq(ledger_crash(ledger, &question, &now, &ticket), 0);
	return ticket;
}

void put_record(struct ledger *ledger, const struct ledger_ticket *ticket)
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
void crash_and_keep(struct ledger *ledger, uint32_t uid, const char *process,
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
const char *sums(struct ledger *ledger, int64_t seconds)
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

void damage(int dir_fd)
{
	unit_write_file(dir_fd, STATE_FILE, "damaged", 7);
}

void rebuild_gives(int dir_fd, int64_t seconds, const char *wanted)
{
	struct ledger ledger;

	damage(dir_fd);
	ledger = open_ledger(dir_fd);
	ck_assert_str_eq(sums(&ledger, seconds), wanted);
	ledger_done(&ledger);
}
