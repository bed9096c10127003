/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A recursion that no stack is deep enough for, and a handler with a stack of its own that
 * passes the fault on: handled WAY [thread]. It may hit the end in any of its functions,
 * and in what they call.
 */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *way = "";
static volatile int sink;

static int parse(int depth);

__attribute__((noinline)) static int value(int depth)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%d %s", depth, way);
	sink += text[0];
	return parse(depth + 1) + sink;
}

__attribute__((noinline)) static int list(int depth)
{
	char text[200];

	memset(text, depth, sizeof(text));
	sink += text[depth % 200];
	return value(depth + 1) + sink;
}

__attribute__((noinline)) static int parse(int depth)
{
	return list(depth + 1) + sink;
}

static void handler(int number)
{
	if (strcmp(way, "abort") == 0)
		abort();
	(void)signal(number, SIG_DFL);
	/* Where it is blocked it comes when the handler is left. */
	if (strcmp(way, "raise") == 0 || strcmp(way, "unblocked") == 0)
		(void)raise(number);
	/* else the instruction is tried again */
}

static void *run(void *unused)
{
	stack_t stack = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

	if (strcmp(way, "unblocked") == 0)
		action.sa_flags |= SA_NODEFER;
	(void)sigaltstack(&stack, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
	(void)sigaction(SIGBUS, &action, NULL);
	sink = parse(0);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc > 1)
		way = argv[1];
	if (argc < 3)
		(void)run(NULL);
	else if (pthread_create(&thread, NULL, run, NULL) == 0)
		(void)pthread_join(thread, NULL);
	return sink;
}
