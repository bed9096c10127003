/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"

#define MAPS_CHUNK (256u << 10)
#define MAPS_MAX (256u << 20)

void survey_done(struct survey *survey)
{
	pagemap_done(&survey->exists);
	pagemap_done(&survey->whole);
}

/* ---- files and shared memory ---- */

static int add_listed(struct pagemap *whole, const struct elfcore *core)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->mappings; i++)
		r = pagemap_add(whole, core->mapping[i].start, core->mapping[i].end);
	return r;
}

/* "start-end perms offset major:minor inode": a name may follow, and is not looked at. */
static int parse_line(struct pagemap *whole, const char *line)
{
	uint64_t start, end, inode;
	char shared;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*3c%c %*x %*x:%*x %" SCNu64, &start,
		   &end, &shared, &inode) != 4 ||
	    start >= end || (inode == 0 && shared != 's'))
		return 0;
	return pagemap_add(whole, start, end);
}

int survey_parse_maps(struct pagemap *whole, const char *text)
{
	int r = 0;

	while (r == 0 && *text) {
		const char *end = strchrnul(text, '\n');

		r = parse_line(whole, text);
		text = *end ? end + 1 : end;
	}
	return r;
}

/* Hands out whole lines; what is left of the last one moves to the front. */
static int parse_chunk(struct pagemap *whole, char *text, size_t *used)
{
	char *last = memrchr(text, '\n', *used);
	int r;

	if (!last)
		return *used < MAPS_CHUNK ? 0 : -EFBIG;
	*last = '\0';
	r = survey_parse_maps(whole, text);
	*used -= (size_t)(last + 1 - text);
	memmove(text, last + 1, *used);
	return r;
}

static int add_maps(struct pagemap *whole, int maps_fd)
{
	_cleanup_free_ char *text = malloc(MAPS_CHUNK + 1);
	size_t used = 0, total = 0;
	int r = 0;

	if (!text)
		return -ENOMEM;
	while (r == 0 && total < MAPS_MAX) {
		ssize_t n = pread(maps_fd, text + used, MAPS_CHUNK - used, (off_t)total);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		total += (size_t)n;
		used += (size_t)n;
		r = parse_chunk(whole, text, &used);
	}
	return r;
}

/* ---- what the kernel maps by itself ---- */

/*
 * The vdso has no file, and its pages appear in the page tables when they are first used;
 * so has what lies in the kernel's half (vsyscall), of which /proc/PID/pagemap says nothing.
 */
static bool is_special(const struct elfcore_segment *s, uint64_t vdso)
{
	if (s->vaddr > INT64_MAX)
		return s->flags & PF_R; /* execute-only is usual, and reads as nothing */
	return vdso >= s->vaddr && vdso - s->vaddr < s->memory_bytes;
}

static int compare_runs(const void *a, const void *b)
{
	const struct pagemap_run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int add_special(struct pagemap *whole, const struct elfcore *core)
{
	uint64_t vdso = 0;
	int r = 0;

	(void)elfcore_auxv(core, AT_SYSINFO_EHDR, &vdso);
	for (size_t i = 0; r == 0 && i < core->segments; i++) {
		const struct elfcore_segment *s = &core->segment[i];

		if (s->type == PT_LOAD && s->memory_bytes > 0 && is_special(s, vdso))
			r = pagemap_add(whole, s->vaddr, s->vaddr + s->memory_bytes);
	}
	if (whole->runs > 0)
		qsort(whole->run, whole->runs, sizeof(*whole->run), compare_runs);
	return r;
}

/* ---- pages ---- */

/* Is there anything in this segment whose pages must be known? */
static bool is_anonymous(const struct elfcore_segment *s, const struct pagemap *whole)
{
	size_t i = pagemap_find(whole, s->vaddr);

	return s->type == PT_LOAD && s->vaddr <= INT64_MAX && s->file_bytes > 0 &&
	       s->file_bytes == s->memory_bytes &&
	       (i == whole->runs || whole->run[i].start >= s->vaddr + s->memory_bytes);
}

static int walk_segments(struct survey *survey, const struct elfcore *core, int fd,
			 int64_t until_ms)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->segments; i++) {
		const struct elfcore_segment *s = &core->segment[i];

		if (is_anonymous(s, &survey->whole))
			r = pagemap_walk(&survey->exists, fd, s->vaddr,
					 s->vaddr + s->memory_bytes, until_ms);
	}
	return r;
}

/* One scan from the first to the last: what lies between costs next to nothing. */
static int scan_all(struct survey *survey, const struct elfcore *core, int fd)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (size_t i = 0; i < core->segments; i++) {
		const struct elfcore_segment *s = &core->segment[i];

		if (!is_anonymous(s, &survey->whole))
			continue;
		start = s->vaddr < start ? s->vaddr : start;
		end = s->vaddr + s->memory_bytes;
	}
	return start < end ? pagemap_scan(&survey->exists, fd, start, end) : 0;
}

int survey_take(struct survey *survey, const struct elfcore *core, int pagemap_fd,
		int maps_fd, int64_t until_ms)
{
	int r;

	if (core->mappings > 0)
		r = add_listed(&survey->whole, core);
	else
		r = add_maps(&survey->whole, maps_fd);
	if (r == 0)
		r = add_special(&survey->whole, core);
	if (r < 0)
		return r;
	r = scan_all(survey, core, pagemap_fd);
	if (r != -ENOTTY)
		return r;
	return walk_segments(survey, core, pagemap_fd, until_ms);
}
