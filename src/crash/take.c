/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Two sources: the memory of the held process, where only existing pages are read and any
 * of them can be picked; and the pipe, which has everything once, zeros included. Memory
 * is used when /proc is known to speak of the right process.
 *
 * The kinds are tried from the one the budget allows downwards. While the victim is held a
 * smaller kind can still be taken: stacks in time are worth more than half a heap. Where it
 * may turn out too late that the disk is too small, what `threads` needs is put aside first.
 */

#include "crash/take.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/capture.h"
#include "core/layout.h"
#include "core/threads.h"
#include "crash/analyse.h"
#include "crash/handle.h"
#include "crash/plan.h"
#include "crash/quota.h"
#include "io/clock.h"
#include "io/fulls.h"
#include "io/store.h"

/* A capture still running after that is cut short: something is wrong with the disk. */
#define CAPTURE_MAX_MS (300 * 1000)
#define THREADS_HOLD_MS 1000
#define REASON_SIZE 96

/* ---- one try ---- */

static void take_result(struct take *take, const struct capture_result *result)
{
	struct crash *crash = take->crash;
	struct record *record = &crash->record;
	const char *because;

	record->core_bytes = result->core_bytes;
	record->stored_bytes = result->stored_bytes;
	record->source = crash->replayed ? RECORD_SOURCE_FILE
			 : take->memory && take->verdict.kind >= CAPTURE_THREADS
				 ? RECORD_SOURCE_MEM
				 : RECORD_SOURCE_PIPE;
	because = plan_head_cut(crash) ?: result->incomplete_because;
	if (take->verdict.kind == CAPTURE_THREADS && take->stash.incomplete_because)
		because = take->stash.incomplete_because;
	record->complete = !because;
	if (because)
		record_set(record, "incomplete_reason", json_string(because));
	if (result->unreadable_bytes > 0)
		record_set(record, "unreadable_bytes",
			   json_integer((json_int_t)result->unreadable_bytes));
	if (!crash->replayed)
		record->held_ms = crash->source.released_at_ms - crash->started_ms;
}

static struct memory memory_of(const struct take *take)
{
	if (take->stash.fd >= 0)
		return stash_as_memory(&take->stash);
	return (struct memory){ .fd = take->crash->victim.mem_fd };
}

/* What was not put aside is left out, and not shown as zeros. */
static int keep_present(struct pagemap *ranges, const struct pagemap *present)
{
	struct pagemap kept = PAGEMAP_NULL;
	int r = pagemap_common(ranges, present, &kept);

	pagemap_done(ranges);
	*ranges = kept;
	return r;
}

