/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The client against programs that misbehave: small scripts in place of corefold-unwind. */

#include "unwind/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define ANSWER                                                                           \
	"{\"version\":1,\"signal\":{},\"modules\":[],\"threads\":[{\"frames\":[]}]}"

static char directory[PATH_MAX];
static char program[PATH_MAX + 16];

static void make_directory(void)
{
	(void)unit_dir();
	(void)snprintf(directory, sizeof(directory), "%s", unit_dir_path());
}

static void write_program(const char *script)
{
	FILE *file;

	(void)snprintf(program, sizeof(program), "%s/program", directory);
	file = fopen(program, "we");
	ck_assert_ptr_nonnull(file);
	(void)fprintf(file, "#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n", script);
	(void)fclose(file);
	(void)chmod(program, 0700);
}

/* Time enough for a shell to start on a busy machine, or hardly any. */
#define LONG_MS 20000
#define SHORT_MS 700

static int ask(unsigned int time_ms, const struct client_module *modules, size_t n,
	       json_t **ret_answer)
{
	int head = client_memfd("head", 4);
	int r = client_unwind(&(struct client_request){ .program = program,
							.head_fd = head,
							.memory_fd = head,
							.modules = modules,
							.modules_n = n,
							.time_ms = time_ms },
			      ret_answer);

	(void)close(head);
	return r;
}

static const struct {
	const char *claim;
	const char *script;
	int wanted;
} rows[] = {
	{ "an answer", "echo '" ANSWER "'", 0 },
	{ "an answer, and then it stays", "echo '" ANSWER "'; exec sleep 60", 0 },
	{ "an answer without an end", "printf %s '" ANSWER "'", CLIENT_E_ANSWER },
	{ "half an answer, and then it stays", "printf %s '" ANSWER "'; exec >&-; sleep 60",
	  CLIENT_E_FAILED },
	{ "half an answer, and a failure", "printf %s '" ANSWER "'; exit 1", CLIENT_E_FAILED },
	{ "nothing", "exit 0", CLIENT_E_ANSWER },
	{ "no JSON", "echo hello", CLIENT_E_ANSWER },
	{ "other JSON", "echo '{\"version\":1}'", CLIENT_E_ANSWER },
	{ "another version",
	  "echo '{\"version\":2,\"signal\":{},\"modules\":[],\"threads\":[]}'",
	  CLIENT_E_ANSWER },
	{ "threads of another shape",
	  "echo '{\"version\":1,\"signal\":{},\"modules\":[],\"threads\":[1]}'",
	  CLIENT_E_ANSWER },
	{ "a deep nest", "i=0; while [ $i -lt 5000 ]; do printf '['; i=$((i+1)); done",
	  CLIENT_E_ANSWER },
	{ "a flood", "exec cat /dev/zero", CLIENT_E_ANSWER },
	{ "silence", "exec sleep 60", CLIENT_E_TIME },
	{ "deaf to signals", "trap '' TERM INT ALRM HUP; sleep 60", CLIENT_E_TIME },
	{ "killed", "kill -9 $$", CLIENT_E_FAILED },
	{ "stopped", "kill -STOP $$", CLIENT_E_TIME },
	{ "its own deadline", "kill -ALRM $$", CLIENT_E_TIME },
};

START_TEST(test_program)
{
	json_t *answer = NULL;
	int r;

	write_program(rows[_i].script);
	r = ask(rows[_i].wanted == CLIENT_E_TIME ? SHORT_MS : LONG_MS, NULL, 0, &answer);
	ck_assert_msg(r == rows[_i].wanted, "%s: %s", rows[_i].claim, client_strerror(r));
	ck_assert((answer != NULL) == (r == 0));
	/* nobody is left to be reaped */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	json_decref(answer);
}
END_TEST

