/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Two sources: the memory of the held process, where only existing pages are read and any
 * of them can be picked; and the pipe, which has everything once, zeros included. Memory
 * is used when /proc is known to speak of the right process.
 *
 * The kinds are tried from the one the budget allows downwards. While the victim is held a
 * smaller kind can still be taken: stacks in time are worth more than half a heap.
 */

#include "take.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analyse.h"
#include "core/capture.h"
#include "core/layout.h"
#include "core/survey.h"
#include "core/threads.h"
#include "handle.h"
#include "io/clock.h"
#include "io/fulls.h"
#include "io/meminfo.h"
#include "io/store.h"
#include "policy/name.h"
#include "policy/units.h"
#include "quota.h"

/* A capture still running after that is cut short: something is wrong with the disk. */
#define CAPTURE_MAX_MS (300 * 1000)
#define THREADS_HOLD_MS 1000
/* Slowest plausible compression by one thread, bytes in a millisecond. */
#define PACK_RATE 100000u
/* So many small captures at once hold no more memory than one that fills its buffer. */
#define SMALL_SHARE 64
/* Of the memory that is left: the crash may have come of having none. */
#define AVAILABLE_SHARE 4

struct take {
	struct crash *crash; /* borrowed */
	uint64_t buffer_bytes;
	uint64_t claimed; /* key of the kind of crash, of which this may be a full capture */
	bool memory; /* it can be read */
	bool unlisted; /* but what exists of it could not be found out in time */
	struct survey survey;
	struct image full; /* of memory */
	struct capture_verdict verdict;
	int64_t hold_until_ms;
};

/* ---- what there is ---- */

static int64_t max_hold_ms(const struct crash *crash)
{
	return crash->config->max_hold_ns / 1000000;
}

static bool memory_usable(const struct crash *crash)
{
	return !crash->replayed && crash->core_parsed && crash->victim.verified &&
	       crash->victim.mem_fd >= 0 && crash->victim.pagemap_fd >= 0 &&
	       crash->head_bytes >= crash->core.head_bytes &&
	       layout_possible(&crash->core);
}

static void choose_buffer(struct take *take)
{
	uint64_t share = meminfo_available() / AVAILABLE_SHARE;

	take->buffer_bytes = take->crash->config->buffer_bytes;
	if (take->buffer_bytes > share)
		take->buffer_bytes = share;
}

static int lay_out_full(struct take *take)
{
	const struct crash *crash = take->crash;
	struct layout layout = LAYOUT_NULL;
	int r;

	r = layout_full(&layout, &crash->core, &take->survey.exists, &take->survey.whole);
	if (r == 0)
		r = layout_image(&layout, &crash->core, crash->head, crash->head_bytes,
				 &take->full);
	layout_done(&layout);
	return r;
}

static void look_at_memory(struct take *take)
{
	const struct crash *crash = take->crash;
	int r;

	take->memory = memory_usable(crash) && !crash->memory_hangs;
	if (!take->memory)
		return;
	r = survey_take(&take->survey, &crash->core, crash->victim.pagemap_fd,
			crash->victim.maps_fd,
			crash->started_ms + max_hold_ms(crash) / 2);
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
	       (uint64_t)max_hold_ms(crash) * PACK_RATE * pipeline_processors();
}

static void lower_to(struct capture_verdict *verdict, enum capture_kind kind, const char *why)
{
	verdict->kind = kind;
	verdict->reason = why;
}

static enum capture_kind part_kind(const struct crash *crash)
{
	return threads_possible(&crash->core) ? CAPTURE_THREADS : CAPTURE_NOTES;
}