/* What the threads need of memory. */
static int lay_out_threads(const struct take *take, struct layout *layout)
{
	const struct crash *crash = take->crash;
	const struct memory memory = memory_of(take);
	struct pagemap ranges = PAGEMAP_NULL;
	int r;

	r = threads_ranges(&crash->core, &memory, crash->config->thread_stack_bytes, &ranges);
	if (r == 0 && memory.present)
		r = keep_present(&ranges, memory.present);
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
		r = layout_part_image(&layout, &crash->core, crash->head.bytes, crash->head.used,
				      image);
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

/* Memory can be read, and the victim was not let go. */
static bool is_live(const struct take *take)
{
	return take->memory && take->crash->source.released_at_ms == 0;
}

static bool is_signed(const struct crash *crash)
{
	return json_object_get(crash->record.details, "signature");
}

static struct capture_job job_of(struct take *take, const struct image *image, int out_fd)
{
	struct crash *crash = take->crash;

	return (struct capture_job){
		.source = &crash->source,
		.head = crash->head.bytes,
		.head_bytes = crash->head.used,
		.core = crash->core_parsed ? &crash->core : NULL,
		.image = image,
		.memory = take->verdict.kind == CAPTURE_FULL ?
				  (struct memory){ .fd = crash->victim.mem_fd } :
				  memory_of(take),
		.out_fd = out_fd,
		.oom_score_fd = crash->oom_score_fd,
		.victim = crash->replayed ? 0 : (pid_t)crash->request.pid,
		.may_retry = is_live(take) && take->verdict.kind >= CAPTURE_THREADS,
		.may_step_down = take->verdict.kind == CAPTURE_THREADS ||
				 (take->verdict.kind == CAPTURE_FULL && take->stash.fd >= 0),
		.max_bytes = crash->config->max_core_bytes,
		.stash = !image && take->stash.fd >= 0 ? &take->stash : NULL,
		.limits = {
			.buffer_bytes = take->buffer_bytes,
			.hold_until_ms = hold_until_ms(take, image),
			.stop_at_ms = crash->started_ms + CAPTURE_MAX_MS,
			.keep_free_bytes =
				quota_keep_free(crash->ledger->store_fd, crash->config),
		},
	};
}

static int run(struct take *take, const struct image *image, struct store_file *file)
{
	const struct capture_job job = job_of(take, image, file->fd);
	struct crash *crash = take->crash;
	struct capture_result result;
	int r;

	r = capture_run(&job, &result);
	if (r != 0)
		return r;
	if (crash->source.fd >= 0)
		return -ETIME; /* not ours to release any more: see guard.c */
	/*
	 * The victim is gone; its threads are unwound from what was stored of it. Where that is
	 * less than was planned even the registers of the notes tell more than nothing.
	 */
	if (take->verdict.kind >= CAPTURE_THREADS || !is_signed(crash))
		(void)analyse_unwind(crash, file->fd, true);
	r = store_finish(crash->ledger->store_fd, file, crash->record.id,
			 STORE_CORE_SUFFIX);
	if (r == 0)
		take_result(take, &result);
	return r;
}

static void lower(struct take *take, const char *why)
{
	enum capture_kind kind = plan_part(take);

	if (take->verdict.kind == CAPTURE_THREADS)
		kind = CAPTURE_NOTES;
	plan_lower(&take->verdict, kind, why);
}

/* ---- what is put aside ---- */

static uint64_t stash_stack_bytes(const struct take *take)
{
	const struct crash *crash = take->crash;
	uint64_t share = take->buffer_bytes / (crash->core.threads ? crash->core.threads : 1);

	return share < crash->config->thread_stack_bytes ? share :
							   crash->config->thread_stack_bytes;
}

/* Beside a full buffer there is room for little. */
static void begin_stash(struct take *take)
{
	const struct crash *crash = take->crash;
	bool alone = take->verdict.kind == CAPTURE_THREADS &&
		     !capture_no_place(crash->ticket.captures_running,
				       crash->ticket.captures_of_uid,
				       crash->config->max_captures);

	if (stash_begin(&take->stash, &crash->core, stash_stack_bytes(take),
			take->buffer_bytes / (alone ? 2 : SMALL_SHARE)) != 0)
		stash_done(&take->stash);
}

/* As large as it is, it may not fit, with all the others that are being written. */
static bool is_space_scarce(const struct take *take)
{
	const struct crash *crash = take->crash;
	struct capture_budget budget = { 0 };

	quota_budget(crash->ledger->store_fd, crash->config, &budget);
	return budget.free_bytes / (crash->config->max_captures + 1) <
	       budget.keep_free_bytes + take->full.memory_bytes;
}

static void stash_threads(struct take *take)
{
	const struct crash *crash = take->crash;
	const struct memory memory = { .fd = crash->victim.mem_fd };

	if (!threads_possible(&crash->core) || !is_space_scarce(take))
		return;
	if (stash_memory(&take->stash, &crash->core, &memory,
			 crash->config->thread_stack_bytes) != 0)
		stash_done(&take->stash);
}

/* ---- a kind ---- */

static int take_full(struct take *take, struct store_file *file)
{
	struct crash *crash = take->crash;

	if (take->memory) {
		stash_threads(take);
		return run(take, &take->full, file);
	}
	if (plan_threads_possible(take))
		begin_stash(take);
	source_widen(&crash->source);
	return run(take, NULL, file);
}

/* All of the core has to go by for the parts of it. */
static void read_for_threads(struct take *take)
{
	struct crash *crash = take->crash;
	const struct capture_job job = {
		.source = &crash->source,
		.head = crash->head.bytes,
		.head_bytes = crash->head.used,
		.core = &crash->core,
		.oom_score_fd = -1,
		.stash = &take->stash,
		.limits = { .hold_until_ms = hold_until_ms(take, NULL),
			    .stop_at_ms = crash->started_ms + CAPTURE_MAX_MS },
	};

	begin_stash(take);
	if (take->stash.fd < 0)
		return;
	source_widen(&crash->source);
	capture_stash(&job);
}

static int take_kind(struct take *take, struct store_file *file)
{
	struct crash *crash = take->crash;
	struct image image = IMAGE_NULL;
	int r;

	if (take->verdict.kind == CAPTURE_FULL || !crash->core_parsed)
		return take_full(take, file);
	if (take->verdict.kind == CAPTURE_THREADS && !take->memory && take->stash.fd < 0)
		read_for_threads(take);
	if (take->verdict.kind == CAPTURE_THREADS && !is_live(take) && take->stash.fd < 0)
		lower(take, "memory of the process not accessible");
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

static void lower_to_none(struct crash *crash, const char *why)
{
	struct record *record = &crash->record;

	record->capture = CAPTURE_NONE;
	record->source = RECORD_SOURCE_NONE;
	record->core_bytes = record->stored_bytes = 0;
	record->complete = false;
	(void)snprintf(record->capture_reason, sizeof(record->capture_reason), "%s", why);
	record_set(record, "incomplete_reason", json_string(why));
}

/* Of what the kernel did not write nothing can be taken: it found the victim killed, or hangs. */
static const char *why_no_dump(const struct crash *crash)
{
	if (crash->head_error == -ETIME && !crash->core_parsed)
		return "the kernel wrote no dump within MaxHold";
	if (crash->head_error == ELFCORE_E_SHORT && crash->head.used == 0)
		return "the dump ended before its first byte";
	return NULL;
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
			take->verdict = plan_kind(take, 0);
		} else if (r >= CAPTURE_E_NOTHING) {
			plan_lower(&take->verdict, CAPTURE_NOTES,
				   capture_end_text(r - CAPTURE_E_NOTHING));
		} else {
			lower(take, capture_end_text(r - CAPTURE_E_AGAIN));
		}
		r = 0;
	}
	store_abort(crash->ledger->store_fd, &file);
	return r;
}

