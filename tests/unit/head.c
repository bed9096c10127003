/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A head that comes through a pipe: no more is waited for than is needed. */

#include "core/head.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/source.h"
#include "elfbuild.h"
#include "unit.h"

#define PIPE_BYTES (1 << 20)
#define REGISTERS_BYTES 11000 /* what vector registers come to */

/* As the kernel writes it: the first thread and the process, then the other threads. */
static struct elfbuild process(size_t threads)
{
	static const unsigned char registers[REGISTERS_BYTES];
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };
	unsigned char status[336] = { 0 };
	unsigned char files[] = { 1, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0,
				  0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				  '/', 'a', 0 };

	for (size_t i = 0; i < threads; i++) {
		elfbuild_put(&build, status + 32, 1000 + i, 4);
		elfbuild_note(&build, "CORE", NT_PRSTATUS, status, sizeof(status));
		if (i == 0)
			elfbuild_note(&build, "CORE", NT_FILE, files, sizeof(files));
		elfbuild_note(&build, "LINUX", NT_X86_XSTATE, registers, sizeof(registers));
	}
	elfbuild_load(&build, 0x400000, 4096, 4096);
	elfbuild_finish(&build);
	return build;
}

/* Both ends of a pipe that holds n bytes of it. */
static void fill_pipe(const struct elfbuild *build, size_t n, int fd[2])
{
	ck_assert_int_eq(pipe(fd), 0);
	(void)fcntl(fd[1], F_SETPIPE_SZ, PIPE_BYTES);
	ck_assert_int_eq(write(fd[1], build->bytes, n), (ssize_t)n);
}

static void check_threads(const struct elfcore *core, size_t threads)
{
	ck_assert_uint_eq(core->threads, threads);
	for (size_t i = 0; i < threads; i++) {
		ck_assert_int_eq(core->thread[i].tid, (int)(1000 + i));
		ck_assert_uint_eq(core->thread[i].prstatus_bytes, 336);
	}
}

static const struct {
	const char *claim;
	size_t threads;
	size_t front_at_most; /* bytes */
} processes[] = {
	{ "one thread: all in one read", 1, 20000 },
	{ "few threads: read whole", 5, 70000 },
	{ "17 threads", 17, 80000 },
	{ "70 threads: the first is enough to begin with", 70, 80000 },
};

START_TEST(test_front_and_rest)
{
	const char *claim = processes[_i].claim;
	struct elfbuild build = process(processes[_i].threads);
	struct head head = HEAD_NULL;
	struct elfcore core = ELFCORE_NULL;
	struct source source;
	int fd[2];

	fill_pipe(&build, build.n, fd);
	close(fd[1]);
	source_pipe(&source, fd[0]);
	claim_int_eq(claim, head_read_front(&head, &source, &core), 0);
	ck_assert_uint_le(head.used, processes[_i].front_at_most);
	claim_int_eq(claim, core.thread[0].tid, 1000);
	claim_str_eq(claim, core.mapping[0].path, "/a");
	head_top_up(&head, &source);
	claim_int_eq(claim, head.used >= head.size, true); /* all of it was in the pipe */
	claim_int_eq(claim, head_read_rest(&head, &source, &core), 0);
	claim_int_eq(claim, head_read_rest(&head, &source, &core), 0);
	check_threads(&core, processes[_i].threads);
	claim_int_eq(claim, core.mappings, 1);
	claim_int_eq(claim, core.head_bytes, build.head_bytes);
	ck_assert_mem_eq(head.bytes, build.bytes, build.head_bytes);
	elfcore_done(&core);
	head_done(&head);
	source_release(&source);
	elfbuild_done(&build);
}
END_TEST

START_TEST(test_nothing_is_waited_for)
{
	struct elfbuild build = process(70);
	struct head head = HEAD_NULL;
	struct elfcore core = ELFCORE_NULL;
	struct source source;
	size_t used;
	int fd[2];

	fill_pipe(&build, 100000, fd); /* and its other end stays open */
	source_pipe(&source, fd[0]);
	ck_assert_int_eq(head_read_front(&head, &source, &core), 0);
	head_top_up(&head, &source);
	ck_assert_uint_eq(head.used, 100000);
	head_top_up(&head, &source);
	ck_assert_uint_eq(head.used, 100000);
	used = build.n - head.used;
	ck_assert_int_eq(write(fd[1], build.bytes + head.used, used), (ssize_t)used);
	ck_assert_int_eq(head_read_rest(&head, &source, &core), 0);
	check_threads(&core, 70);
	elfcore_done(&core);
	head_done(&head);
	source_release(&source);
	close(fd[1]);
	elfbuild_done(&build);
}
END_TEST

