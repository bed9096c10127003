/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Two bugs that differ only behind what the C library keeps on the stack: printing to an
 * unbuffered stream takes 8 KiB of it. And two that differ only in the pointer called.
 *
 *   behind request|reply|null|garbage
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static void log_request(const char *name)
{
	(void)fprintf(stderr, "request from %s\n", name);
}

__attribute__((noinline)) static void log_reply(const char *name)
{
	(void)fprintf(stderr, "reply to %s\n", name);
}

static void call(unsigned long address)
{
	((void (*)(void))address)();
}

int main(int argc, char **argv)
{
	const char *volatile nobody = (const char *)16;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "null") == 0)
		call(0);
	if (strcmp(argv[1], "garbage") == 0)
		call(12345000);
	(strcmp(argv[1], "request") == 0 ? log_request : log_reply)(nobody);
	return EXIT_SUCCESS;
}
