/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/member.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/process.h"

/* The kernel's section header behind the memory, when there are many segments. */
#define BEHIND_MEMORY 4096u
#define PAGE_BYTES 4096u
/* More readers than this gain nothing: they wait for memory, not for processors. */
#define READERS_MAX 4u

static const char ended_early[] = "the dump ended early";

struct capture {
	const struct capture_job *job;
	size_t head_at; /* of the head, handed out so far */
	uint64_t source_at; /* of the core */
	int source_error; /* -errno: what came before it is kept */
	uint64_t existing_bytes; /* in pages of it that are not all zeros */
	bool let_go;
	bool gone;
	int again; /* CAPTURE_E_*: what was read is thrown away */
	_Atomic uint64_t unreadable_bytes;
};

/* ---- an image, in blocks ---- */

/* Head and notes need no process: a core ends behind them, and debuggers read it. */
static ssize_t take_what_is_known(struct capture *capture, uint64_t offset)
{
	const struct image *image = capture->job->image;
	uint64_t known = image->head_bytes + image->notes_bytes;

	__atomic_store_n(&capture->gone, true, __ATOMIC_RELAXED);
	return known > offset ? (ssize_t)(known - offset) : -ESRCH;
}

static ssize_t read_image(void *userdata, uint64_t index, void *block, bool *ret_zeros)
{
	struct capture *capture = userdata;
	const struct capture_job *job = capture->job;
	uint64_t offset = index * MEMBER_PLAIN;
	uint64_t left = job->image->size - offset;
	size_t n = left < MEMBER_PLAIN ? (size_t)left : MEMBER_PLAIN;
	int r;

	r = image_read(job->image, &job->memory, offset, block, n, ret_zeros,
		       &capture->unreadable_bytes);
	if (r == 0 && *ret_zeros && n < MEMBER_PLAIN)
		memset(block, 0, n); /* only whole blocks of zeros need no bytes */
	if (r == -ESRCH)
		return take_what_is_known(capture, offset);
	return r < 0 ? r : (ssize_t)n;
}

/* ---- the source, in blocks ---- */

/* The kernel writes zeros for pages that do not exist: they are not what a limit means. */
static uint64_t count_existing(const char *p, size_t n)
{
	uint64_t bytes = 0;

	for (size_t at = 0; at < n; at += PAGE_BYTES) {
		size_t page = n - at < PAGE_BYTES ? n - at : PAGE_BYTES;

		if (p[at] != 0 || memcmp(p + at, p + at + 1, page - 1) != 0)
			bytes += page;
	}
	return bytes;
}

/* The next bytes of the core: from the head that was read before, then from the source. */
static ssize_t next_bytes(struct capture *capture, char *block)
{
	const struct capture_job *job = capture->job;
	size_t n = job->head_bytes - capture->head_at;
	ssize_t more = 1;

	if (n > MEMBER_PLAIN)
		n = MEMBER_PLAIN;
	if (n > 0)
		memcpy(block, (const char *)job->head + capture->head_at, n);
	capture->head_at += n;
	while (n < MEMBER_PLAIN && more > 0) {
		more = source_read_some(job->source, block + n, MEMBER_PLAIN - n);
		n += more > 0 ? (size_t)more : 0;
	}
	if (more < 0)
		capture->source_error = (int)more;
	if (more < 0 && n == 0)
		return more;
	if (job->stash)
		stash_put(job->stash, capture->source_at, block, n);
	capture->source_at += n;
	return (ssize_t)n;
}

static ssize_t read_source(void *userdata, uint64_t index, void *block, bool *ret_zeros)
{
	struct capture *capture = userdata;
	ssize_t n = next_bytes(capture, block);
	uint64_t existing = n > 0 ? count_existing(block, (size_t)n) : 0;

	(void)index;
	*ret_zeros = n == (ssize_t)MEMBER_PLAIN && existing == 0;
	capture->existing_bytes += existing;
	return capture->existing_bytes > capture->job->max_bytes ? -EFBIG : n;
}

static uint64_t source_bytes(const struct capture_job *job)
{
	return job->core ? job->core->end + BEHIND_MEMORY : UINT64_MAX;
}

static const char *source_end_text(const struct capture *capture)
{
	return capture_end_text(capture->source_error == -ETIME ? PIPELINE_HELD_TOO_LONG
								: PIPELINE_READ_FAILED);
}

/* ---- the source, for the stash ---- */

static void drain(struct capture *capture)
{
	const struct capture_job *job = capture->job;
	_cleanup_free_ char *block = malloc(MEMBER_PLAIN);
	ssize_t n = block ? 1 : -ENOMEM;

	while (n > 0) {
		int64_t now_ms = clock_monotonic_ms();

		if (now_ms >= job->limits.hold_until_ms || now_ms >= job->limits.stop_at_ms) {
			job->stash->incomplete_because =
				capture_end_text(PIPELINE_HELD_TOO_LONG);
			return;
		}
		n = next_bytes(capture, block);
	}
	if (n < 0 || capture->source_error != 0)
		job->stash->incomplete_because = source_end_text(capture);
	else if (capture->source_at < job->core->end)
		job->stash->incomplete_because = ended_early;
}

/* ---- letting go ---- */

/* How much a pipe can hold at most: what the kernel has written of a process that is gone. */
static bool source_may_have_it(const struct capture_job *job)
{
	int pipe_bytes = job->source->fd >= 0 ? fcntl(job->source->fd, F_GETPIPE_SZ) : -1;

	return job->core && pipe_bytes > 0 &&
	       job->core->end - job->core->head_bytes <= (uint64_t)pipe_bytes;
}

/*
 * What is left to do can wait, and the process cannot: giving its memory back takes
 * processors and their caches, at any priority of ours, and whoever restarts it waits for
 * that. Bounded, since it may not want to end (a file system that does not answer).
 */
