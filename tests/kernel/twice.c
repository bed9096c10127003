/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Captures one held process several times over, so that the ways can be compared:
 *
 *     |twice take DIRECTORY %P    as core_pattern: mem.gz (from its memory), threads.gz,
 *                                 and pipe.gz (the kernel's own dump), of the same moment.
 *                                 Programs that crash in another directory meanwhile are
 *                                 none of its business.
 *     twice compare A B           every address that A has in its file reads the same in B
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/capture.h"
#include "core/corefile.h"
#include "core/head.h"
#include "core/layout.h"
#include "core/survey.h"
#include "core/threads.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/process.h"
#include "io/victim.h"

#define STACK_BYTES 65536

struct held {
	struct victim victim;
	struct source source;
	struct head head;
	struct elfcore core;
	int dir_fd;
	FILE *log;
};

/* ---- take ---- */

static int take(struct held *h, const char *name, const struct image *image)
{
	struct source nothing = { 0 };
	struct capture_job job = {
		.source = image ? &nothing : &h->source,
		.head = h->head.bytes,
		.head_bytes = h->head.used,
		.core = &h->core,
		.image = image,
		.memory = { .fd = h->victim.mem_fd },
		.max_bytes = UINT64_MAX,
		.oom_score_fd = -1,
		.limits = { .buffer_bytes = 256 << 20, .hold_until_ms = INT64_MAX, .stop_at_ms = INT64_MAX },
	};
	struct capture_result result;
	int64_t start_ms = clock_monotonic_ms();
	_cleanup_close_ int fd =
		openat(h->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r;

	job.out_fd = fd;
	r = fd < 0 ? -errno : capture_run(&job, &result);
	if (r != 0)
		return r;
	(void)fprintf(h->log,
		      "%s: %s, core %" PRIu64 " stored %" PRIu64 " unreadable %" PRIu64
		      " held %" PRId64 " ms\n",
		      name, result.complete ? "complete" : result.incomplete_because,
		      result.core_bytes, result.stored_bytes, result.unreadable_bytes,
		      job.source->released_at_ms - start_ms);
	return 0;
}

static int take_full(struct held *h)
{
	struct survey survey = SURVEY_NULL;
	struct layout layout = LAYOUT_NULL;
	struct image image = IMAGE_NULL;
	int64_t start_ms = clock_monotonic_ms();
	int r;

	r = survey_take(&survey, &h->core, h->victim.pagemap_fd, h->victim.maps_fd, INT64_MAX);
	(void)fprintf(h->log, "survey: %d, %zu runs, %zu whole, %" PRId64 " ms\n", r,
		      survey.exists.runs, survey.whole.runs, clock_monotonic_ms() - start_ms);
	if (r == 0)
		r = layout_full(&layout, &h->core, &survey.exists, &survey.whole);
	if (r == 0)
		r = layout_image(&layout, &h->core, h->head.bytes, h->head.used, &image);
	if (r == 0)
		r = take(h, "mem.gz", &image);
	image_done(&image);
	layout_done(&layout);
	survey_done(&survey);
	return r;
}

static int take_threads(struct held *h)
{
	const struct memory memory = { .fd = h->victim.mem_fd };
	struct pagemap ranges = PAGEMAP_NULL;
	struct layout layout = LAYOUT_NULL;
	struct image image = IMAGE_NULL;
	int r;

	r = threads_ranges(&h->core, &memory, STACK_BYTES, &ranges);
	if (r == 0)
		r = layout_ranges(&layout, &h->core, &ranges);
	if (r == 0)
		r = layout_part_image(&layout, &h->core, h->head.bytes, h->head.used, &image);
	if (r == 0)
		r = take(h, "threads.gz", &image);
	image_done(&image);
	layout_done(&layout);
	pagemap_done(&ranges);
	return r;
}

/* What the kernel says of it, for the test to look at. */
static void copy_status(const struct held *h, pid_t pid)
{
	char path[64], text[4096];
	_cleanup_close_ int to =
		openat(h->dir_fd, "status", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	_cleanup_close_ int from = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	from = open(path, O_RDONLY | O_CLOEXEC);
	n = read(from, text, sizeof(text));
	if (n > 0 && write(to, text, (size_t)n) != n)
		(void)fprintf(h->log, "cannot copy status\n");
}

static bool is_in(const char *pid, const char *directory)
{
	char path[64], cwd[PATH_MAX];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/cwd", pid);
	n = readlink(path, cwd, sizeof(cwd) - 1);
	cwd[n > 0 ? n : 0] = '\0';
	return strcmp(cwd, directory) == 0;
}

static int take_all(const char *directory, pid_t pid)
{
	struct held h = { .victim = VICTIM_NULL,
			  .dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	int fd = openat(h.dir_fd, "log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r;

	h.log = fdopen(fd, "w");
	if (!h.log)
		return 1;
	victim_open(&h.victim, pid, 0, -1);
	copy_status(&h, pid);
	source_pipe(&h.source, STDIN_FILENO);
	r = head_read_front(&h.head, &h.source, &h.core);
	if (r == 0)
		r = head_read_rest(&h.head, &h.source, &h.core);
	if (r == 0)
		r = take_full(&h);
	if (r == 0)
		r = take_threads(&h);
	if (r == 0)
		r = take(&h, "pipe.gz", NULL);
	(void)fprintf(h.log, "done %d\n", r);
	(void)fclose(h.log);
	return r != 0;
}

/* ---- compare ---- */

static struct corefile *open_core(const char *path)
{
	struct corefile *file = NULL;
	const struct elfcore *core;
	const void *head;
	size_t head_bytes;
	int r;

	r = corefile_open(open(path, O_RDONLY | O_CLOEXEC), &file);
	if (r == 0)
		r = corefile_head(file, &core, &head, &head_bytes);
	if (r != 0) {
		(void)fprintf(stderr, "%s: %d\n", path, r);
		exit(2);
	}
	return file;
}

/* How many bytes of the segment differ or are missing in b. */
static uint64_t compare_segment(struct corefile *a, struct corefile *b,
				const struct elfcore_segment *s)
{
	static unsigned char left[65536], right[65536];
	uint64_t wrong = 0;

	for (uint64_t at = 0; at < s->file_bytes; at += sizeof(left)) {
		size_t n = s->file_bytes - at < sizeof(left) ? s->file_bytes - at : sizeof(left);
		int x = corefile_memory(a, s->vaddr + at, left, n);
		int y = corefile_memory(b, s->vaddr + at, right, n);

		if (x == 0 && y == 0 && memcmp(left, right, n) == 0)
			continue;
		if (wrong == 0)
			(void)fprintf(stderr, "differ at %" PRIx64 " (%d %d)\n", s->vaddr + at, x,
				      y);
		wrong += n;
	}
	return wrong;
}

static int compare(const char *path_a, const char *path_b)
{
	struct corefile *a = open_core(path_a), *b = open_core(path_b);
	const struct elfcore *core;
	const void *head;
	size_t head_bytes;
	uint64_t bytes = 0, wrong = 0;

	(void)corefile_head(a, &core, &head, &head_bytes);
	for (size_t i = 0; i < core->segments; i++) {
		if (core->segment[i].type != PT_LOAD)
			continue;
		bytes += core->segment[i].file_bytes;
		wrong += compare_segment(a, b, &core->segment[i]);
	}
	(void)printf("%" PRIu64 " bytes, %" PRIu64 " wrong\n", bytes, wrong);
	corefile_free(a);
	corefile_free(b);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "take") == 0) {
		if (!is_in(argv[3], argv[2]))
			return 0;
		(void)process_repair_stdio();
		return take_all(argv[2], (pid_t)atoi(argv[3]));
	}
	if (argc == 4 && strcmp(argv[1], "compare") == 0)
		return compare(argv[2], argv[3]);
	(void)fprintf(stderr, "usage: twice take DIRECTORY PID | compare A B\n");
	return 2;
}
