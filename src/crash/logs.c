/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/logs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/record.h"
#include "io/log.h"
#include "policy/units.h"

#define FIELDS_MAX 16
#define NUMBER_SIZE 24

/* Numbers as text, living as long as the entry. */
struct fields {
	struct log_field field[FIELDS_MAX];
	char number[FIELDS_MAX][NUMBER_SIZE];
	size_t n;
};

static void add_text(struct fields *fields, const char *name, const char *value)
{
	fields->field[fields->n++] = (struct log_field){ name, value };
}

static void add_number(struct fields *fields, const char *name, int64_t value)
{
	char *text = fields->number[fields->n];

	(void)snprintf(text, NUMBER_SIZE, "%" PRId64, value);
	add_text(fields, name, text);
}

static const char *detail(const struct crash *crash, const char *key)
{
	return json_string_value(json_object_get(crash->record.details, key)) ?: "";
}

static void add_crash(struct fields *fields, const struct crash *crash)
{
	add_text(fields, "COREFOLD_PROCESS", crash->record.process);
	add_number(fields, "COREFOLD_UID", crash->request.uid);
	add_number(fields, "COREFOLD_PID", crash->request.pid);
	add_number(fields, "COREFOLD_SIGNAL", crash->request.signal);
}

void logs_kept(const struct crash *crash)
{
	const struct record *record = &crash->record;
	const char *signature = detail(crash, "signature");
	char stored[UNITS_SIZE];
	struct fields fields = { .n = 0 };
	struct log_entry entry = { .priority = LOG_NOTICE,
				   .message_id = LOG_ID_KEPT,
				   .field = fields.field };

	add_crash(&fields, crash);
	add_text(&fields, "COREFOLD_ID", record->id);
	add_text(&fields, "COREFOLD_DECISION", record_decision_name(record->decision));
	add_text(&fields, "COREFOLD_REASON", record->decision_reason);
	add_number(&fields, "COREFOLD_WEIGHT", (int64_t)record->weight);
	add_text(&fields, "COREFOLD_CAPTURE", capture_kind_name(record->capture));
	add_text(&fields, "COREFOLD_SIGNATURE", signature);
	add_text(&fields, "COREFOLD_EXECUTABLE", detail(crash, "executable"));
	add_text(&fields, "COREFOLD_UNIT", detail(crash, "unit"));
	entry.fields = fields.n;
	log_entry(&entry,
		  "kept %s: %s (pid %" PRId64 ", uid %u) signal %d%s%s, weight %" PRIu64
		  " (%s), %s %s%s%s",
		  record->id, record->process, record->pid, record->uid, record->signal,
		  *signature ? " in " : "", signature, record->weight, record->decision_reason,
		  capture_kind_name(record->capture),
		  units_format_bytes(record->stored_bytes, stored),
		  record->complete || record->capture == CAPTURE_NONE ? "" : " (incomplete)",
		  crash->victim.verified || crash->replayed || crash->reported ?
			  "" :
			  ", identity unverified");
}

void logs_folded(const struct crash *crash)
{
	const struct ledger_ticket *ticket = &crash->ticket;
	struct fields fields = { .n = 0 };
	struct log_entry entry = { .priority = LOG_INFO,
				   .message_id = LOG_ID_FOLDED,
				   .field = fields.field };
	char before[64] = "";

	if (!ticket->told || crash->replayed)
		return;
	add_crash(&fields, crash);
	add_text(&fields, "COREFOLD_DECISION", "fold");
	add_text(&fields, "COREFOLD_REASON", ticket->reason);
	add_number(&fields, "COREFOLD_PENDING", (int64_t)ticket->pending);
	if (ticket->not_told > 0)
		(void)snprintf(before, sizeof(before),
			       "; %" PRIu64 " folds before it got no line", ticket->not_told);
	entry.fields = fields.n;
	log_entry(&entry,
		  "folded: %s (pid %" PRId64 ", uid %u) signal %d, %" PRIu64 " pending (%s)%s",
		  crash->record.process, crash->request.pid, crash->request.uid,
		  crash->request.signal, ticket->pending, ticket->reason, before);
}

void logs_found(struct ledger *ledger)
{
	if (ledger->rebuilt && ledger->state->older_version > 0)
		log_notice("the throttle file was of an earlier corefold (and is throttle.bad "
			   "now): totals taken over from counters and records, %s",
			   ledger_windows_said(ledger));
	else if (ledger->rebuilt)
		log_warning("the throttle file was damaged (and is throttle.bad now) or gone: "
			    "totals rebuilt from counters and records, %s",
			    ledger_windows_said(ledger));
	if (ledger->events_left_out > 0)
		log_warning("events: left out what is no crash, lines: %" PRIu64,
			    ledger->events_left_out);
	ledger->rebuilt = false;
	ledger->events_left_out = 0;
}

void logs_decided(const struct crash *crash)
{
	struct ledger *ledger = crash->ledger;
	const struct ledger_ticket *ticket = &crash->ticket;

	logs_found(ledger);
	if (ledger->counters_failed)
		log_warning("cannot append to counters: %s (the next line catches up)",
			    ledger->counters_failed);
	if (ticket->without_lock)
		log_warning("crash of %s (pid %" PRId64 ") counted in events: %s",
			    ticket->process, crash->request.pid, ticket->reason);
}
