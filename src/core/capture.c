/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/member.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/dir.h"

struct capture {
	const struct capture_job *job;
	struct member_writer *writer;
	unsigned char *plain; /* MEMBER_PLAIN */
	unsigned char *stored; /* MEMBER_BOUND */
	size_t head_at; /* of the head, handed out so far */
	struct capture_result result;
};

static void stop(struct capture *capture, const char *because)
{
	if (!capture->result.incomplete_because)
		capture->result.incomplete_because = because;
}

/*
 * A core of notes alone: the same headers with no memory behind them would promise bytes
 * that are not there, so every PT_LOAD is left out.
 */
static void drop_loads(struct capture *capture, size_t n)
{
	const struct elfcore *core = capture->job->core;
	size_t phnum_at = offsetof(Elf64_Ehdr, e_phnum);

	/* The notes are the first header of the table: a table of one is all it takes. */
	if (core && core->elf_class == ELFCLASS64 && n >= sizeof(Elf64_Ehdr)) {
		capture->plain[phnum_at + (core->byte_order == ELFDATA2MSB)] = 1;
		capture->plain[phnum_at + (core->byte_order != ELFDATA2MSB)] = 0;
	}
}

/* The next bytes of the core: from the head that was read before, then from the source. */
static ssize_t next_plain(struct capture *capture)
{
	const struct capture_job *job = capture->job;
	size_t n = job->head_bytes - capture->head_at;
	ssize_t more = 0;

	if (n > MEMBER_PLAIN)
		n = MEMBER_PLAIN;
	if (n > 0)
		memcpy(capture->plain, (const char *)job->head + capture->head_at, n);
	if (capture->head_at == 0 && job->head_only)
		drop_loads(capture, n);
	capture->head_at += n;
	if (n < MEMBER_PLAIN && !job->head_only)
		more = source_read_full(job->source, capture->plain + n, MEMBER_PLAIN - n);
	return more < 0 ? more : (ssize_t)n + more;
}

static int write_member(struct capture *capture, size_t plain_bytes)
{
	size_t stored_bytes;
	int r;

	r = member_write(capture->writer, capture->plain, plain_bytes, capture->stored,
			 &stored_bytes);
	if (r == 0)
		r = dir_write_all(capture->job->out_fd, capture->stored, stored_bytes);
	if (r < 0)
		return r;
	capture->result.core_bytes += plain_bytes;
	capture->result.stored_bytes += stored_bytes;
	return 0;
}

/* May another member be read and written? Other programs fill disks, too. */
static bool may_go_on(struct capture *capture)
{
	const struct capture_job *job = capture->job;
	int64_t now_ms = clock_monotonic_ms();
	struct statvfs fs;

	if (capture->result.core_bytes >= job->max_bytes)
		stop(capture, "MaxCoreSize reached");
	else if (now_ms >= job->hold_until_ms)
		stop(capture, "MaxHold reached");
	else if (now_ms >= job->stop_at_ms)
		stop(capture, "deadline reached");
	else if (fstatvfs(job->out_fd, &fs) == 0 &&
		 (uint64_t)fs.f_bavail * fs.f_frsize < job->keep_free_bytes + MEMBER_BOUND)
		stop(capture, "KeepFree reached while writing");
	return !capture->result.incomplete_because;
}

static int copy_members(struct capture *capture)
{
	for (;;) {
		ssize_t n;
		int r;

		n = next_plain(capture);
		if (n < 0)
			stop(capture, "reading the dump failed");
		if (n <= 0)
			return 0;
		if (n < (ssize_t)MEMBER_PLAIN)
			source_release(capture->job->source); /* that was the last of it */
		r = write_member(capture, (size_t)n);
		if (r == -ENOSPC || r == -EDQUOT || r == -EFBIG)
			stop(capture, "disk full");
		else if (r < 0)
			return r;
		if (r < 0 || n < (ssize_t)MEMBER_PLAIN || !may_go_on(capture))
			return 0;
	}
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

static void judge(struct capture *capture)
{
	const struct elfcore *core = capture->job->core;

	if (!core)
		stop(capture, "not an ELF core");
	else if (!capture->job->head_only && capture->result.core_bytes < core->end)
		stop(capture, "the dump ended early");
	capture->result.complete = !capture->result.incomplete_because;
}

int capture_run(const struct capture_job *job, struct capture_result *ret_result)
{
	struct capture capture = { .job = job };
	int r = -ENOMEM;

	capture.writer = member_writer_new();
	capture.plain = malloc(MEMBER_PLAIN);
	capture.stored = malloc(MEMBER_BOUND);
	if (capture.writer && capture.plain && capture.stored) {
		if (job->head_only)
			source_release(job->source);
		r = copy_members(&capture);
	}
	source_release(job->source);
	capture.result.released_at_ms = clock_monotonic_ms();
	if (r == 0)
		r = cut_to_whole(&capture);
	judge(&capture);
	member_writer_free(capture.writer);
	free(capture.plain);
	free(capture.stored);
	if (r == 0)
		*ret_result = capture.result;
	return r;
}
