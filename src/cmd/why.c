/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/why.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/table.h"
#include "core/corefile.h"
#include "crash/analyse.h"
#include "crash/take.h"
#include "io/clock.h"
#include "policy/units.h"

/*
 * In the order in which the pipeline asks. What the process had shown before is in the
 * ticket, and only if it was asked for.
 */
static const char *novelty_of(const struct crash *crash, const struct why *why)
{
	const struct ledger_ticket *ticket = &crash->ticket;

	if (!crash->config->throttle.enabled)
		return "not asked: throttling is off";
	if (ticket->without_lock)
		return "not asked: the state could not be used";
	if (ticket->decision == THROTTLE_NOVEL)
		return "a signature that this process has not shown before";
	if (!why->loop)
		return "not asked: no crash loop, it is kept anyway";
	if (ticket->decision == THROTTLE_KEEP)
		return "not asked: it is the one in ReportEvery that is kept anyway";
	if (!ticket->may_be_novel)
		return "not asked: NovelPerProcess is spent, or another keep has yet to say what it is";
	if (why->hash == 0)
		return "cannot be told: too little of the crash is there for a hash";
	for (size_t i = 0; i < STATE_HASHES; i++)
		if (ticket->known[i] == why->hash)
			return "its hash is that of a crash shown before";
	if (ticket->signature != 0)
		return "its hash is new and its signature is not, or NovelPerProcess is spent";
	return "its hash is new, but it could not be unwound, or too many were this second";
}

static void look_at_window(const struct crash *crash, const struct state_slot *slot,
			   struct why *why)
{
	const struct throttle_limits *limits = &crash->config->throttle;
	const struct throttle_process *process = &slot->account.throttle;
	int64_t at_ns = crash->ticket.on_time_ns;

	why->in_window = throttle_window_count(&process->window, limits->age_out_ns, at_ns);
	why->in_slow_window =
		throttle_window_count(&process->window, limits->slow_window_ns, at_ns);
	why->loop = throttle_window_over(&process->window, limits, at_ns);
	why->budget_left = throttle_novel_left(process, limits, at_ns);
	/* What waited went with a report, or waits on with this crash. */
	if (crash->ticket.decision == THROTTLE_KEEP)
		why->waiting = crash->ticket.weight - 1;
	else if (crash->ticket.decision == THROTTLE_NOVEL)
		why->waiting = process->pending;
	else
		why->waiting = process->pending - 1;
}

/* More than headers and notes is missing: those have a reason of their own. */
static bool ends_early(const struct crash *crash)
{
	return crash->core_parsed && crash->head_error == 0 && crash->source.file &&
	       corefile_size(crash->source.file) < crash->core.end;
}

static void look_at_capture(struct crash *crash, struct why *why)
{
	struct capture_verdict plan = { 0 };

	if (crash->ticket.decision == THROTTLE_FOLD)
		return;
	if (!crash->decide_only) { /* it has been taken */
		why->capture = capture_kind_name(crash->record.capture);
		(void)snprintf(why->capture_reason, sizeof(why->capture_reason), "%s",
			       crash->record.capture_reason);
		return;
	}
	plan = take_plan(crash);
	why->capture = capture_kind_name(plan.kind);
	(void)snprintf(why->capture_reason, sizeof(why->capture_reason), "%s%s", plan.reason,
		       ends_early(crash) ? ", but the dump ended early" : "");
}

int why_find(struct cmd *cmd, struct crash *crash, struct why *ret_why)
{
	struct ledger *ledger = crash->ledger;
	struct why why = { 0 };
	struct state_slot slot;
	uint32_t index;
	int status;

	status = cmd_lock_ledger(cmd, ledger);
	if (status != CMD_DONE)
		return status;
	if (state_find(ledger->state, crash->ticket.uid, crash->ticket.process, &index, &slot) == 0)
		look_at_window(crash, &slot, &why);
	ledger_unlock(ledger);
	why.hash = crash->ticket.hash ?: analyse_hash(crash);
	why.novelty = novelty_of(crash, &why);
	look_at_capture(crash, &why);
	*ret_why = why;
	return CMD_DONE;
}

static void print_window(const char *name, uint32_t n, uint32_t limit, int64_t age_ns)
{
	char age[UNITS_SIZE];

	(void)printf("      %-8s %u crash%s younger than %s, the limit is %u: %s\n", name, n,
		     n == 1 ? "" : "es", units_format_span(age_ns, age), limit,
		     n > limit ? "a crash loop" : "no loop");
}

void why_print(const struct config *config, const struct why *why)
{
	const struct throttle_limits *limits = &config->throttle;

	print_window("window", why->in_window, limits->limit, limits->age_out_ns);
	if (limits->slow_limit > 0)
		print_window("slow", why->in_slow_window, limits->slow_limit,
			     limits->slow_window_ns);
	(void)printf("      %-8s %" PRIu64 " folded before it; a loop keeps one crash in %u\n",
		     "waiting", why->waiting, limits->report_every);
	(void)printf("      %-8s ", "novelty");
	screen_wrap(why->novelty, 15, 15, screen_of(stdout).width, stdout);
	(void)printf("      %-8s %u of %u novel crashes may still be kept\n", "budget",
		     why->budget_left, limits->novel_per_window);
	if (why->capture)
		(void)printf("      %-8s %s (%s)\n", "capture", why->capture,
			     why->capture_reason);
	else
		(void)printf("      %-8s nothing of a folded crash is captured\n", "capture");
}

json_t *why_to_json(const struct config *config, const struct why *why)
{
	const struct throttle_limits *limits = &config->throttle;
	char hash[17];

	(void)snprintf(hash, sizeof(hash), "%016" PRIx64, why->hash);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:s, s:s?, s:I, s:I, "
			 "s:s?, s:s?}",
			 "in_window", (json_int_t)why->in_window, "limit",
			 (json_int_t)limits->limit, "age_out_ms",
			 (json_int_t)(limits->age_out_ns / 1000000), "in_slow_window",
			 (json_int_t)why->in_slow_window, "slow_limit",
			 (json_int_t)limits->slow_limit, "slow_window_ms",
			 (json_int_t)(limits->slow_window_ns / 1000000), "loop", why->loop,
			 "waiting", (json_int_t)why->waiting, "report_every",
			 (json_int_t)limits->report_every, "novelty", why->novelty, "hash",
			 why->hash ? hash : NULL, "budget",
			 (json_int_t)limits->novel_per_window, "budget_left",
			 (json_int_t)why->budget_left, "capture", why->capture,
			 "capture_reason", why->capture ? why->capture_reason : NULL);
}
