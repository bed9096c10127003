/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/analyse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buildfiles.h"
#include "core/corefile.h"
#include "core/layout.h"
#include "core/pagemap.h"
#include "core/stacktop.h"
#include "io/cleanup.h"
#include "io/program.h"
#include "policy/cheaphash.h"
#include "policy/name.h"
#include "unwind/client.h"
#include "unwind/protocol.h"
#include "unwind/sign.h"

/* The victim waits for its own thread only; nobody waits for the others. */
#define HELD_TIME_MS 400
#define TIME_MS 5000

/* ---- the cheap guess ---- */

/* As much of it as the core has: the stack may end before. */
static size_t read_saved_stack(const struct crash *crash, uint64_t address, void *stack)
{
	const struct elfcore_segment *s = layout_segment(&crash->core, address);
	size_t n = STACKTOP_BYTES;

	if (!s || address - s->vaddr >= s->file_bytes)
		return 0;
	if (s->file_bytes - (address - s->vaddr) < n)
		n = (size_t)(s->file_bytes - (address - s->vaddr));
	return corefile_memory(crash->source.file, address, stack, n) == 0 ? n : 0;
}

static size_t read_stack(const struct crash *crash, uint64_t address, void *stack)
{
	ssize_t n;

	if (crash->source.file)
		return read_saved_stack(crash, address, stack);
	n = pagemap_private_bytes(crash->victim.pagemap_fd, address, STACKTOP_BYTES);
	if (crash->victim.mem_fd < 0 || n == 0)
		return 0;
	n = pread(crash->victim.mem_fd, stack, (size_t)n, (off_t)address);
	return n > 0 ? (size_t)n : 0;
}

uint64_t analyse_hash(const struct crash *crash)
{
	struct cheaphash_crash look;
	char stack[STACKTOP_BYTES];
	uint64_t address;
	size_t n = 0;

	if (!crash->core_parsed)
		return 0;
	if (stacktop_range(&crash->core, &address) == 0)
		n = read_stack(crash, address, stack);
	if (stacktop_look(&crash->core, stack, n, &look) != 0)
		return 0;
	return cheaphash(&look);
}

/* ---- the signature ---- */

static json_t *take(const json_t *object, const char *key)
{
	return json_incref(json_object_get(object, key));
}

/* What the answer tells goes into the record; the head's own facts stay. */
static void take_answer(struct record *record, const json_t *answer)
{
	const json_t *signal = json_object_get(answer, "signal");

	record_set(record, "threads", take(answer, "threads"));
	record_set(record, "modules", take(answer, "modules"));
	record_set(record, "abort_message", take(answer, "abort_message"));
	record_set(record, "exception", take(answer, "exception"));
	record_set(record, "panic", take(answer, "panic"));
	record_set(record, "stack_overflow", take(answer, "stack_overflow"));
	record_set(record, "build_id", take(answer, "executable_build_id"));
	record_set(record, "points_at", take(signal, "points_at"));
	record_set(record, "unwind_complete", take(answer, "complete"));
}

static void take_signature(struct crash *crash, const json_t *answer)
{
	struct signature signature;
	struct record *record = &crash->record;

	sign_answer(answer, NULL, &signature);
	record_set(record, "signature", sign_text(signature.shown));
	record_set(record, "signatures", sign_to_json(&signature));
	crash->ticket.signature = strtoull(signature.exact, NULL, 16) ?: 1;
}

/* Leaves out files that have yet to be opened (see mapfiles.c). False: there were none. */
static bool drop_named(struct client_request *request, struct client_module *modules)
{
	size_t n = 0, all = request->modules_n;

	for (size_t i = 0; i < all; i++)
		if (!(fcntl(modules[i].fd, F_GETFL) & O_PATH))
			modules[n++] = modules[i];
	request->modules_n = n;
	return n < all;
}

