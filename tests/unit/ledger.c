/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The state directory as a whole: what is damaged, full or half done costs no count. */

#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/events.h"
#include "io/store.h"
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

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *events = unit_case(suite, "events");

	tcase_add_test(events, an_event_without_a_free_entry_waits);
	return unit_main(suite);
}