#define LAST_MS 200

static void let_go(struct capture *capture)
{
	const struct capture_job *job = capture->job;
	_cleanup_close_ int watch_fd = -1;

	if (capture->let_go)
		return;
	capture->let_go = true;
	if (job->victim > 0 && job->source->released_at_ms == 0)
		watch_fd = process_watch(job->victim);
	source_release(job->source);
	if (watch_fd >= 0)
		process_await_end(watch_fd, LAST_MS);
	if (job->victim > 0)
		process_step_back(job->oom_score_fd);
}

/* Less would have fitted. */
static bool is_shortage(enum pipeline_end end)
{
	return end == PIPELINE_TOO_LARGE || end == PIPELINE_DISK_FULL ||
	       end == PIPELINE_KEEP_FREE;
}

/*
 * Everything is read, or reading has stopped. Then it may have to be done again, with less
 * or from the source: what was read so far is of use only if there will be nothing better.
 */
static bool on_read(void *userdata, enum pipeline_end end)
{
	struct capture *capture = userdata;
	const struct capture_job *job = capture->job;

	if (job->may_retry && capture->gone && source_may_have_it(job))
		capture->again = CAPTURE_E_GONE;
	else if (job->may_retry && end != PIPELINE_ALL && !capture->gone)
		capture->again = CAPTURE_E_AGAIN + (int)end;
	else if (job->stash && is_shortage(end))
		drain(capture); /* its end has the stacks */
	if (capture->again == 0)
		let_go(capture);
	return capture->again == 0 && !(job->may_step_down && is_shortage(end));
}

/* ---- the verdict ---- */

const char *capture_end_text(enum pipeline_end end)
{
	switch (end) {
	case PIPELINE_ALL:
		break;
	case PIPELINE_READ_FAILED:
		return "reading the dump failed";
	case PIPELINE_TOO_LARGE:
		return "MaxCoreSize reached";
	case PIPELINE_HELD_TOO_LONG:
		return "MaxHold reached";
	case PIPELINE_TOO_SLOW:
		return "deadline reached";
	case PIPELINE_DISK_FULL:
		return "disk full";
	case PIPELINE_KEEP_FREE:
		return "KeepFree reached while writing";
	}
	return NULL;
}

static const char *shortfall(const struct capture *capture,
			     const struct pipeline_result *done)
{
	const struct capture_job *job = capture->job;
	uint64_t promised = job->image ? job->image->size : 0;

	if (capture->gone)
		return "the process was killed during the dump";
	if (done->end != PIPELINE_ALL)
		return capture_end_text(done->end);
	if (capture->source_error != 0)
		return source_end_text(capture);
	if (!job->core)
		return "not an ELF core";
	if (!job->image)
		promised = job->core->end;
	if (done->plain_bytes < promised)
		return ended_early;
	return NULL;
}

static int empty(int fd)
{
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return 0;
}

/* Of a source not even one member: the head of the dump is there all the same. */
static int nothing_stored(const struct capture_job *job, const struct pipeline_result *done)
{
	if (job->core && !job->image && done->end != PIPELINE_ALL)
		return empty(job->out_fd) ?: CAPTURE_E_NOTHING + (int)done->end;
	if (done->end == PIPELINE_HELD_TOO_LONG || done->end == PIPELINE_TOO_SLOW)
		return -ETIME;
	return done->read_error ?: -ENOSPC;
}

/*
 * A failed write may have left half a member behind; the file is cut back to whole ones so
 * that zcat accepts it.
 */
static int cut_to_whole(const struct capture_job *job, const struct pipeline_result *done)
{
	if (ftruncate(job->out_fd, (off_t)done->stored_bytes) < 0)
		return -errno;
	return done->stored_bytes > 0 ? 0 : nothing_stored(job, done);
}

void capture_stash(const struct capture_job *job)
{
	struct capture capture = { .job = job };

	drain(&capture);
	let_go(&capture);
}

static struct pipeline_input input_of(struct capture *capture)
{
	const struct capture_job *job = capture->job;
	uint64_t bytes = job->image ? job->image->size : source_bytes(job);
	unsigned int processors = pipeline_processors();

	return (struct pipeline_input){
		.userdata = capture,
		.read = job->image ? read_image : read_source,
		.release = on_read,
		.readers = !job->image		      ? 1
			   : processors < READERS_MAX ? processors
						      : READERS_MAX,
		.own_blocks = job->image ? image_own_bytes(job->image) / MEMBER_PLAIN : 0,
		.blocks = bytes == UINT64_MAX ? UINT64_MAX
					      : (bytes + MEMBER_PLAIN - 1) / MEMBER_PLAIN,
	};
}

int capture_run(const struct capture_job *job, struct capture_result *ret_result)
{
	struct capture capture = { .job = job };
	const struct pipeline_input input = input_of(&capture);
	struct pipeline_result done;
	int r;

	r = pipeline_run(&input, &job->limits, job->out_fd, &done);
	if (r == 0 && capture.again == 0 && job->may_step_down && is_shortage(done.end))
		capture.again = CAPTURE_E_AGAIN + (int)done.end;
	if (r == 0 && capture.again != 0)
		return empty(job->out_fd) ?: capture.again;
	if (r == 0)
		r = cut_to_whole(job, &done);
	let_go(&capture);
	if (r == 0)
		*ret_result = (struct capture_result){
			.core_bytes = done.plain_bytes,
			.stored_bytes = done.stored_bytes,
			.unreadable_bytes = capture.unreadable_bytes,
			.incomplete_because = shortfall(&capture, &done),
			.complete = !shortfall(&capture, &done),
		};
	return r;
}