/* NULL: it is taken, or none is wanted; else why there is none, perhaps written to `text`. */
static const char *take_or_why_not(struct take *take, char text[static REASON_SIZE])
{
	const char *no_dump = why_no_dump(take->crash);
	int r;

	if (take->verdict.kind == CAPTURE_NONE)
		return NULL;
	if (no_dump)
		return no_dump;
	r = take_most(take);
	if (r == 0)
		return NULL;
	(void)snprintf(text, REASON_SIZE, "capture failed: %s", strerror(r < 0 ? -r : EPERM));
	return text;
}

static void begin(struct crash *crash, struct take *ret_take)
{
	*ret_take = (struct take){
		.crash = crash,
		.hold_until_ms = crash->started_ms + plan_hold_ms(crash),
		.stash = STASH_NULL,
	};
	plan_buffer(ret_take);
	plan_look(ret_take);
	ret_take->verdict = plan_kind(ret_take, 0);
}

struct capture_verdict take_plan(struct crash *crash)
{
	struct take take;

	begin(crash, &take);
	image_done(&take.full);
	return take.verdict;
}

void take_core(struct crash *crash)
{
	struct record *record = &crash->record;
	char text[REASON_SIZE];
	const char *why_not;
	struct take take;

	begin(crash, &take);
	plan_by_signature(&take);
	/* No stacks will be stored: look at them while they are there. */
	if (take.verdict.kind < CAPTURE_THREADS)
		(void)analyse_unwind(crash, -1, true);
	why_not = take_or_why_not(&take, text);
	record->capture = take.verdict.kind;
	(void)snprintf(record->capture_reason, sizeof(record->capture_reason), "%s",
		       take.verdict.reason);
	if (why_not)
		lower_to_none(crash, why_not);
	if (take.claimed && record->capture != CAPTURE_FULL)
		fulls_forget(crash->ledger->dir_fd, take.claimed, record->id);
	stash_done(&take.stash);
	image_done(&take.full);
}
