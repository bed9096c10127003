/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The order matters:
 *  - the decision needs nothing of the dump, so a folded crash costs no read;
 *  - the ledger is told before the work and after it, never during it;
 *  - from 'keep' on every failure lowers what is captured, and the record says why;
 *  - the weight goes back to pending only if no record became durable.
 */

#include "crash/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/corefile.h"
#include "crash/analyse.h"
#include "crash/describe.h"
#include "crash/guard.h"
#include "crash/handover.h"
#include "crash/hook.h"
#include "crash/logs.h"
#include "crash/loops.h"
#include "crash/plan.h"
#include "crash/quota.h"
#include "crash/reported.h"
#include "crash/settle.h"
#include "crash/take.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/process.h"
#include "io/store.h"
#include "policy/units.h"

/* Hooks of other keeps that this one runs, at most; the next keep or tick goes on. */
#define HOOKS_MS (600 * 1000)

/* ---- 1. identity ---- */

/* The first word of a saved command line. */
static size_t first_word(const char *text)
{
	return strcspn(text, " ");
}

/* Time for the kernel to write the head, however small MaxHold is. */
#define HEAD_MS 1000

static void limit_hold(struct crash *crash)
{
	int64_t hold_ms = crash->config->max_hold_ns / (NS_PER_SEC / 1000);

	if (crash->replayed)
		return;
	source_set_deadline(&crash->source,
			    crash->started_ms + (hold_ms > HEAD_MS ? hold_ms : HEAD_MS));
	process_deadline((unsigned int)(hold_ms / 1000) + PROCESS_LOOK_S);
}

static int read_head(struct crash *crash)
{
	int r;

	if (crash->head_tried)
		return crash->head_error;
	r = head_read_front(&crash->head, &crash->source, &crash->core);
	crash->head_tried = true;
	crash->core_parsed = r == 0;
	crash->head_error = r;
	return r;
}

/* Without a trustworthy /proc the dump itself says who it is; the process is gone anyway. */
static void identify_by_core(struct crash *crash)
{
	const struct elfcore *core = &crash->core;

	/* Still root: not one byte of the dump is parsed. */
	if (crash->count_only || read_head(crash) != 0) {
		name_of_process(NULL, 0, NULL, NULL, crash->record.process);
		return;
	}
	name_of_process(core->psargs, first_word(core->psargs), describe_executable_of(core),
			core->comm, crash->record.process);
}

/*
 * Without the kernel's pidfd /proc/PID may be of a later process that dumps core just now:
 * only the dump knows.
 */
static void verify_early(struct crash *crash)
{
	if (!crash->replayed && !crash->count_only && read_head(crash) == 0)
		(void)victim_matches_auxv(&crash->victim, crash->core.auxv,
					  crash->core.auxv_bytes);
}

static void identify(struct crash *crash)
{
	const struct victim *victim = &crash->victim;

	if (victim->verified && !victim->by_pidfd)
		verify_early(crash);
	if (!victim->verified) {
		identify_by_core(crash);
		return;
	}
	crash->reported = !crash->replayed && reported_is(victim);
	if (crash->reported) /* as `report` itself does it */
		name_clean(victim->cmdline, strlen(victim->cmdline), crash->record.process);
	else
		name_of_process(victim->cmdline, strnlen(victim->cmdline, victim->cmdline_bytes),
				victim->executable, victim->comm, crash->record.process);
}

/* ---- 2. the decision ---- */

/*
 * The victim of a fold waits for the decision, and not for the line about it. What may be a
 * new bug is looked at first, and for whoever is told of a loop the unit is.
 */
static void on_decided(void *userdata, const struct ledger_ticket *ticket)
{
	struct crash *crash = userdata;

	if (ticket->decision == THROTTLE_FOLD && !ticket->may_be_novel && !ticket->loop_started)
		source_release(&crash->source);
}