/* While a process is held nobody waits until a program that has answered is torn down. */
START_TEST(test_dismissed)
{
	json_t *answer = NULL;
	int head = client_memfd("head", 4), status;
	struct client_request request = { .program = program,
					  .head_fd = head,
					  .memory_fd = head,
					  .live = true };

	write_program("trap '' TERM; echo '" ANSWER "'; exec sleep 60");
	ck_assert_int_eq(client_unwind(&request, &answer), 0);
	json_decref(answer);
	ck_assert_int_gt(waitpid(-1, &status, 0), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

START_TEST(test_missing)
{
	json_t *answer = NULL;

	(void)snprintf(program, sizeof(program), "%s/none", directory);
	ck_assert_int_eq(ask(LONG_MS, NULL, 0, &answer), CLIENT_E_MISSING);
}
END_TEST

/* Counts its descriptors of a file that the caller has open many times. */
#define COUNT                                                                              \
	"n=0\nfor f in /proc/$$/fd/*; do\n"                                                \
	"case $(readlink $f) in /etc/passwd) n=$((n+1)); last=${f##*/};; esac\ndone\n"     \
	"echo \"{\\\"version\\\":1,\\\"signal\\\":{\\\"n\\\":$n,\\\"last\\\":${last:-0}}," \
	"\\\"modules\\\":[],\\\"threads\\\":[]}\""

static void check_fds(const struct client_module *modules, size_t n)
{
	json_t *answer = NULL, *signal;

	write_program(COUNT);
	ck_assert_int_eq(ask(LONG_MS, modules, n, &answer), 0);
	signal = json_object_get(answer, "signal");
	ck_assert_int_eq(json_integer_value(json_object_get(signal, "n")), (int)n);
	if (n > 0)
		ck_assert_int_eq(json_integer_value(json_object_get(signal, "last")),
				 4 + (int)n);
	json_decref(answer);
}

START_TEST(test_descriptors)
{
	struct client_module modules[3];

	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(open("/etc/passwd", O_RDONLY),
				 0); /* inherited on exec */
	check_fds(NULL, 0);
	for (int i = 0; i < 3; i++)
		modules[i] =
			(struct client_module){ open("/etc/passwd", O_RDONLY), 0x1000 };
	check_fds(modules, 3);
}
END_TEST

/* Who holds the pipe that a core comes through holds the crashed process. */
START_TEST(test_stdin)
{
	json_t *answer = NULL;
	char script[PATH_MAX + 128];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[0], 0), 0);
	(void)close(fds[0]);
	(void)snprintf(script, sizeof(script),
		       "readlink /proc/$$/fd/0 >%s/stdin; echo '%s'", directory, ANSWER);
	write_program(script);
	ck_assert_int_eq(ask(LONG_MS, NULL, 0, &answer), 0);
	json_decref(answer);
	(void)snprintf(script, sizeof(script), "grep -qx /dev/null %s/stdin", directory);
	ck_assert_int_eq(system(script), 0);
}
END_TEST

/* Numbers that the program's descriptors will get may be in use here. */
START_TEST(test_low_numbers)
{
	json_t *answer = NULL;
	int head = client_memfd("head", 4);
	struct client_request request = { .program = program, .time_ms = LONG_MS };

	write_program("[ \"$(cat <&3)\" = \"\" ] && exec 0<&3 && echo '" ANSWER "'");
	request.head_fd = dup2(head, 4);
	request.memory_fd = dup2(head, 3);
	ck_assert_int_eq(client_unwind(&request, &answer), 0);
	json_decref(answer);
}
END_TEST

/* A caller that ignores SIGCHLD and blocks signals is left as it was. */
START_TEST(test_caller)
{
	json_t *answer = NULL;
	sigset_t set, after;

	(void)sigfillset(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	write_program("kill -ALRM $$; echo '" ANSWER "'");
	ck_assert_int_eq(ask(LONG_MS, NULL, 0, &answer),
			 CLIENT_E_TIME); /* not blocked over there */
	(void)sigprocmask(SIG_BLOCK, NULL, &after);
	ck_assert_int_eq(sigismember(&after, SIGALRM), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tc = unit_case(suite, "client");

	tcase_add_checked_fixture(tc, make_directory, NULL);
	tcase_add_loop_test(tc, test_program, 0, ROWS(rows));
	tcase_add_test(tc, test_dismissed);
	tcase_add_test(tc, test_missing);
	tcase_add_test(tc, test_descriptors);
	tcase_add_test(tc, test_stdin);
	tcase_add_test(tc, test_low_numbers);
	tcase_add_test(tc, test_caller);
	return unit_main(suite);
}
