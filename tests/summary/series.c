/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Counters on their way to Prometheus never go backwards, whatever happens to what they
 * count: folds that turn out novel, processes that are forgotten and come back, a state
 * that is rebuilt without its last folds.
 */

#include "summary/summary.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "policy/units.h"
#include "summary/known.h"
#include "summary/series.h"
#include "unit.h"

#define PROCESSES 40
#define LINES_MAX 256

static uint64_t seed;

static uint64_t chance(uint64_t n)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % n;
}

struct shown {
	char name[LINES_MAX][160];
	double value[LINES_MAX];
	size_t lines;
};

/* The counters of a page of metrics. */
static void take_shown(const struct summary *summary, int dir_fd, struct shown *shown)
{
	char *text = NULL, *rest, *line;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	ck_assert_int_eq(summary_prometheus(summary, dir_fd, true, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	shown->lines = 0;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char *space = strrchr(line, ' ');

		if (*line == '#' || !space || !strstr(line, "_total"))
			continue;
		ck_assert_uint_lt(shown->lines, LINES_MAX);
		(void)snprintf(shown->name[shown->lines], sizeof(*shown->name), "%.*s",
			       (int)(space - line), line);
		shown->value[shown->lines++] = strtod(space, NULL);
	}
	free(text);
}

static void compare(const struct shown *before, const struct shown *after, int step)
{
	for (size_t i = 0; i < before->lines; i++)
		for (size_t k = 0; k < after->lines; k++)
			if (strcmp(before->name[i], after->name[k]) == 0 &&
			    after->value[k] < before->value[i])
				ck_abort_msg("step %d: %s went from %.0f to %.0f", step,
					     before->name[i], before->value[i], after->value[k]);
}

static void crash(struct summary *summary, struct summary_process *p, uint64_t folded)
{
	p->ever.crashes++;
	p->ever.folded += folded;
	p->ever.kept += 1 - folded;
	summary->ever.crashes++;
	summary->ever.folded += folded;
	summary->ever.kept += 1 - folded;
}

static void happen(struct summary *summary)
{
	struct summary_process *p = &summary->process[chance(PROCESSES)];

	switch (chance(12)) {
	case 0: /* a fold that is novel */
		if (p->ever.folded > 0) {
			p->ever.folded--;
			summary->ever.folded--;
		}
		break;
	case 1: /* forgotten; it may come back as another life */
		p->ever = (struct summary_counts){ 0 };
		p->first_ms++;
		break;
	case 2: /* the file was lost, and the last folds with it */
		for (uint64_t n = chance(3); n > 0 && p->ever.folded > 0; n--) {
			p->ever.folded--;
			p->ever.crashes--;
			summary->ever.folded--;
			summary->ever.crashes--;
		}
		break;
	default:
		for (uint64_t n = chance(5); n > 0; n--)
			crash(summary, p, chance(4) > 0);
	}
	summary->ever.operational += chance(2);
}

START_TEST(test_never_backwards)
{
	char path[] = "/tmp/cfseries.XXXXXX", command[64];
	static struct shown shown[2];
	struct summary summary = SUMMARY_NULL;
	int dir_fd;

	seed = (uint64_t)_i + 1;
	ck_assert_ptr_nonnull(mkdtemp(path));
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir_fd, 0);
	summary.machine = 7;
	summary.interval_ns = 3600 * NS_PER_SEC;
	summary.process = calloc(PROCESSES, sizeof(*summary.process));
	summary.processes = PROCESSES;
	for (int i = 0; i < PROCESSES; i++)
		(void)snprintf(summary.process[i].process, NAME_SIZE, "p%d", i);
	take_shown(&summary, dir_fd, &shown[0]);
	for (int step = 1; step < 250; step++) {
		happen(&summary);
		take_shown(&summary, dir_fd, &shown[step % 2]);
		compare(&shown[(step + 1) % 2], &shown[step % 2], step);
	}
	summary_done(&summary);
	(void)close(dir_fd);
	(void)snprintf(command, sizeof(command), "rm -rf %s", path);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(test_new_state_starts_anew)
{
	struct series series = { .machine = 7, .ever = { .crashes = 100 } };
	struct summary summary = SUMMARY_NULL;

	summary.machine = 8;
	summary.ever.crashes = 3;
	series_update(&series, &summary);
	ck_assert_uint_eq(series.ever.crashes, 3);
	ck_assert_uint_eq(series.other.crashes, 3);
}
END_TEST

/* A disk that takes no more: an error, and no half file. In a process of its own. */
START_TEST(test_full_disk)
{
	struct series series = { .machine = 7 };
	struct known known = { .entry = calloc(1, sizeof(*known.entry)), .entries = 1 };
	const struct rlimit nothing = { 0, 0 };
	int dir_fd = unit_dir();

	ck_assert_ptr_nonnull(known.entry);
	ck_assert_ptr_ne(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &nothing), 0);
	check_that(known_write(&known, dir_fd) < 0);
	check_that(series_write(&series, dir_fd) < 0);
	check_that(faccessat(dir_fd, ".signatures.new", F_OK, 0) < 0);
	check_that(faccessat(dir_fd, ".series.new", F_OK, 0) < 0);
	known_done(&known);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("series");
	TCase *tcase = unit_case(suite, "series");

	tcase_add_loop_test(tcase, test_never_backwards, 0, 4);
	tcase_add_test(tcase, test_new_state_starts_anew);
	tcase_add_test(tcase, test_full_disk);
	tcase_set_timeout(tcase, 120);
	return unit_main(suite);
}
