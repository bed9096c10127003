/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Cores that a hostile process shaped: cut anywhere, sizes beyond all bounds, tables and
 * stacks that lead in circles, bytes changed by chance. The program may refuse or answer,
 * but it must end by itself, in time, and not by a signal: neither a crash of its own nor
 * its filter, which would mean that the input made it try something.
 *
 *   hostile [--every=N] [--random=N] PROGRAM CORE
 *
 * Prints its seed and takes it back from COREFOLD_TEST_SEED.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/elfcore.h"
#include "core/registers.h"
#include "io/clock.h"
#include "unwind/protocol.h"

#define TIME_MS 2000
#define SLACK_MS 1500

static const char *program;
static unsigned char *whole; /* the core */
static size_t whole_bytes;
static struct elfcore core;
static unsigned char *copy; /* the mutated one, shared with the memfd */
static int copy_fd;
static uint64_t seed;
static unsigned int runs, answered, refused, failures;
static int64_t longest_ms;

static uint64_t next_random(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void become(int head_fd, int memory_fd)
{
	char time[32];
	char *argv[] = { (char *)"corefold-unwind", (char *)"--memory=core", time, NULL };
	/* for a sanitizer's build: what it finds is neither 0 nor 1 */
	char *environment[] = { (char *)"ASAN_OPTIONS=detect_leaks=0:exitcode=77",
				(char *)"UBSAN_OPTIONS=halt_on_error=1:exitcode=78",
				NULL };
	int null = open("/dev/null", O_RDWR);
	int head = fcntl(head_fd, F_DUPFD, 20), memory = fcntl(memory_fd, F_DUPFD, 20);

	(void)snprintf(time, sizeof(time), "--time=%d", TIME_MS);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    dup2(head, PROTOCOL_HEAD_FD) < 0 || dup2(memory, PROTOCOL_MEMORY_FD) < 0)
		_exit(99);
	(void)execve(program, argv, environment);
	_exit(98);
}

static void run(const char *what, uint64_t which, int head_fd, int memory_fd)
{
	int64_t began = clock_monotonic_ms(), took;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		become(head_fd, memory_fd);
	(void)waitpid(pid, &status, 0);
	took = clock_monotonic_ms() - began;
	runs++;
	if (took > longest_ms)
		longest_ms = took;
	answered += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	refused += WIFEXITED(status) && WEXITSTATUS(status) == 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= 1 && took < TIME_MS + SLACK_MS)
		return;
	failures++;
	(void)printf("%s %" PRIu64 ": status 0x%x after %" PRId64 " ms\n", what, which,
		     (unsigned int)status, took);
}

static void reset(void)
{
	memcpy(copy, whole, whole_bytes);
}

static int memfd_of(const void *bytes, size_t n)
{
	int fd = memfd_create("head", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		abort();
	return fd;
}

static void run_cut(size_t n)
{
	int fd = memfd_of(whole, n);

	run("cut at", n, fd, copy_fd);
	run("all cut at", n, fd, fd);
	(void)close(fd);
}

static void test_cuts(unsigned int every)
{
	for (size_t n = 0; n < core.head_bytes; n += every)
		run_cut(n);
}

/* Words that are sizes, counts, addresses: what a hostile process would choose. */
static uint64_t evil(void)
{
	static const uint64_t value[] = { 0,
					  1,
					  0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  1ULL << 63,
					  UINT64_MAX,
					  UINT64_MAX - 4095,
					  (1ULL << 63) - 1,
					  0x7ffffffff000 };

	return next_random() % 3 == 0 ? next_random() : value[next_random() % 10];
}

static void put(size_t at, uint64_t value, size_t bytes)
{
	if (at + bytes <= whole_bytes)
		memcpy(copy + at, &value, bytes);
}

static void test_random_heads(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int changes = 1 + (unsigned int)(next_random() % 8);

		reset();
		while (changes-- > 0)
			put(next_random() % core.head_bytes, evil(),
			    1u << (next_random() % 4));
		run("random head", i, copy_fd, copy_fd);
	}
}

static const struct elfcore_segment *random_segment(void)
{
	for (;;) {
		const struct elfcore_segment *s =
			&core.segment[next_random() % core.segments];

		if (s->type == PT_LOAD && s->file_bytes > 0)
			return s;
	}
}

/* The first kilobytes of a segment hold headers, tables, symbols. */
static void test_random_memory(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int changes = 1 + (unsigned int)(next_random() % 2000);

		reset();
		while (changes-- > 0) {
			const struct elfcore_segment *s = random_segment();
			uint64_t span = next_random() % 2 ? s->file_bytes : 0x2000;

			if (span > s->file_bytes)
				span = s->file_bytes;
			put(s->offset + next_random() % span, evil(),
			    1u << (next_random() % 4));
		}
		run("random memory", i, copy_fd, copy_fd);
	}
}