static int decide(struct crash *crash)
{
	const struct ledger_crash question = {
		.uid = crash->request.uid,
		.process = crash->record.process,
		.wall_ns = crash->request.time_ns,
		.imported = crash->replayed,
		.decided = on_decided,
		.userdata = crash,
	};
	struct clock_reading now;
	int r;

	r = clock_read(&now);
	if (r == 0)
		r = ledger_crash(crash->ledger, &question, &now, &crash->ticket);
	if (r < 0)
		log_error("crash of %s (pid %" PRId64 ", uid %u) could not be counted: %s",
			  crash->record.process, crash->request.pid, crash->request.uid,
			  strerror(-r));
	else
		logs_decided(crash);
	return r;
}

/* Root's own directory: counted, not kept. */
static int give_back(struct crash *crash)
{
	log_error("crash of %s (pid %" PRId64 ") is counted but not kept: the state directory "
		  "belongs to root (see corefold(8), THE COREFOLD USER)",
		  crash->record.process, crash->request.pid);
	return settle_give_back(crash->ledger, &crash->ticket);
}

/* ---- 3. what is known of it ---- */

/* All that /proc can prove, and the dump's word on it. */
static void verify(struct crash *crash)
{
	victim_complete(&crash->victim, crash->request.uid);
	if (crash->core_parsed && crash->victim.verified)
		(void)victim_matches_auxv(&crash->victim, crash->core.auxv,
					  crash->core.auxv_bytes);
}

/* ---- 4. a crash loop's new bug ---- */

/*
 * Cheapest first: a known hash folds without another lock or process. Only what may be
 * new is unwound, while the victim waits; the crash is in flight meanwhile.
 */
static bool is_novel(struct crash *crash)
{
	struct ledger *ledger = crash->ledger;
	struct clock_reading now;
	uint64_t hash;

	if (!crash->ticket.may_be_novel || crash->reported || read_head(crash) != 0)
		return false;
	hash = analyse_hash(crash);
	if (hash == 0 || ledger_knows_hash(&crash->ticket, hash))
		return false;
	verify(crash); /* not before: a known bug needs no more proof than any fold */
	if (clock_read(&now) < 0 || ledger_probe(ledger, &crash->ticket, hash, &now) != 0)
		return false;
	if (!analyse_unwind(crash, -1, false) || clock_read(&now) < 0) {
		(void)ledger_unprobe(ledger, &crash->ticket, &now);
		return false;
	}
	return ledger_admit(ledger, &crash->ticket, crash->ticket.signature, &now) == 0;
}

/* The victim is gone, the record durable, the crash counted: now it may take its time. */
static void run_hooks(const struct crash *crash)
{
	int r;

	if (crash->replayed || ledger_is_drill(crash->request.uid, crash->record.process))
		return;
	r = hook_queue(crash->config, crash->ledger->dir_fd, crash->record.id);
	if (r < 0)
		log_warning("hooks are not run for %s: %s", crash->record.id,
			    r == -ENOSPC ? "too many wait already" : strerror(-r));
	else
		hook_run(crash->config, crash->ledger->dir_fd, crash->ledger->store_fd,
			 HOOKS_MS);
}

/* Counted, stored or not: what is left to say and to do. */
static int after_settling(struct crash *crash, int r)
{
	if (r < 0) {
		crash->store_error = -r;
		log_error("crash of %s (pid %" PRId64 ") is counted but not kept: cannot store "
			  "its record: %s",
			  crash->record.process, crash->request.pid, strerror(-r));
		return 0;
	}
	if (r == SETTLE_E_LATER)
		log_warning("%s is kept, but the state cannot be used now: it will be counted as kept by "
			    "the next who gets the lock",
			    crash->record.id);
	logs_kept(crash);
	quota_apply(crash->ledger->store_fd, crash->config, crash->ledger->now.wall_ns);
	run_hooks(crash);
	return 0;
}

static const char *head_problem(const struct crash *crash)
{
	if (crash->head_error != -ETIME)
		return elfcore_strerror(crash->head_error);
	return crash->core_parsed ? "the kernel did not write all notes within MaxHold"
				  : "the kernel wrote no head of a dump within MaxHold";
}

static void learn_hash(struct crash *crash)
{
	struct clock_reading now;

	if (crash->ticket.hash == 0 && clock_read(&now) == 0)
		(void)ledger_learn_hash(crash->ledger, &crash->ticket, analyse_hash(crash), &now);
}

