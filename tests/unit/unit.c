/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t seed;
static char base[PATH_MAX]; /* of all directories of this program */
static char newest[PATH_MAX + 32];

TCase *unit_case(Suite *suite, const char *name)
{
	TCase *test_case = tcase_create(name);

	tcase_set_timeout(test_case, 60);
	suite_add_tcase(suite, test_case);
	return test_case;
}

static void choose_seed(void)
{
	const char *given = getenv("COREFOLD_TEST_SEED");

	if (given)
		seed = strtoull(given, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = 1;
	printf("COREFOLD_TEST_SEED=%" PRIu64 "\n", seed);
	(void)fflush(stdout); /* before check forks */
}

static void make_base(void)
{
	(void)snprintf(base, sizeof(base), "%s/corefold-unit.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(base)) {
		perror(base);
		exit(EXIT_FAILURE);
	}
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path); /* what stays is seen in /tmp */
	return 0;
}

int unit_main(Suite *suite)
{
	SRunner *runner;
	int failed;

	choose_seed();
	make_base();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	(void)nftw(base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

struct unit_random unit_random(int stream)
{
	struct unit_random random = { seed };

	random.state += unit_next(&random) * (uint64_t)(stream + 1);
	return random;
}

uint64_t unit_next(struct unit_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t unit_below(struct unit_random *random, uint64_t n)
{
	return unit_next(random) % n;
}

int unit_dir(void)
{
	int fd;

	(void)snprintf(newest, sizeof(newest), "%s/XXXXXX", base);
	ck_assert_ptr_nonnull(mkdtemp(newest));
	fd = open(newest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

const char *unit_dir_path(void)
{
	return newest;
}

void unit_write_file(int dir_fd, const char *name, const void *bytes, size_t n)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	ck_assert_int_eq(close(fd), 0);
}

void unit_append_file(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_APPEND | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(close(fd), 0);
}

char *unit_read_file(int dir_fd, const char *name, size_t *ret_bytes)
{
	static char *kept[16]; /* known to the leak checker */
	static unsigned int next;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	char **bytes = &kept[next++ % 16];
	struct stat st;

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	ck_assert_int_eq(fstat(fd, &st), 0);
	*bytes = realloc(*bytes, (size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(*bytes);
	ck_assert_int_eq(pread(fd, *bytes, (size_t)st.st_size, 0), st.st_size);
	(*bytes)[st.st_size] = '\0';
	*ret_bytes = (size_t)st.st_size;
	ck_assert_int_eq(close(fd), 0);
	return *bytes;
}

void unit_append(struct unit_text *text, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text->bytes + text->n, sizeof(text->bytes) - text->n, format, arguments);
	va_end(arguments);
	ck_assert_int_ge(n, 0);
	text->n += (size_t)n;
	ck_assert_uint_lt(text->n, sizeof(text->bytes));
}

const char *unit_runs_end(struct unit_runs *runs)
{
	if (runs->count == 0)
		return runs->text.bytes;
	unit_append(&runs->text, "%s%s", runs->text.n ? " " : "", runs->last);
	if (runs->count > 1)
		unit_append(&runs->text, "x%u", runs->count);
	runs->count = 0;
	return runs->text.bytes;
}

void unit_run(struct unit_runs *runs, const char *word)
{
	if (runs->count > 0 && strcmp(runs->last, word) != 0)
		(void)unit_runs_end(runs);
	(void)snprintf(runs->last, sizeof(runs->last), "%s", word);
	runs->count++;
}