static void test_segments(void)
{
	Elf64_Phdr phdr;

	for (size_t i = 0; i < core.segments; i++) {
		for (unsigned int which = 0; which < 4; which++) {
			size_t at = sizeof(Elf64_Ehdr) + i * sizeof(phdr);

			reset();
			memcpy(&phdr, copy + at, sizeof(phdr));
			phdr.p_memsz = which == 0 ? 1ULL << 63 : phdr.p_memsz;
			phdr.p_filesz = which == 1 ? 1ULL << 63 : phdr.p_filesz;
			phdr.p_vaddr = which == 2 ? UINT64_MAX - 100 : phdr.p_vaddr;
			phdr.p_offset = which == 3 ? UINT64_MAX - 100 : phdr.p_offset;
			memcpy(copy + at, &phdr, sizeof(phdr));
			run("segment", i * 4 + which, copy_fd, copy_fd);
		}
	}
}

/* Replaces a pattern wherever it is. */
static unsigned int replace(const void *from, const void *to, size_t n)
{
	unsigned int found = 0;
	unsigned char *p = copy + core.head_bytes, *end = copy + whole_bytes;

	while ((p = memmem(p, (size_t)(end - p), from, n))) {
		memcpy(p, to, n);
		p += n;
		found++;
	}
	return found;
}

/* Every CIE's rule for the frame becomes an expression that jumps to itself. */
static void test_endless_rows(void)
{
	reset();
	(void)printf("%u rows made endless\n",
		     replace("\x0c\x07\x08\x90\x01", "\x0f\x03\x2f\xfd\xff", 5));
	run("endless rows", 0, copy_fd, copy_fd);
	reset();
	/* the frame is where the stack pointer is: no row ever gets away from it */
	(void)replace("\x0c\x07\x08\x90\x01", "\x0c\x07\x00\x90\x00", 5);
	run("rows that stay", 0, copy_fd, copy_fd);
}

/* The stack full of frames that lead back to its beginning, or one to the next. */
static void test_cyclic_stacks(void)
{
	const struct elfcore_segment *stack = NULL;
	struct registers r;

	if (registers_read(&core, &core.thread[0], &r) != 0)
		return;
	for (size_t i = 0; i < core.segments; i++)
		if (registers_sp(&r) - core.segment[i].vaddr < core.segment[i].file_bytes)
			stack = &core.segment[i];
	for (unsigned int which = 0; stack && which < 4; which++) {
		reset();
		for (uint64_t at = 0; at + 16 <= stack->file_bytes; at += 16) {
			uint64_t to = which == 0   ? registers_sp(&r)
				      : which == 1 ? stack->vaddr + at + 16
				      : which == 2 ? stack->vaddr + at
						   : registers_pc(&r);

			put(stack->offset + at, to, 8);
			put(stack->offset + at + 8, registers_pc(&r), 8);
		}
		run("cyclic stack", which, copy_fd, copy_fd);
	}
}

static bool load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	whole_bytes = (size_t)st.st_size;
	whole = mmap(NULL, whole_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	copy_fd = memfd_create("core", MFD_CLOEXEC);
	if (whole == MAP_FAILED || copy_fd < 0 || ftruncate(copy_fd, st.st_size) < 0)
		return false;
	copy = mmap(NULL, whole_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, copy_fd, 0);
	(void)close(fd);
	if (copy == MAP_FAILED)
		return false;
	reset();
	return elfcore_parse(whole, whole_bytes, &core) == 0;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "every", required_argument, NULL, 'e' },
		{ "random", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned int every = 1, randoms = 1000;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'e')
			every = (unsigned int)atoi(optarg);
		else if (option == 'r')
			randoms = (unsigned int)atoi(optarg);
		else
			return 2;
	}
	if (argc - optind != 2 || every == 0 || !load(argv[optind + 1]))
		return 2;
	program = argv[optind];
	if (getenv("COREFOLD_TEST_SEED"))
		seed = strtoull(getenv("COREFOLD_TEST_SEED"), NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) < 0)
		return 2;
	(void)printf("COREFOLD_TEST_SEED=%" PRIu64 "\n", seed);
	(void)fflush(stdout);
	test_cuts(every);
	test_segments();
	test_endless_rows();
	test_cyclic_stacks();
	test_random_heads(randoms);
	test_random_memory(randoms);
	(void)printf(
		"%u runs: %u answered, %u refused, %u wrong; the longest took %" PRId64
		" ms\n",
		runs, answered, refused, failures, longest_ms);
	return failures == 0 ? 0 : 1;
}
