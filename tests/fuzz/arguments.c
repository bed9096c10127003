/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The command line of `handle`: words with a NUL between. The kernel fills them in, but a
 * pattern written by hand or an unknown specifier can make anything of it. */

#include "cmd/handle.c"
#include "fuzz.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	struct invocation in = { .request = REQUEST_NULL };
	char *argv[WORDS_MAX + 2] = { (char *)"handle" };
	struct cmd cmd = { .command = &cmd_handle, .argv = argv, .argc = 1 };

	fuzz_quiet();
	for (size_t at = 0; at < size && cmd.argc <= WORDS_MAX; at += strlen(text + at) + 1)
		argv[cmd.argc++] = text + at;
	optind = 0; /* getopt begins again */
	if (parse_arguments(&cmd, &in) != CMD_DONE)
		return 0;
	must_hold(in.request.pid > 0 && in.request.pid <= INT32_MAX);
	must_hold(in.request.pidfd >= -1 && in.request.time_ns >= 0);
	must_hold(in.request.signal >= 0 && in.request.signal <= 255);
	return 0;
}
