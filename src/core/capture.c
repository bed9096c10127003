/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/capture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/member.h"
#include "io/clock.h"
#include "io/process.h"

/* The kernel's section header behind the memory, when there are many segments. */
#define BEHIND_MEMORY 4096u

struct capture {
	const struct capture_job *job;
	size_t head_at; /* of the head, handed out so far */
	struct capture_result result;
};

static void stop(struct capture *capture, const char *because)
{
	if (!capture->result.incomplete_because)
		capture->result.incomplete_because = because;
}

/* ---- the source, in blocks ---- */

/*
 * A core of notes alone: the same headers with no memory behind them would promise bytes
 * that are not there, so every PT_LOAD is left out.
 */
static void drop_loads(const struct elfcore *core, unsigned char *plain, size_t n)
{
	size_t phnum_at = offsetof(Elf64_Ehdr, e_phnum);

	/* The notes are the first header of the table: a table of one is all it takes. */
	if (core && core->elf_class == ELFCLASS64 && n >= sizeof(Elf64_Ehdr)) {
		plain[phnum_at + (core->byte_order == ELFDATA2MSB)] = 1;
		plain[phnum_at + (core->byte_order != ELFDATA2MSB)] = 0;
	}
}

/* The next bytes of the core: from the head that was read before, then from the source. */
static ssize_t read_stream(void *userdata, uint64_t index, void *block, bool *ret_zeros)
{
	struct capture *capture = userdata;
	const struct capture_job *job = capture->job;
	size_t n = job->head_bytes - capture->head_at;
	ssize_t more = 0;

	(void)ret_zeros;
	if (n > MEMBER_PLAIN)
		n = MEMBER_PLAIN;
	if (n > 0)
		memcpy(block, (const char *)job->head + capture->head_at, n);
	if (index == 0 && job->head_only)
		drop_loads(job->core, block, n);
	capture->head_at += n;
	if (n < MEMBER_PLAIN && !job->head_only)
		more = source_read_full(job->source, (char *)block + n, MEMBER_PLAIN - n);
	return more < 0 ? more : (ssize_t)n + more;
}

static void release_stream(void *userdata)
{
	struct capture *capture = userdata;

	source_release(capture->job->source);
	capture->result.released_at_ms = clock_monotonic_ms();
	if (capture->job->step_back)
		process_step_back(capture->job->oom_score_fd);
}

static uint64_t blocks_of(const struct capture_job *job)
{
	uint64_t end = job->head_bytes;

	if (!job->core)
		return UINT64_MAX;
	if (!job->head_only)
		end = job->core->end + BEHIND_MEMORY;
	return end / MEMBER_PLAIN + 1;
}

/* ---- the verdict ---- */

static const char *end_text(enum pipeline_end end)
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

static void judge(struct capture *capture, const struct pipeline_result *done)
{
	const struct elfcore *core = capture->job->core;

	capture->result.core_bytes = done->plain_bytes;
	capture->result.stored_bytes = done->stored_bytes;
	if (done->end != PIPELINE_ALL)
		stop(capture, end_text(done->end));
	if (!core)
		stop(capture, "not an ELF core");
	else if (!capture->job->head_only && done->plain_bytes < core->end)
		stop(capture, "the dump ended early");
	capture->result.complete = !capture->result.incomplete_because;
}

/*
 * A failed write may have left half a member behind; the file is cut back to whole ones so
 * that zcat accepts it.
 */
static int cut_to_whole(const struct capture *capture)
{
	if (ftruncate(capture->job->out_fd, (off_t)capture->result.stored_bytes) < 0)
		return -errno;
	return capture->result.stored_bytes > 0 ? 0 : -ENOSPC;
}

int capture_run(const struct capture_job *job, struct capture_result *ret_result)
{
	struct capture capture = { .job = job };
	const struct pipeline_input input = {
		.userdata = &capture,
		.read = read_stream,
		.release = release_stream,
		.readers = 1,
		.blocks = blocks_of(job),
	};
	struct pipeline_result done;
	int r;

	r = pipeline_run(&input, &job->limits, job->out_fd, &done);
	if (r < 0)
		return r;
	judge(&capture, &done);
	r = cut_to_whole(&capture);
	if (r == 0)
		*ret_result = capture.result;
	return r;
}
