/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * How long is a process that crashes held: from the crash until its parent has reaped it.
 *
 *   crashtime [-m MIB] [-t TIMES] [-f FRAMES]
 *
 * Prints nanoseconds, one crash a line. The process has so many MiB resident. With -f it
 * crashes below so many frames, which are always the same, and leaves code addresses at the
 * top of the stack, which are not: each looks new and is not.
 */

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The addresses lie below the return addresses, where a look at the stack begins. */
static __attribute__((noinline)) int descend(unsigned long frames, uintptr_t code)
{
	volatile uintptr_t top[8];

	for (size_t i = 0; i < sizeof(top) / sizeof(*top); i++)
		top[i] = code + i;
	if (frames > 0)
		return descend(frames - 1, code) + (int)top[0];
	return kill(getpid(), SIGABRT);
}

static void crash(size_t mib, unsigned long frames, volatile int64_t *crashed_at_ns)
{
	const struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	size_t bytes = mib << 20;
	char *memory = NULL;

	(void)setrlimit(RLIMIT_CORE, &core);
	if (bytes > 0) {
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (memory == MAP_FAILED)
			_exit(1);
		memset(memory, 0x5a, bytes);
	}
	*crashed_at_ns = now_ns();
	if (frames > 0)
		(void)descend(frames, (uintptr_t)&descend + (uintptr_t)now_ns() % 2048);
	abort();
}

static int64_t measure(size_t mib, unsigned long frames, volatile int64_t *crashed_at_ns)
{
	int64_t reaped_at_ns;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		crash(mib, frames, crashed_at_ns);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	reaped_at_ns = now_ns();
	return WIFSIGNALED(status) ? reaped_at_ns - *crashed_at_ns : -1;
}

int main(int argc, char **argv)
{
	unsigned long mib = 0, times = 1, frames = 0;
	volatile int64_t *shared;
	int letter;

	while ((letter = getopt(argc, argv, "m:t:f:")) > 0) {
		if (letter == 'm')
			mib = strtoul(optarg, NULL, 10);
		else if (letter == 't')
			times = strtoul(optarg, NULL, 10);
		else if (letter == 'f')
			frames = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	for (unsigned long i = 0; i < times; i++) {
		int64_t ns = measure(mib, frames, shared);

		if (ns < 0)
			return 1;
		(void)printf("%lld\n", (long long)ns);
		(void)fflush(stdout);
	}
	return 0;
}