/* The core is still open for writing here; who parses it need not have it so. */
static int open_for_reading(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The files with the build-ids that the modules of an answer have. */
static size_t find_files(const struct buildfiles *files, const json_t *answer,
			 struct client_module modules[static PROTOCOL_MODULES_MAX])
{
	const json_t *module;
	size_t i, n = 0;

	json_array_foreach(json_object_get(answer, "modules"), i, module)
	{
		const char *id = json_string_value(json_object_get(module, "build_id"));
		const char *start = json_string_value(json_object_get(module, "start"));
		int fd[BUILDFILES_SAME];
		size_t found = id && start ? buildfiles_find(files, id, fd) : 0;

		for (size_t j = 0; j < found && n < PROTOCOL_MODULES_MAX; j++)
			modules[n++] = (struct client_module){
				.fd = fd[j], .start = strtoull(start, NULL, 16)
			};
	}
	return n;
}

/* A core's build-ids are known when it has been unwound: with their files it is once more. */
static void ask_with_files(const struct buildfiles *files, struct client_request *request,
			   json_t **answer)
{
	struct client_module modules[PROTOCOL_MODULES_MAX];
	json_t *better;

	request->modules = modules;
	request->modules_n = find_files(files, *answer, modules);
	if (request->modules_n == 0 || client_unwind(request, &better) != 0)
		return;
	json_decref(*answer);
	*answer = better;
}

static size_t take_modules(const struct victim *victim, struct client_module *modules)
{
	for (size_t i = 0; i < victim->modules; i++)
		modules[i] = (struct client_module){ .fd = victim->module[i].fd,
						     .start = victim->module[i].start };
	return victim->modules;
}

/* What takes too long is asked for once more, for less. */
static int ask_for_less(struct client_request *request, struct client_module *modules,
			json_t **ret_answer)
{
	int r = client_unwind(request, ret_answer);

	if (r == CLIENT_E_TIME && drop_named(request, modules)) /* their file systems may be why */
		r = client_unwind(request, ret_answer);
	if (r == CLIENT_E_TIME && request->threads == 0) { /* very many: one names the bug */
		request->threads = 1;
		r = client_unwind(request, ret_answer);
	}
	return r;
}

static int ask(struct crash *crash, int core_fd, bool all_threads, json_t **ret_answer)
{
	_cleanup_close_ int reading_fd = core_fd >= 0 ? open_for_reading(core_fd) : -1;

	struct client_module modules[MAPFILES_MAX];
	char program[PATH_MAX];
	struct client_request request = {
		.program = program,
		.memory_fd = reading_fd >= 0 ? reading_fd
			     : core_fd >= 0  ? core_fd /* no /proc: it may not write in its sandbox */
					     : crash->victim.mem_fd,
		.live = core_fd < 0,
		.modules = modules,
		.modules_n = take_modules(&crash->victim, modules),
		.threads = all_threads ? 0 : 1,
		.time_ms = core_fd >= 0 ? TIME_MS : HELD_TIME_MS,
	};
	int r;

	program_find("corefold-unwind", program);
	request.head_fd = client_memfd(crash->head.bytes, crash->head.used);
	if (request.head_fd < 0)
		return request.head_fd;
	r = ask_for_less(&request, modules, ret_answer);
	if (r == 0 && crash->files)
		ask_with_files(crash->files, &request, ret_answer);
	if (r == 0 && all_threads && request.threads == 1)
		(void)json_object_set_new(*ret_answer, "complete", json_false());
	(void)close(request.head_fd);
	return r;
}

bool analyse_unwind(struct crash *crash, int core_fd, bool all_threads)
{
	json_t *answer;
	int r;

	if (core_fd < 0 && crash->source.file)
		core_fd = corefile_fd(crash->source.file);
	if (!crash->core_parsed || (core_fd < 0 && crash->victim.mem_fd < 0))
		return false;
	r = ask(crash, core_fd, all_threads, &answer);
	if (r != 0) {
		record_set(&crash->record, "unwind_error", json_string(client_strerror(r)));
		return false;
	}
	take_answer(&crash->record, answer);
	take_signature(crash, answer);
	json_decref(answer);
	return true;
}
