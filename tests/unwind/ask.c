/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Asks corefold-unwind about a core, through the client as the handler does, and prints
 * {"result", "ms", "answer", "signature", "cheap"}. Unlike the handler it may open the
 * modules by the names in the core: the cores of the tests are our own.
 *
 *   ask [--modules] [--debug] [--threads=N] [--time=MS] [--executable=NAME] PROGRAM CORE
 */

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/corefile.h"
#include "core/stacktop.h"
#include "io/clock.h"
#include "unwind/client.h"
#include "unwind/protocol.h"
#include "unwind/sign.h"

static struct client_module module[PROTOCOL_MODULES_MAX];

static size_t open_modules(const struct elfcore *core)
{
	size_t n = 0;

	for (size_t i = 0; i < core->mappings && n < PROTOCOL_MODULES_MAX; i++) {
		int fd;

		if (core->mapping[i].file_offset != 0)
			continue;
		fd = open(core->mapping[i].path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			module[n++] =
				(struct client_module){ fd, core->mapping[i].start };
	}
	return n;
}

/* Debug files of the modules that a first answer named, where the distribution puts them. */
static size_t open_debug(const json_t *answer, size_t n)
{
	const json_t *m;
	size_t i;

	json_array_foreach(json_object_get(answer, "modules"), i, m)
	{
		const char *id = json_string_value(json_object_get(m, "build_id"));
		char path[256];
		int fd;

		if (!id || strlen(id) < 3 || n == PROTOCOL_MODULES_MAX)
			continue;
		(void)snprintf(path, sizeof(path),
			       "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			module[n++] = (struct client_module){
				fd,
				strtoull(json_string_value(json_object_get(m, "start")),
					 NULL, 16),
			};
	}
	return n;
}

static uint64_t cheap(struct corefile *file, const struct elfcore *core)
{
	unsigned char stack[STACKTOP_BYTES];
	struct cheaphash_crash crash;
	uint64_t address;
	size_t n = 0;

	if (stacktop_range(core, &address) != 0)
		return 0;
	while (n < sizeof(stack) && corefile_memory(file, address + n, stack + n, 8) == 0)
		n += 8;
	return stacktop_look(core, stack, n, &crash) == 0 ? cheaphash(&crash) : 0;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "modules", no_argument, NULL, 'm' },
		{ "debug", no_argument, NULL, 'g' },
		{ "threads", required_argument, NULL, 't' },
		{ "time", required_argument, NULL, 'd' },
		{ "executable", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	struct client_request request = { 0 };
	const struct elfcore *core;
	struct corefile *file;
	struct signature s;
	const char *executable = NULL;
	json_t *answer = NULL, *out;
	bool modules = false, debug = false;
	char text[24];
	const void *head;
	size_t head_bytes;
	int64_t began;
	int option, r;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'm')
			modules = true;
		else if (option == 'g')
			debug = true;
		else if (option == 't')
			request.threads = (unsigned int)atoi(optarg);
		else if (option == 'e')
			executable = optarg;
		else if (option == 'd')
			request.time_ms = (unsigned int)atoi(optarg);
		else
			return 2;
	}
	if (argc - optind != 2)
		return 2;
	request.program = argv[optind];
	request.memory_fd = open(argv[optind + 1], O_RDONLY | O_CLOEXEC);
	r = corefile_open(fcntl(request.memory_fd, F_DUPFD_CLOEXEC, 3), &file);
	if (r == 0)
		r = corefile_head(file, &core, &head, &head_bytes);
	if (r != 0) {
		(void)printf("{\"result\": \"no core\"}\n");
		return 0;
	}
	request.head_fd = client_memfd(head, head_bytes);
	if (modules) {
		request.modules_n = open_modules(core);
		request.modules = module;
	}
	if (debug && client_unwind(&request, &answer) == 0) {
		request.modules_n = open_debug(answer, request.modules_n);
		request.modules = module;
		json_decref(answer);
		answer = NULL;
	}
	began = clock_monotonic_ms();
	r = client_unwind(&request, &answer);
	out = json_pack("{s:s, s:I}", "result", client_strerror(r), "ms",
			(json_int_t)(clock_monotonic_ms() - began));
	if (answer) {
		sign_answer(answer, executable, &s);
		(void)json_object_set_new(out, "signature", sign_to_json(&s));
		(void)json_object_set_new(out, "answer", answer);
	}
	(void)snprintf(text, sizeof(text), "%016" PRIx64, cheap(file, core));
	(void)json_object_set_new(out, "cheap", json_string(text));
	(void)json_dumpf(out, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(out);
	corefile_free(file);
	return 0;
}
