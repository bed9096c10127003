/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a handler does to itself first, and waiting for a process that may not end. */

#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* ---- standard input, output and error; each test is a process of its own ---- */

static void close_stdio(int first)
{
	for (int fd = first; fd <= STDERR_FILENO; fd++)
		(void)close(fd);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool is_null(int fd)
{
	struct stat null, st;

	return stat("/dev/null", &null) == 0 && fstat(fd, &st) == 0 &&
	       st.st_rdev == null.st_rdev;
}

/* What fails is told all the same: check writes to a file of its own. */
START_TEST(test_repair)
{
	bool had_stderr;

	close_stdio(_i);
	had_stderr = process_repair_stdio();
	ck_assert_int_eq(had_stderr, _i > STDERR_FILENO);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		ck_assert(is_open(fd));
	for (int fd = _i; fd <= STDERR_FILENO; fd++)
		ck_assert(is_null(fd));
}
END_TEST

START_TEST(test_reserve)
{
	char byte = 0;

	close_stdio(_i);
	process_reserve_stdio();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		ck_assert(is_open(fd));
	if (_i == STDIN_FILENO)
		ck_assert_int_lt(read(STDIN_FILENO, &byte, 1), 0);
	for (int fd = _i; fd <= STDERR_FILENO; fd++)
		ck_assert(fd == STDIN_FILENO || write(fd, &byte, 1) < 0);
}
END_TEST

START_TEST(test_take_stdin)
{
	int fds[2], fd;
	char byte = 'x';

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	ck_assert_int_eq(write(fds[1], &byte, 1), 1);
	close_stdio(STDOUT_FILENO); /* the lowest free numbers are not to be used */
	fd = process_take_stdin();
	ck_assert_int_gt(fd, STDERR_FILENO);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert(is_null(STDIN_FILENO));
	ck_assert_int_eq(read(fd, &byte, 1), 1);
}
END_TEST

/* Whoever starts us may have had the alarm ignored. */
START_TEST(test_deadline)
{
	struct sigaction action;

	(void)signal(SIGALRM, SIG_IGN);
	process_deadline(1000);
	ck_assert_int_eq(sigaction(SIGALRM, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);
	ck_assert_uint_gt(alarm(0), 0);
}
END_TEST

/* ---- the end of a process ---- */

static pid_t start(bool stays)
{
	pid_t pid = fork();

	if (pid == 0) {
		while (stays)
			(void)pause();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

START_TEST(test_ends)
{
	pid_t pid = start(false);
	int fd = process_watch(pid);

	ck_assert_int_ge(fd, 0);
	process_await_end(fd, 60000);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), pid);
}
END_TEST

START_TEST(test_stays)
{
	pid_t pid = start(true);
	int fd = process_watch(pid);

	ck_assert_int_ge(fd, 0);
	process_await_end(fd, 10);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	(void)kill(pid, SIGKILL);
	process_await_end(fd, 60000);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), pid);
}
END_TEST

START_TEST(test_gone)
{
	pid_t pid = start(false);

	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(process_watch(pid), -ESRCH);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process");
	TCase *itself = unit_case(suite, "itself"), *tc = unit_case(suite, "end");

	tcase_add_loop_test(itself, test_repair, STDIN_FILENO, STDERR_FILENO + 2);
	tcase_add_loop_test(itself, test_reserve, STDIN_FILENO, STDERR_FILENO + 2);
	tcase_add_test(itself, test_take_stdin);
	tcase_add_test(itself, test_deadline);
	tcase_add_test(tc, test_ends);
	tcase_add_test(tc, test_stays);
	tcase_add_test(tc, test_gone);
	return unit_main(suite);
}
