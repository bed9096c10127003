/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Two bugs behind the same part of the C library. Compiled by the test that wants it. */

#include <assert.h>
#include <string.h>

static int number;

__attribute__((noinline)) static void request(void)
{
	assert(number == 77);
	number++;
}

__attribute__((noinline)) static void reply(void)
{
	assert(number == 88);
	number++;
}

int main(int argc, char **argv)
{
	number = argc;
	if (argc > 1 && strcmp(argv[1], "request") == 0)
		request();
	reply();
	return number;
}
