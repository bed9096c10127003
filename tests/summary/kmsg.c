/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the kernel log tells of crashes without a handler, and what only looks like it. */

#include "io/kmsg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

static const struct {
	const char *claim;
	const char *record;
	uint64_t crashes;
} rows[] = {
	{ "6.1 over the limit", "4,12,99,-;Pid 77(sleep) over core_pipe_limit\n", 1 },
	{ "6.1 says it twice, counted once", "4,13,99,-;Skipping core dump\n", 0 },
	{ "6.1 RLIMIT_CORE", "4,12,99,-;Process 77(sleep) has RLIMIT_CORE set to 1\n", 1 },
	{ "6.1 no handler",
	  "6,12,99,-;Core dump to |/usr/sbin/corefold handle -P7 pipe failed\n", 1 },
	{ "6.18 over the limit",
	  "4,1,2,-;coredump: 77(sleep): over core_pipe_limit, skipping core dump\n", 1 },
	{ "6.18 RLIMIT_CORE",
	  "4,1,2,-;coredump: 77(sleep): RLIMIT_CORE is set to 1, aborting core\n", 1 },
	{ "6.18 no handler", "4,1,2,-;coredump: 7(a): |/usr/sbin/corefold handle pipe failed", 1 },
	{ "the limiter", "4,1,2,-;coredump_pipe: 189 callbacks suppressed\n", 189 },
	{ "the limiter of 6.12", "4,1,2,-;do_coredump: 3 callbacks suppressed\n", 3 },
	{ "something behind the limiter",
	  "4,1,2,-;coredump_pipe: 189 callbacks suppressed, or not\n", 0 },
	{ "another's limiter", "4,1,2,-;net_ratelimit: 189 callbacks suppressed\n", 0 },
	{ "keys behind the text",
	  "4,1,2,-;Pid 77(sleep) over core_pipe_limit\n SUBSYSTEM=x\n DEVICE=y\n", 1 },
	{ "only in a key", "4,1,2,-;hello\n X=Pid 77(sleep) over core_pipe_limit\n", 0 },
	{ "more prefix fields", "4,1,2,-,caller=T1;Pid 77(a) over core_pipe_limit\n", 1 },
	{ "a program wrote it (facility user)", "12,1,2,-;Pid 7(a) over core_pipe_limit\n", 0 },
	{ "a name with parentheses", "4,1,2,-;Pid 77(a) over core_(b) over core_pipe_limit\n", 1 },
	{ "a name with a newline", "4,1,2,-;Pid 77(a\\x0aPid 7(b) over core_pipe_limit\n", 1 },
	{ "fifteen escaped bytes",
	  "4,1,2,-;Pid 7(\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a"
	  "\\x0a) over core_pipe_limit\n", 1 },
	{ "sixteen cannot be a name", "4,1,2,-;Pid 7(aaaaaaaaaaaaaaaa) over core_pipe_limit\n", 0 },
	{ "a fault of a process named to fool us",
	  "4,1,2,-;Pid 7(a)[123]: segfault at 0 ip 0 sp 0 error 4 in b) over core_pipe_limit\n", 0 },
	{ "a fault of one named coredump: 7(x):",
	  "6,1,2,-;coredump: 7(x):[1]: segfault at 0 ip 0000561 sp 00007ffe error 4 in x) over "
	  "core_pipe_limit, skipping core dump): over core_pipe_limit, skipping core dump\n", 0 },
	{ "in the middle", "4,1,2,-;foo: Pid 7(a) over core_pipe_limit\n", 0 },
	{ "something behind it", "4,1,2,-;Pid 7(a) over core_pipe_limit!\n", 0 },
	{ "no pid", "4,1,2,-;Pid (a) over core_pipe_limit\n", 0 },
	{ "a number too large", "4,1,2,-;coredump_pipe: 99999999999999999999 callbacks suppressed\n", 0 },
	{ "no number", "4,1,2,-;coredump_pipe: callbacks suppressed\n", 0 },
	{ "no record", "hello", 0 },
	{ "cut", "4,1", 0 },
	{ "empty", "", 0 },
};

START_TEST(test_crashes)
{
	struct kmsg_record record;
	uint64_t crashes = 0;
	/* Exactly as long as the text: the sanitizer sees a read behind it. */
	size_t n = strlen(rows[_i].record);
	char *bytes = malloc(n ? n : 1);

	memcpy(bytes, rows[_i].record, n);
	if (kmsg_parse(bytes, n, &record) == 0)
		crashes = kmsg_crashes(&record);
	free(bytes);
	ck_assert_msg(crashes == rows[_i].crashes, "%s: %llu", rows[_i].claim,
		      (unsigned long long)crashes);
}
END_TEST

/* A socket that keeps packets apart stands for the device. */
START_TEST(test_read)
{
	struct kmsg kmsg = KMSG_NULL;
	char text[128];
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	for (int i = 100; i < 120; i++) {
		int n = snprintf(text, sizeof(text), "4,%d,1,-;Pid %d(x) %s\n", i, i,
				 i % 2 ? "over core_pipe_limit" : "is well");

		ck_assert_int_eq(write(fd[1], text, (size_t)n), n);
	}
	ck_assert_int_eq(kmsg_read(fd[0], &kmsg), 0);
	ck_assert_uint_eq(kmsg.next_sequence, 120);
	ck_assert_uint_eq(kmsg.sightings, 10);
	ck_assert_uint_eq(kmsg_count(kmsg.sighting, kmsg.sightings, 0), 10);
	ck_assert_uint_eq(kmsg_count(kmsg.sighting, kmsg.sightings, 110), 5);
	ck_assert_uint_eq(kmsg_count(kmsg.sighting, kmsg.sightings, 120), 0);
	kmsg_done(&kmsg);
	(void)close(fd[0]);
	(void)close(fd[1]);
}
END_TEST

START_TEST(test_saturates)
{
	const struct kmsg_sighting s[] = { { 1, UINT64_MAX }, { 2, 5 } };

	ck_assert_uint_eq(kmsg_count(s, 2, 0), UINT64_MAX);
	ck_assert_uint_eq(kmsg_count(s, 2, 2), 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kmsg");
	TCase *tcase = unit_case(suite, "kmsg");

	tcase_add_loop_test(tcase, test_crashes, 0, (int)(sizeof(rows) / sizeof(*rows)));
	tcase_add_test(tcase, test_read);
	tcase_add_test(tcase, test_saturates);
	return unit_main(suite);
}
