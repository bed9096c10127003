/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What every unit test shares: how it runs, where its files go, and chance that can be
 * repeated. A test is a table whose first column is the claim; check runs one process a row.
 */

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROWS(table) ((int)(sizeof(table) / sizeof(*(table))))
#define SEC 1000000000LL

/* A test case with room for a sanitizer's slowness. */
TCase *unit_case(Suite *suite, const char *name);

/*
 * Runs the suite, prints the seed, removes the temporary directory. The exit status of
 * the program.
 */
int unit_main(Suite *suite);

/* splitmix64; the seed is printed and taken back from COREFOLD_TEST_SEED. */
struct unit_random {
	uint64_t state;
};
struct unit_random unit_random(int stream); /* one sequence per stream and seed */
uint64_t unit_next(struct unit_random *random);
uint64_t unit_below(struct unit_random *random, uint64_t n); /* 0 .. n - 1 */

/* A new, empty, private directory; closed with the process, removed by unit_main(). */
int unit_dir(void);
/* Its path, valid until the next unit_dir(). */
const char *unit_dir_path(void);

/* A file of that content below the directory, in place of one that is there. */
void unit_write_file(int dir_fd, const char *name, const void *bytes, size_t n);
void unit_append_file(int dir_fd, const char *name, const char *text);
/* The whole file, with a NUL behind it; never freed: the process ends with the test. */
char *unit_read_file(int dir_fd, const char *name, size_t *ret_bytes);

/*
 * Text that grows: verdicts are collected in it and compared as a whole, so that a failure
 * shows all of them.
 */
struct unit_text {
	char bytes[4096];
	size_t n;
};
void unit_append(struct unit_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Appends a word, or counts the last one up: "K1x8 F K2". */
struct unit_runs {
	struct unit_text text;
	char last[64];
	unsigned int count;
};
void unit_run(struct unit_runs *runs, const char *word);
const char *unit_runs_end(struct unit_runs *runs);

/* For hot loops: check writes to a pipe at every ck_assert, this one only when it fails. */
#define check_that(condition)                                                            \
	do {                                                                             \
		if (!(condition))                                                        \
			ck_abort_msg("not so: %s", #condition);                          \
	} while (0)

#define claim_str_eq(claim, got, wanted)                                                 \
	ck_assert_msg(strcmp(got, wanted) == 0, "%s: got \"%s\", not \"%s\"", claim, got, wanted)
#define claim_int_eq(claim, got, wanted)                                                 \
	ck_assert_msg((intmax_t)(got) == (intmax_t)(wanted), "%s: " #got " is %jd, not %jd", \
		      claim, (intmax_t)(got), (intmax_t)(wanted))
