/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Waiting for the end of a process that may not end. */

#include "io/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

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
	TCase *tc = unit_case(suite, "end");

	tcase_add_test(tc, test_ends);
	tcase_add_test(tc, test_stays);
	tcase_add_test(tc, test_gone);
	return unit_main(suite);
}
