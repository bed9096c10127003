/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A core_pattern handler that only unwinds: reads the head from the pipe, opens
 * /proc/PID/mem and the executable mappings through map_files, asks, and writes down what
 * it got and how long the victim was held for it.
 *
 *   |livehandler PROGRAM DIRECTORY PID
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/elfcore.h"
#include "core/stacktop.h"
#include "io/clock.h"
#include "io/process.h"
#include "unwind/client.h"
#include "unwind/protocol.h"
#include "unwind/sign.h"

static struct client_module module[PROTOCOL_MODULES_MAX];

static unsigned char *read_head(size_t *ret_bytes)
{
	uint64_t needed = sizeof(Elf64_Ehdr);
	unsigned char *head = NULL;
	size_t have = 0;

	for (;;) {
		head = realloc(head, needed);
		while (have < needed) {
			ssize_t n = read(0, head + have, needed - have);

			if (n <= 0)
				return NULL;
			have += (size_t)n;
		}
		if (elfcore_head_size(head, have, &needed) != 0)
			return NULL;
		if (needed <= have) {
			*ret_bytes = have;
			return head;
		}
	}
}

/* The first mapping of each file that has code: the name is the mapping's, not the file's. */
static size_t open_modules(const char *proc, const struct elfcore *core)
{
	size_t n = 0;

	for (size_t i = 0; i < core->mappings && n < PROTOCOL_MODULES_MAX; i++) {
		char path[96];
		int fd;

		if (core->mapping[i].file_offset != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/map_files/%lx-%lx", proc,
			       (unsigned long)core->mapping[i].start,
			       (unsigned long)core->mapping[i].end);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			module[n++] =
				(struct client_module){ fd, core->mapping[i].start };
	}
	return n;
}

static uint64_t cheap(const struct elfcore *core, int mem_fd)
{
	unsigned char stack[STACKTOP_BYTES];
	struct cheaphash_crash crash;
	uint64_t address;
	ssize_t n;

	if (stacktop_range(core, &address) != 0)
		return 0;
	n = pread(mem_fd, stack, sizeof(stack), (off_t)address);
	return stacktop_look(core, stack, n > 0 ? (size_t)n : 0, &crash) == 0
		       ? cheaphash(&crash)
		       : 0;
}

int main(int argc, char **argv)
{
	char proc[32], path[256], text[24];
	struct client_request request = { .live = true, .threads = 1, .modules = module };
	struct elfcore core;
	json_t *answer = NULL, *out;
	struct signature s;
	unsigned char *head;
	size_t head_bytes;
	int64_t began;
	FILE *file;
	int r;

	(void)process_repair_stdio();
	(void)process_undumpable();
	if (argc != 4)
		return 2;
	(void)snprintf(proc, sizeof(proc), "/proc/%.10s", argv[3]);
	(void)snprintf(path, sizeof(path), "%s/mem", proc);
	request.program = argv[1];
	request.memory_fd = open(path, O_RDONLY | O_CLOEXEC);
	head = read_head(&head_bytes);
	if (!head || request.memory_fd < 0 || elfcore_parse(head, head_bytes, &core) != 0)
		return 1;
	began = clock_monotonic_ms();
	request.head_fd = client_memfd(head, head_bytes);
	request.modules_n = open_modules(proc, &core);
	r = client_unwind(&request, &answer);
	out = json_pack("{s:s, s:I, s:i}", "result", client_strerror(r), "ms",
			(json_int_t)(clock_monotonic_ms() - began), "modules",
			(int)request.modules_n);
	(void)snprintf(text, sizeof(text), "%016llx",
		       (unsigned long long)cheap(&core, request.memory_fd));
	(void)json_object_set_new(out, "cheap", json_string(text));
	(void)close(0);
	if (answer) {
		sign_answer(answer, NULL, &s);
		(void)json_object_set_new(out, "signature", sign_to_json(&s));
		(void)json_object_set_new(out, "answer", answer);
	}
	(void)snprintf(path, sizeof(path), "%s/%.10s.json", argv[2], argv[3]);
	file = fopen(path, "we");
	if (file) {
		(void)json_dumpf(out, file, JSON_COMPACT);
		(void)fclose(file);
	}
	json_decref(out);
	elfcore_done(&core);
	free(head);
	return 0;
}