static struct capture_verdict plan(const struct take *take, uint32_t full_of_signature)
{
	const struct crash *crash = take->crash;
	const struct config *config = crash->config;
	struct capture_verdict verdict;
	struct capture_budget budget = {
		.wanted = wanted_kind(crash),
		.wanted_auto = config->kind == CONFIG_KIND_AUTO,
		.threads_possible = take->memory && threads_possible(&crash->core),
		.memory_bytes = memory_bytes(take),
		.threads_bytes = crash->core.threads * config->thread_stack_bytes,
		.hold_bytes = hold_bytes(take),
		.max_core_bytes = config->max_core_bytes,
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
		lower_to(&verdict, part_kind(crash), "MaxHold is too short to list its pages");
	return verdict;
}

/*
 * Full captures of one kind of crash say the same again: after the first few the threads
 * are enough. The kind is the process and the cheap hash, which is known before the victim
 * is read. Where threads cannot be had, a full capture is better than notes.
 */
static void plan_by_signature(struct take *take)
{
	const struct crash *crash = take->crash;
	uint32_t limit = crash->config->full_per_signature, n;
	uint64_t key = crash->ticket.hash ^ name_hash(crash->record.process,
						      strlen(crash->record.process));

	if (take->verdict.kind != CAPTURE_FULL || limit == 0 || crash->ticket.hash == 0 ||
	    key == 0 || crash->replayed || !take->memory || !threads_possible(&crash->core))
		return;
	n = fulls_claim(crash->ledger->dir_fd, crash->ledger->store_fd, key, crash->record.id,
			limit, crash->ledger->now.wall_ns / NS_PER_SEC);
	if (n >= limit)
		take->verdict = plan(take, n);
	else
		take->claimed = key;
}

/* ---- one try ---- */

static void take_result(struct take *take, const struct capture_result *result)
{
	struct crash *crash = take->crash;
	struct record *record = &crash->record;

	record->core_bytes = result->core_bytes;
	record->stored_bytes = result->stored_bytes;
	record->complete = result->complete;
	record->source = crash->replayed ? RECORD_SOURCE_FILE
			 : take->memory && take->verdict.kind >= CAPTURE_THREADS
				 ? RECORD_SOURCE_MEM
				 : RECORD_SOURCE_PIPE;
	if (result->incomplete_because)
		record_set(record, "incomplete_reason",
			   json_string(result->incomplete_because));
	if (result->unreadable_bytes > 0)
		record_set(record, "unreadable_bytes",
			   json_integer((json_int_t)result->unreadable_bytes));
	if (!crash->replayed)
		record->held_ms = result->released_at_ms - crash->started_ms;
}

/* What the threads need of memory. */
static int lay_out_threads(const struct take *take, struct layout *layout)
{
	const struct crash *crash = take->crash;
	const struct memory memory = { crash->victim.mem_fd };
	struct pagemap ranges = PAGEMAP_NULL;
	int r;

	r = threads_ranges(&crash->core, &memory, crash->config->thread_stack_bytes, &ranges);
	if (r == 0)
		r = layout_ranges(layout, &crash->core, &ranges);
	pagemap_done(&ranges);
	return r;
}

/* Headers and notes of the core, and for `threads` some of the memory. */
static int lay_out_part(const struct take *take, struct image *image)
{
	const struct crash *crash = take->crash;
	struct layout layout = LAYOUT_NULL;
	int r = 0;

	if (take->verdict.kind == CAPTURE_THREADS)
		r = lay_out_threads(take, &layout);
	if (r == 0)
		r = layout_image(&layout, &crash->core, crash->head, crash->head_bytes, image);
	layout_done(&layout);
	return r;
}

/*
 * Nobody waits for a saved core, nor for notes that are here already. The threads take
 * milliseconds, and get them also when MaxHold was used up on the way to them.
 */
static int64_t hold_until_ms(const struct take *take, const struct image *image)
{
	int64_t least_ms = clock_monotonic_ms() + THREADS_HOLD_MS;

	if (take->crash->replayed || (image && image->extents == 0))
		return INT64_MAX;
	if (take->verdict.kind == CAPTURE_THREADS && take->hold_until_ms < least_ms)
		return least_ms;
	return take->hold_until_ms;
}

static int run(struct take *take, const struct image *image, struct store_file *file)
{
	struct crash *crash = take->crash;
	const struct capture_job job = {
		.source = &crash->source,
		.head = crash->head,
		.head_bytes = crash->head_bytes,
		.core = crash->core_parsed ? &crash->core : NULL,
		.image = image,
		.memory = { crash->victim.mem_fd },
		.out_fd = file->fd,
		.oom_score_fd = crash->oom_score_fd,
		.step_back = !crash->replayed,
		.may_retry = take->memory && take->verdict.kind >= CAPTURE_THREADS,
		.limits = {
			.buffer_bytes = take->buffer_bytes,
			.max_bytes = image ? UINT64_MAX : crash->config->max_core_bytes,
			.hold_until_ms = hold_until_ms(take, image),
			.stop_at_ms = crash->started_ms + CAPTURE_MAX_MS,
			.keep_free_bytes =
				quota_keep_free(crash->ledger->store_fd, crash->config),
		},
	};
	struct capture_result result;
	int r;

	r = capture_run(&job, &result);
	if (r != 0)
		return r;
	if (crash->source.fd >= 0)
		return -ETIME; /* not ours to release any more: see guard.c */
	/* The victim is gone; its threads are unwound from what was stored of it. */
	if (take->verdict.kind >= CAPTURE_THREADS)
		(void)analyse_unwind(crash, file->fd, true);
	r = store_finish(crash->ledger->store_fd, file, crash->record.id,
			 STORE_CORE_SUFFIX);
	if (r == 0)
		take_result(take, &result);
	return r;
}

static int take_kind(struct take *take, struct store_file *file)
{
	struct crash *crash = take->crash;
	struct image image = IMAGE_NULL;
	int r;

	if (take->verdict.kind == CAPTURE_FULL && take->memory)
		return run(take, &take->full, file);
	if (take->verdict.kind == CAPTURE_FULL || !crash->core_parsed) {
		source_widen(&crash->source);
		return run(take, NULL, file);
	}
	r = lay_out_part(take, &image);
	if (r == -ESRCH)
		return CAPTURE_E_GONE;
	if (r > 0)
		return -EFBIG;
	if (r == 0)
		r = run(take, &image, file);
	image_done(&image);
	return r;
}

/* ---- down to less ---- */

static void lower(struct take *take)
{
	enum capture_kind kind = part_kind(take->crash);

	if (take->verdict.kind == CAPTURE_THREADS)
		kind = CAPTURE_NOTES;
	lower_to(&take->verdict, kind, "MaxHold, KeepFree or the disk's end reached");
}

static void lower_to_none(struct crash *crash, const char *why)
{
	struct record *record = &crash->record;

	record->capture = CAPTURE_NONE;
	record->source = RECORD_SOURCE_NONE;
	record->core_bytes = record->stored_bytes = 0;
	record->complete = false;
	(void)snprintf(record->capture_reason, sizeof(record->capture_reason), "%s", why);
}

static int take_most(struct take *take)
{
	struct crash *crash = take->crash;
	struct store_file file = STORE_FILE_NULL;
	int r;

	r = store_begin(crash->ledger->store_fd, &file);
	while (r == 0) {
		r = take_kind(take, &file);
		if (r <= 0)
			break;
		if (r == CAPTURE_E_GONE) {
			/* What the kernel wrote before is in the pipe. */
			take->memory = false;
			take->verdict = plan(take, 0);
		} else {
			lower(take);
		}
		r = 0;
	}
	store_abort(crash->ledger->store_fd, &file);
	return r;
}

struct capture_verdict take_plan(struct crash *crash)
{
	struct take take = { .crash = crash,
			     .hold_until_ms = crash->started_ms + max_hold_ms(crash) };

