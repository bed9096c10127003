/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Dies in the way its first argument says. Compiled in many ways: see cores. */

#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone, noipa))

volatile int sink;
static int number;

NOINLINE static void write_to(volatile int *p)
{
	*p = 1;
}

NOINLINE static void middle(volatile int *p, int n)
{
	char buffer[64];

	memset(buffer, n, sizeof(buffer));
	write_to(p);
	sink = buffer[3];
}

NOINLINE void outer(int n)
{
	middle(NULL, n);
	sink++;
}

NOINLINE static void two_bugs(int which)
{
	if (which)
		*(volatile int *)8 = 1;
	*(volatile char *)16 = 2;
}

NOINLINE static int recurse(int depth)
{
	if (depth == 0)
		outer(1);
	return recurse(depth - 1) + sink;
}

NOINLINE static int pong(int depth);

NOINLINE static int ping(int depth)
{
	return pong(depth + 1) + sink;
}

NOINLINE static int pong(int depth)
{
	char room[200];

	room[depth % 200] = 1;
	return ping(depth + room[0]) + sink;
}

NOINLINE static void call(void (*function)(void))
{
	function();
	sink++;
}

static int compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	outer(2);
	return 0;
}

static void *overflow_thread(void *unused)
{
	(void)unused;
	sink = ping(0);
	return NULL;
}

static void *crash_thread(void *unused)
{
	(void)unused;
	outer(3);
	return NULL;
}

static void *wait_thread(void *unused)
{
	(void)unused;
	for (;;)
		(void)pause();
	return NULL;
}

static void on_fault_crash(int signal)
{
	(void)signal;
	outer(4);
}

static void on_fault_again(int signal)
{
	(void)signal;
	(void)write(2, "fault\n", 6);
	(void)raise(SIGABRT);
}

static void handle(int number_of_signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	(void)sigaction(number_of_signal, &action, NULL);
}

static void use_alternate_stack(void)
{
	stack_t stack = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };

	(void)sigaltstack(&stack, NULL);
}

static void run_thread(void *(*function)(void *))
{
	pthread_t thread;

	(void)pthread_create(&thread, NULL, function, NULL);
	(void)pthread_join(thread, NULL);
}

static void many_threads(int n)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, 1 << 16);
	for (int i = 0; i < n; i++)
		(void)pthread_create(&thread, &attributes, wait_thread, NULL);
	(void)usleep(300000);
	outer(5);
}

/* Overwrites its own frame and everything above it. */
NOINLINE static void smash(int n)
{
	volatile long *p = (volatile long *)__builtin_frame_address(0);

	for (int i = 0; i < n; i++)
		p[i] = 0x4141414141414141;
}

NOINLINE static void double_free(void)
{
	void *volatile p = malloc(24);

	free(p);
	free(p);
}

NOINLINE static void vfork_child(void)
{
	if (vfork() == 0)
		outer(6);
	(void)wait(NULL);
}

static void *volatile executable_page;

NOINLINE static void in_generated_code(void)
{
	/* push %rbp; mov %rsp,%rbp; mov 0,%eax: like a JIT compiler's */
	static const unsigned char code[] = { 0x55, 0x48, 0x89, 0xe5, 0x8b, 0x04, 0x25,
					      0x00, 0x00, 0x00, 0x00, 0x5d, 0xc3 };

	executable_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(executable_page, code, sizeof(code));
	call((void (*)(void))executable_page);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	volatile int zero = 0;

	number = argc > 2 ? atoi(argv[2]) : 0;
	(void)alarm(30);
	if (strcmp(how, "segv") == 0) {
		outer(0);
	} else if (strcmp(how, "bug1") == 0) {
		two_bugs(1);
	} else if (strcmp(how, "bug2") == 0) {
		two_bugs(0);
	} else if (strcmp(how, "abort") == 0) {
		abort();
	} else if (strcmp(how, "assert") == 0) {
		assert(number == 77);
	} else if (strcmp(how, "doublefree") == 0) {
		double_free();
	} else if (strcmp(how, "fpe") == 0) {
		sink = number / zero;
	} else if (strcmp(how, "strlen") == 0) {
		sink = (int)strlen((char *)(uintptr_t)zero);
	} else if (strcmp(how, "qsort") == 0) {
		qsort(argv, 2, sizeof(*argv), compare);
	} else if (strcmp(how, "overflow") == 0) {
		sink = ping(0);
	} else if (strcmp(how, "overflow-thread") == 0) {
		run_thread(overflow_thread);
	} else if (strcmp(how, "overflow-altstack") == 0) {
		use_alternate_stack();
		handle(SIGSEGV, on_fault_again, SA_ONSTACK);
		sink = ping(0);
	} else if (strcmp(how, "deep") == 0) {
		sink = recurse(number);
	} else if (strcmp(how, "thread") == 0) {
		run_thread(crash_thread);
	} else if (strcmp(how, "threads") == 0) {
		many_threads(number);
	} else if (strcmp(how, "in-handler") == 0) {
		handle(SIGUSR1, on_fault_crash, 0);
		(void)raise(SIGUSR1);
	} else if (strcmp(how, "altstack") == 0) {
		use_alternate_stack();
		handle(SIGSEGV, on_fault_again, SA_ONSTACK);
		outer(7);
	} else if (strcmp(how, "nullcall") == 0) {
		call(NULL);
	} else if (strcmp(how, "badjump") == 0) {
		call((void (*)(void))0x123456789abcUL);
	} else if (strcmp(how, "datacall") == 0) {
		call((void (*)(void))(uintptr_t)&sink);
	} else if (strcmp(how, "wild") == 0) {
		sink = *(volatile int *)0x4141414141414141UL; /* no address the processor takes */
	} else if (strcmp(how, "generated") == 0) {
		in_generated_code();
	} else if (strcmp(how, "smash") == 0) {
		smash(40);
	} else if (strcmp(how, "vfork") == 0) {
		vfork_child();
	} else if (strcmp(how, "kill") == 0) {
		if (fork() == 0) {
			(void)usleep(100000);
			(void)kill(getppid(), SIGABRT);
			_exit(0);
		}
		for (;;)
			(void)pause();
	}
	return 1;
}
