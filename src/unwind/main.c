/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * corefold-unwind: names the frames of a crash. MUST:
 *
 *  1. enter the sandbox before it reads from any descriptor
 *  2. open nothing, whatever the input names (its own descriptors, before the sandbox,
 *     where they only name a file: that may take for ever, so nobody else can do it)
 *  3. bound every loop that the input steers
 *  4. answer whole or not at all
 *
 * Descriptors and options: protocol.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/codec.h"
#include "core/corefile.h"
#include "core/member.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/dir.h"
#include "policy/units.h"
#include "unwind/answer.h"
#include "unwind/protocol.h"
#include "unwind/sandbox.h"

struct options {
	bool live;
	uint64_t threads;
	uint64_t time_ms;
	uint64_t module_start[PROTOCOL_MODULES_MAX];
	size_t modules;
};

static int take_module(const char *text, struct options *options)
{
	char *end;

	if (options->modules == PROTOCOL_MODULES_MAX)
		return -E2BIG;
	errno = 0;
	options->module_start[options->modules++] = strtoull(text, &end, 16);
	return errno != 0 || end == text || *end != '\0' ? -EINVAL : 0;
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "memory", required_argument, NULL, 'm' },
		{ "threads", required_argument, NULL, 't' },
		{ "time", required_argument, NULL, 'd' },
		{ "module", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	int option, r = 0;

	while (r == 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'm')
			options->live = strcmp(optarg, "live") == 0;
		else if (option == 't')
			r = units_parse_number(optarg, UINT32_MAX, &options->threads);
		else if (option == 'd')
			r = units_parse_number(optarg, PROTOCOL_TIME_MAX_MS,
					       &options->time_ms);
		else if (option == 'f')
			r = take_module(optarg, options);
		else
			r = -EINVAL;
	}
	return optind == argc ? r : -EINVAL;
}

/* The crash as this program sees it. */
struct crash {
	struct corefile *head;
	struct corefile *stored; /* not live: where memory is */
	const struct elfcore *core;
	struct memory *memory;
	struct space space;
	struct modules modules;
	struct rows *rows;
};

static void crash_done(struct crash *crash)
{
	rows_free(crash->rows);
	modules_done(&crash->modules);
	space_done(&crash->space);
	memory_free(crash->memory);
	corefile_free(crash->stored);
	corefile_free(crash->head);
}

/*
 * A core, plain or in our members. Any other gzip would be unpacked into a file, and here
 * no file is opened: who starts us does that before.
 */
static int open_core(int fd, struct corefile **ret_core)
{
	unsigned char header[MEMBER_HEADER];
	struct member_size size;
	struct stat st;
	ssize_t n = pread(fd, header, sizeof(header), 0);
	int r;

	if (n < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = member_read_size(header, (size_t)n, &size);
	if (r != 0 && r != MEMBER_E_NOT_GZIP)
		return r;
	if (r == 0 && (off_t)size.stored_bytes > st.st_size)
		return MEMBER_E_DAMAGED;
	return corefile_open(fd, ret_core);
}

static int read_head(struct crash *crash)
{
	const void *bytes;
	size_t n;
	int r;

	r = open_core(PROTOCOL_HEAD_FD, &crash->head);
	if (r == 0)
		r = corefile_head(crash->head, &crash->core, &bytes, &n);
	return r;
}

static int open_memory(struct crash *crash, bool live)
{
	const struct elfcore *core;
	const void *bytes;
	size_t n;
	int r;

	if (live)
		return memory_new_live(PROTOCOL_MEMORY_FD, &crash->memory);
	r = open_core(PROTOCOL_MEMORY_FD, &crash->stored);
	if (r == 0)
		r = corefile_head(crash->stored, &core, &bytes, &n);
	if (r == 0)
		r = memory_new_core(crash->stored, &crash->memory);
	return r;
}

static int load(struct crash *crash, const struct options *options, int64_t end_ms)
{
	int r;

	r = read_head(crash);
	if (r == 0)
		r = open_memory(crash, options->live);
	if (r != 0)
		return r;
	memory_set_deadline(crash->memory, end_ms);
	r = space_init(&crash->space, crash->core);
	if (r == 0)
		r = modules_read(&crash->modules, crash->core, crash->memory,
				 &crash->space);
	if (r != 0)
		return r;
	for (size_t i = 0; i < options->modules; i++)
		(void)modules_offer_file(&crash->modules, crash->core, crash->memory,
					 &crash->space, options->module_start[i],
					 PROTOCOL_MODULE_FD +
						 (int)i); /* not it: not used */
	r = rows_new(crash->core, crash->memory, &crash->modules, &crash->space,
		     &crash->rows);
	return r < 0 ? r : 0; /* without rows there are still frame pointers */
}

static int print(const json_t *answer)
{
	_cleanup_free_ char *text = json_dumps(answer, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;

	if (!text)
		return -ENOMEM;
	if (n >= PROTOCOL_ANSWER_MAX)
		return -E2BIG;
	text[n++] = PROTOCOL_ANSWER_END; /* in the place of the terminator */
	return dir_write_all(STDOUT_FILENO, text, n);
}

static int run(const struct options *options, int64_t end_ms)
{
	struct crash crash = { .modules = MODULES_NULL };
	struct walk_process process;
	json_t *answer = NULL;
	int r;

	r = load(&crash, options, end_ms);
	if (r == 0) {
		process = (struct walk_process){ crash.core, crash.memory, &crash.modules,
						 &crash.space, crash.rows };
		answer = answer_make(&process, options->threads);
		r = answer ? print(answer) : -ENOMEM;
	}
	json_decref(answer);
	crash_done(&crash);
	return r;
}

/*
 * jansson would open /dev/urandom for the seed of its tables; the kernel gave every
 * process sixteen random bytes.
 */
static void seed_json(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	size_t seed = 1;

	if (random)
		memcpy(&seed, random, sizeof(seed));
	json_object_seed(seed | 1); /* 0 would ask for /dev/urandom again */
}

/*
 * A file that is only named (see mapfiles.c) is opened with the rights we have, which are
 * the state's owner's: what others may not read is not used.
 */
static void open_modules(const struct options *options)
{
	for (size_t i = 0; i < options->modules; i++) {
		int fd = PROTOCOL_MODULE_FD + (int)i, flags = fcntl(fd, F_GETFL), real;
		char path[32];

		if (flags < 0 || !(flags & O_PATH))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		real = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
		if (real < 0)
			continue; /* reading from the other one fails, and that is all */
		(void)dup2(real, fd);
		(void)close(real);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .threads = ANSWER_THREADS_MAX,
				   .time_ms = PROTOCOL_TIME_DEFAULT_MS };
	int64_t end_ms;
	int r;

	if (parse(argc, argv, &options) < 0)
		return 2;
	seed_json();
	end_ms = clock_monotonic_ms() + (int64_t)options.time_ms;
	open_modules(&options);
	if (!options.live) /* nobody waits, and there is a core to inflate: load what is fastest */
		(void)codec_fastest();
	r = sandbox_enter(PROTOCOL_MODULE_FD + (unsigned int)options.modules,
			  (unsigned int)(options.time_ms / 1000) + 2);
	if (r == 0)
		r = run(&options, end_ms);
	return r == 0 ? 0 : 1;
}