	choose_buffer(&take);
	look_at_memory(&take);
	take.verdict = plan(&take, 0);
	survey_done(&take.survey);
	image_done(&take.full);
	return take.verdict;
}

void take_core(struct crash *crash)
{
	struct take take = {
		.crash = crash,
		.hold_until_ms = crash->started_ms + max_hold_ms(crash),
	};
	struct record *record = &crash->record;
	char why[96];
	int r = 0;

	choose_buffer(&take);
	look_at_memory(&take);
	take.verdict = plan(&take, 0);
	plan_by_signature(&take);
	/* No stacks will be stored: look at them while they are there. */
	if (take.verdict.kind < CAPTURE_THREADS)
		(void)analyse_unwind(crash, -1, true);
	if (crash->head_error == -ETIME)
		lower_to(&take.verdict, CAPTURE_NONE, "the kernel wrote no dump within MaxHold");
	if (take.verdict.kind != CAPTURE_NONE)
		r = take_most(&take);
	record->capture = take.verdict.kind;
	(void)snprintf(record->capture_reason, sizeof(record->capture_reason), "%s",
		       take.verdict.reason);
	if (r != 0) {
		(void)snprintf(why, sizeof(why), "capture failed: %s",
			       strerror(r < 0 ? -r : EPERM));
		lower_to_none(crash, why);
	}
	if (take.claimed && record->capture != CAPTURE_FULL)
		fulls_forget(crash->ledger->dir_fd, take.claimed, record->id);
	survey_done(&take.survey);
	image_done(&take.full);
}