/*
 * With many threads most of the head is still to come, and the kernel writes it beside us:
 * as long as there is room in the pipe. So what else is to be done comes between.
 */
static void read_rest(struct crash *crash)
{
	struct head *head = &crash->head;

	if (crash->core_parsed)
		head_top_up(head, &crash->source);
	learn_hash(crash);
	if (crash->core_parsed && head->used < head->size)
		plan_survey(crash);
	if (crash->core_parsed)
		crash->head_error = head_read_rest(head, &crash->source, &crash->core);
	if (crash->head_error != 0)
		record_set(&crash->record, "dump_error",
			   json_string(head_problem(crash)));
}

int handle_keep(struct crash *crash)
{
	bool left_behind = false;
	int r;

	limit_hold(crash);
	(void)read_head(crash);
	verify(crash);
	describe_crash(crash);
	read_rest(crash);
	if (crash->replayed)
		take_core(crash);
	else
		left_behind = guard_take(crash);
	source_release(&crash->source);
	describe_threads(crash);
	crash->record.total_ms = clock_monotonic_ms() - crash->started_ms;
	r = settle_record(crash->ledger, &crash->ticket, &crash->record);
	r = after_settling(crash, r);
	if (left_behind)
		guard_leave();
	return r;
}

/* There is nothing to capture: the child that died has only brought the news. */
static int keep_report(struct crash *crash)
{
	reported_take(crash);
	verify(crash);
	describe_crash(crash);
	source_release(&crash->source);
	return after_settling(crash,
			      settle_record(crash->ledger, &crash->ticket, &crash->record));
}

/* A trial that keeps learns what a real keep would, or its folds would all look new. */
static void learn(struct crash *crash)
{
	if (read_head(crash) != 0)
		return;
	crash->head_error = head_read_rest(&crash->head, &crash->source, &crash->core);
	if (crash->ticket.signature != 0)
		return;
	crash->ticket.hash = analyse_hash(crash);
	(void)analyse_unwind(crash, -1, false);
}

/* ---- the pipeline ---- */

/* Not of crashes that are over, and not with files that would be root's. */
static bool starts_loop(const struct crash *crash)
{
	return crash->ticket.loop_started && !crash->replayed && !crash->count_only;
}

/* Once a loop: whoever is to back off wants to know the unit, which only a held process tells. */
static void begin_loop(struct crash *crash)
{
	verify(crash);
	describe_victim(crash);
	loops_begin(crash);
}

static void end_of_fold(struct crash *crash)
{
	logs_found(crash->ledger);
	ledger_note_fold(crash->ledger, &crash->ticket);
	logs_folded(crash);
	if (starts_loop(crash))
		hook_run(crash->config, crash->ledger->dir_fd, crash->ledger->store_fd, HOOKS_MS);
}

int handle_crash(struct crash *crash)
{
	int r;

	crash->started_ms = clock_monotonic_ms();
	limit_hold(crash);
	identify(crash);
	r = decide(crash);
	if (r == 0 && crash->ticket.decision == THROTTLE_FOLD && !crash->count_only)
		(void)is_novel(crash); /* the ticket says keep then */
	if (r == 0 && starts_loop(crash))
		begin_loop(crash);
	if (r < 0 || crash->ticket.decision == THROTTLE_FOLD) {
		source_release(&crash->source);
		if (r == 0)
			end_of_fold(crash); /* nobody is held any more */
		return r;
	}
	if (crash->count_only)
		return give_back(crash);
	if (crash->decide_only) {
		learn(crash);
		return settle_commit(crash->ledger, &crash->ticket);
	}
	if (crash->reported)
		return keep_report(crash);
	if (!crash->replayed)
		handover_exec(crash);
	return handle_keep(crash);
}

void crash_done(struct crash *crash)
{
	source_release(&crash->source);
	victim_done(&crash->victim);
	elfcore_done(&crash->core);
	record_done(&crash->record);
	survey_done(&crash->survey);
	head_done(&crash->head);
	close_fd(&crash->oom_score_fd);
}
