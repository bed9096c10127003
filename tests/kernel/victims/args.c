/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A process with as large a command line as the kernel takes, or with none, or with a name
 * of the thread that is empty; crashes as such.
 *
 *   args full|none|nameless
 */

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define ONE_BYTES (128 * 1024 - 1) /* the longest single argument */

static void run_full(void)
{
	struct rlimit stack = { 64 << 20, RLIM_INFINITY };
	static char name[] = "args-full", word[] = "crash", *argv[64];
	int n = 60;

	(void)setrlimit(RLIMIT_STACK, &stack); /* a quarter of it may be arguments */
	argv[0] = name;
	argv[1] = word;
	for (int i = 2; i < n; i++) {
		argv[i] = malloc(ONE_BYTES + 1);
		memset(argv[i], 'a' + i % 26, ONE_BYTES);
		argv[i][ONE_BYTES] = '\0';
	}
	for (; n > 2; n--) {
		argv[n] = NULL;
		(void)execv("/proc/self/exe", argv);
	}
	_exit(1);
}

int main(int argc, char **argv)
{
	static char *none[] = { NULL };

	if (argc <= 1 || strcmp(argv[1], "crash") == 0)
		abort(); /* Linux 5.18 makes one empty argument of none */
	if (strcmp(argv[1], "full") == 0)
		run_full();
	if (strcmp(argv[1], "none") == 0)
		(void)execv("/proc/self/exe", none);
	if (strcmp(argv[1], "nameless") == 0) {
		(void)prctl(PR_SET_NAME, "");
		abort();
	}
	return 1;
}