static const struct {
	const char *claim;
	size_t threads;
	size_t there; /* bytes */
	int front, rest;
	size_t threads_there;
} cuts[] = {
	{ "nothing", 2, 0, ELFCORE_E_SHORT, 0, 0 },
	{ "a file header", 2, 64, ELFCORE_E_SHORT, 0, 0 },
	{ "headers", 2, 64 + 2 * 56, 0, ELFCORE_E_SHORT, 0 },
	{ "one thread", 2, 11800, 0, ELFCORE_E_SHORT, 1 },
	{ "headers of many", 70, 64 + 2 * 56, 0, ELFCORE_E_SHORT, 0 },
	{ "one of many", 70, 11000, 0, ELFCORE_E_SHORT, 1 },
	{ "ten of many, and a half", 70, 64 + 2 * 56 + 11376 * 10 + 5000, 0, ELFCORE_E_SHORT, 11 },
};

START_TEST(test_cut)
{
	const char *claim = cuts[_i].claim;
	struct elfbuild build = process(cuts[_i].threads);
	struct head head = HEAD_NULL;
	struct elfcore core = ELFCORE_NULL;
	struct source source;
	int fd[2];

	fill_pipe(&build, cuts[_i].there, fd);
	close(fd[1]);
	source_pipe(&source, fd[0]);
	claim_int_eq(claim, head_read_front(&head, &source, &core), cuts[_i].front);
	if (cuts[_i].front == 0)
		claim_int_eq(claim, head_read_rest(&head, &source, &core), cuts[_i].rest);
	claim_int_eq(claim, head.used, cuts[_i].there);
	check_threads(&core, cuts[_i].threads_there);
	elfcore_done(&core);
	head_done(&head);
	source_release(&source);
	elfbuild_done(&build);
}
END_TEST

/* A FIFO that one writer has left may find another: what he writes must have room. */
START_TEST(test_a_second_writer)
{
	struct elfbuild build = process(70);
	struct head head = HEAD_NULL;
	struct elfcore core = ELFCORE_NULL;
	int dir_fd = unit_dir(), reader, writer;
	const size_t first = 64 + 2 * 56;
	struct source source;

	ck_assert_int_eq(mkfifoat(dir_fd, "fifo", 0600), 0);
	reader = openat(dir_fd, "fifo", O_RDONLY | O_NONBLOCK);
	writer = openat(dir_fd, "fifo", O_WRONLY);
	(void)fcntl(reader, F_SETPIPE_SZ, PIPE_BYTES);
	source_pipe(&source, reader);
	ck_assert_int_eq(write(writer, build.bytes, first), (ssize_t)first);
	close(writer);
	ck_assert_int_eq(head_read_front(&head, &source, &core), 0);
	ck_assert_uint_eq(core.threads, 0);
	ck_assert_uint_ge(head.room, head.size);
	writer = openat(dir_fd, "fifo", O_WRONLY);
	ck_assert_int_eq(write(writer, build.bytes + first, build.n - first),
			 (ssize_t)(build.n - first));
	ck_assert_int_eq(head_read_rest(&head, &source, &core), 0);
	check_threads(&core, 70);
	close(writer);
	elfcore_done(&core);
	head_done(&head);
	source_release(&source);
	elfbuild_done(&build);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("head");
	TCase *tcase = unit_case(suite, "pipe");

	tcase_add_loop_test(tcase, test_front_and_rest, 0, ROWS(processes));
	tcase_add_test(tcase, test_nothing_is_waited_for);
	tcase_add_loop_test(tcase, test_cut, 0, ROWS(cuts));
	tcase_add_test(tcase, test_a_second_writer);
	return unit_main(suite);
}
