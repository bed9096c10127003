/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/plan.h"

#include <errno.h>
#include <string.h>

#include "core/layout.h"
#include "core/pipeline.h"
#include "core/threads.h"
#include "crash/quota.h"
#include "io/fulls.h"
#include "io/meminfo.h"
#include "policy/name.h"
#include "policy/units.h"

/* Slowest plausible compression by one thread, bytes in a millisecond. */
#define PACK_RATE 100000u
/*
 * Very many threads or mappings make a head of megabytes, whose tables are parsed, laid out
 * and written anew; that comes out of the buffer.
 */
#define HEAD_COPIES 3u
/* Of the memory that is left: the crash may have come of having none. */
#define AVAILABLE_SHARE 4

/* ---- what there is ---- */

int64_t plan_hold_ms(const struct crash *crash)
{
	return crash->config->max_hold_ns / 1000000;
}

static bool memory_usable(const struct crash *crash)
{
	return !crash->replayed && crash->core_parsed && crash->victim.verified &&
	       crash->victim.mem_fd >= 0 && crash->victim.pagemap_fd >= 0 &&
	       layout_possible(&crash->core);
}

void plan_buffer(struct take *take)
{
	uint64_t share = meminfo_available() / AVAILABLE_SHARE;

	uint64_t bookkeeping = take->crash->head.used * HEAD_COPIES;

	take->buffer_bytes = take->crash->config->buffer_bytes;
	if (take->buffer_bytes > share)
		take->buffer_bytes = share;
	if (bookkeeping > take->buffer_bytes * 3 / 4)
		bookkeeping = take->buffer_bytes * 3 / 4;
	take->buffer_bytes -= bookkeeping;
}

static int lay_out_full(struct take *take)
{
	const struct crash *crash = take->crash;
	struct layout layout = LAYOUT_NULL;
	int r;

	r = layout_full(&layout, &crash->core, &crash->survey.exists, &crash->survey.whole);
	if (r == 0)
		r = layout_image(&layout, &crash->core, crash->head.bytes, crash->head.used,
				 &take->full);
	layout_done(&layout);
	return r;
}

void plan_survey(struct crash *crash)
{
	if (crash->surveyed || !memory_usable(crash))
		return;
	crash->surveyed = true;
	crash->survey_error = survey_take(&crash->survey, &crash->core, crash->victim.pagemap_fd,
					  crash->victim.maps_fd,
					  crash->started_ms + plan_hold_ms(crash) / 2);
}

void plan_look(struct take *take)
{
	struct crash *crash = take->crash;
	int r;

	take->memory = memory_usable(crash) && !crash->memory_hangs;
	if (!take->memory)
		return;
	plan_survey(crash);
	r = crash->survey_error;
	take->unlisted = r == -ETIME;
	if (r == 0)
		r = lay_out_full(take);
	take->memory = r == 0 || take->unlisted;
}

/* ---- how much ---- */

static enum capture_kind wanted_kind(const struct crash *crash)
{
	switch (crash->config->kind) {
	case CONFIG_KIND_THREADS:
		return CAPTURE_THREADS;
	case CONFIG_KIND_NOTES:
		return CAPTURE_NOTES;
	case CONFIG_KIND_NONE:
		return CAPTURE_NONE;
	case CONFIG_KIND_AUTO:
	case CONFIG_KIND_FULL:
		break;
	}
	return CAPTURE_FULL;
}

static uint64_t memory_bytes(const struct take *take)
{
	if (take->memory)
		return take->unlisted ? UINT64_MAX : take->full.memory_bytes;
	return take->crash->core_parsed ? take->crash->core.end : UINT64_MAX;
}

/* What is in the buffer has been read; the rest waits for compression. */
static uint64_t hold_bytes(const struct take *take)
{
	const struct crash *crash = take->crash;

	if (crash->replayed)
		return 0; /* nobody is held */
	return take->buffer_bytes +
	       (uint64_t)plan_hold_ms(crash) * PACK_RATE * pipeline_processors();
}

void plan_lower(struct capture_verdict *verdict, enum capture_kind kind, const char *why)
{
	verdict->kind = kind;
	verdict->reason = why;
}

/* Picked from memory, or from the core as it goes by. */
bool plan_threads_possible(const struct take *take)
{
	const struct crash *crash = take->crash;

	if (!crash->core_parsed)
		return false;
	return take->memory ? threads_possible(&crash->core) : stash_possible(&crash->core);
}

enum capture_kind plan_part(const struct take *take)
{
	return plan_threads_possible(take) ? CAPTURE_THREADS : CAPTURE_NOTES;
}

const char *plan_head_cut(const struct crash *crash)
{
	if (crash->head_error == ELFCORE_E_SHORT)
		return "the dump ended inside its headers";
	if (crash->head_error != 0 && crash->core_parsed)
		return "the notes of some threads did not come";
	return NULL;
}

struct capture_verdict plan_kind(const struct take *take, uint32_t full_of_signature)
{
	const struct crash *crash = take->crash;
	const struct config *config = crash->config;
	struct capture_verdict verdict;
	struct capture_budget budget = {
		.wanted = wanted_kind(crash),
		.wanted_auto = config->kind == CONFIG_KIND_AUTO,
		.threads_possible = plan_threads_possible(take),
		.memory_bytes = memory_bytes(take),
		.threads_bytes = crash->core.threads * config->thread_stack_bytes,
		.hold_bytes = hold_bytes(take),
		/* Of a source nobody knows what exists: it is counted as it is read. */
		.max_core_bytes = take->memory ? config->max_core_bytes : UINT64_MAX,
		.rlimit_bytes =
			config->honor_rlimit ? crash->request.rlimit_core : UINT64_MAX,
		.max_captures = config->max_captures,
		.small_bytes = take->buffer_bytes / SMALL_SHARE,
		.captures_running = crash->ticket.captures_running,
		.captures_of_uid = crash->ticket.captures_of_uid,
		.full_of_signature = full_of_signature,
		.full_per_signature = config->full_per_signature,
	};

	budget.unlocked = crash->ticket.without_lock;
	quota_budget(crash->ledger->store_fd, config, &budget);
	verdict = capture_plan(&budget);
	if (verdict.kind == CAPTURE_FULL && take->memory && take->unlisted)
		plan_lower(&verdict, plan_part(take), "MaxHold is too short to list its pages");
	/* Half a note and nothing behind it: as it came no debugger would read it. */
	if (verdict.kind > CAPTURE_NOTES && !take->memory && crash->core_parsed &&
	    plan_head_cut(crash))
		plan_lower(&verdict, CAPTURE_NOTES, plan_head_cut(crash));
	return verdict;
}

/*
 * Full captures of one kind of crash say the same again: after the first few the threads
 * are enough. The kind is the process and the cheap hash, which is known before the victim
 * is read. Where threads cannot be had, a full capture is better than notes.
 */
void plan_by_signature(struct take *take)
{
	const struct crash *crash = take->crash;
	uint32_t limit = crash->config->full_per_signature, n;
	uint64_t key = crash->ticket.hash ^ name_hash(crash->record.process,
						      strlen(crash->record.process));

	if (take->verdict.kind != CAPTURE_FULL || limit == 0 || crash->ticket.hash == 0 ||
	    key == 0 || crash->replayed || !plan_threads_possible(take))
		return;
	n = fulls_claim(crash->ledger->dir_fd, crash->ledger->store_fd, key, crash->record.id,
			limit, crash->ledger->now.wall_ns / NS_PER_SEC);
	if (n >= limit)
		take->verdict = plan_kind(take, n);
	else
		take->claimed = key;
}
