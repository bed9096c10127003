/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "io/log.h"
#include "io/program.h"

#define PROGRAM "corefold-keep"
#define BUILD "corefold " COREFOLD_VERSION " " __VERSION__

/* No pointers: another process reads this. */
struct blob {
	char build[64]; /* both programs come from one build, or this is refused */
	uint64_t bytes;
	struct request request;
	struct victim victim; /* its descriptors are inherited */
	struct ledger_ticket ticket;
	struct clock_reading now;
	int64_t on_time_ns;
	int64_t started_ms;
	char process[NAME_SIZE];
	struct config config;
	uint64_t head_bytes; /* of the dump, read already: they stand behind this */
	uint64_t head_size; /* of all of it */
	bool head_tried;
	int head_error; /* of reading them */
	int pipe_fd;
	int dir_fd;
	int proof_fd;
	int oom_score_fd;
	struct log_target log;
};

static void fill(const struct crash *crash, struct blob *blob)
{
	*blob = (struct blob){
		.build = BUILD,
		.bytes = sizeof(*blob),
		.request = crash->request,
		.victim = crash->victim,
		.ticket = crash->ticket,
		.now = crash->ledger->now,
		.on_time_ns = crash->ledger->on_time_ns,
		.started_ms = crash->started_ms,
		.config = *crash->config,
		.head_bytes = crash->head.used,
		.head_size = crash->head.size,
		.head_tried = crash->head_tried,
		.head_error = crash->head_error,
		.pipe_fd = crash->source.fd,
		.dir_fd = crash->ledger->dir_fd,
		.proof_fd = crash->ledger->state->fd,
		.oom_score_fd = crash->oom_score_fd,
		.log = log_get(),
	};
	memcpy(blob->process, crash->record.process, sizeof(blob->process));
}

/*
 * False when one could not be changed. Without the proof that we live the program that
 * keeps would look dead, and its weight be given back while it makes its record.
 */
static bool set_inherit(const struct blob *blob, int blob_fd, bool inherit)
{
	const int flags = inherit ? 0 : FD_CLOEXEC;
	const struct victim *v = &blob->victim;
	const int fds[] = {
		v->proc_fd,	v->mem_fd,	 v->pagemap_fd,	     v->maps_fd,
		v->status_fd,	v->auxv_fd,	 v->cmdline_fd,	     v->cgroup_fd,
		blob_fd,	blob->pipe_fd,	 blob->dir_fd,	     blob->proof_fd,
		blob->oom_score_fd, blob->log.kmsg_fd,
	};
	bool done = true;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			done &= fcntl(fds[i], F_SETFD, flags) == 0;
	for (size_t i = 0; i < v->modules; i++)
		done &= fcntl(v->module[i].fd, F_SETFD, flags) == 0;
	return done;
}

static void exec_program(int blob_fd)
{
	static char *const no_environment[] = { NULL };
	char path[PATH_MAX], number[16];
	char *argv[] = { (char *)PROGRAM, number, NULL };

	(void)snprintf(number, sizeof(number), "%d", blob_fd);
	program_find(PROGRAM, path);
	(void)execve(path, argv, no_environment);
}

void handover_exec(struct crash *crash)
{
	_cleanup_close_ int blob_fd = -1;
	struct blob blob;

	blob_fd = memfd_create(PROGRAM, MFD_CLOEXEC);
	if (blob_fd < 0)
		return;
	fill(crash, &blob);
	if (dir_write_all(blob_fd, &blob, sizeof(blob)) < 0 ||
	    dir_write_all(blob_fd, crash->head.bytes, crash->head.used) < 0)
		return;
	if (set_inherit(&blob, blob_fd, true))
		exec_program(blob_fd);
	/* Still here: what the hooks and the unwinder inherit is not ours to widen. */
	(void)set_inherit(&blob, blob_fd, false);
}

/* What was read of the dump before is not in the pipe any more. */
static int take_head(int blob_fd, const struct blob *blob, struct crash *crash)
{
	struct head *head = &crash->head;

	crash->head_tried = blob->head_tried;
	crash->head_error = blob->head_error;
	head->size = blob->head_size;
	if (blob->head_bytes == 0)
		return 0;
	if (head_make_room(head, blob->head_bytes) != 0 || head_make_room(head, head->size) != 0)
		return -ENOMEM;
	head->used = blob->head_bytes;
	if (pread(blob_fd, head->bytes, head->used, sizeof(struct blob)) != (ssize_t)head->used)
		return -EBADMSG;
	if (crash->head_error == 0)
		crash->head_error = elfcore_parse(head->bytes, head->used, &crash->core);
	crash->core_parsed = crash->head_error == 0;
	return 0;
}

int handover_receive(int blob_fd, struct crash *crash, struct config *config,
		     struct ledger *ledger, int *ret_proof_fd)
{
	struct blob blob;
	int r;

	if (pread(blob_fd, &blob, sizeof(blob), 0) != (ssize_t)sizeof(blob) ||
	    blob.bytes != sizeof(blob) || strcmp(blob.build, BUILD) != 0)
		return -EBADMSG;
	(void)set_inherit(&blob, blob_fd, false);
	log_set(blob.log);
	r = take_head(blob_fd, &blob, crash);
	(void)close(blob_fd);
	if (r < 0)
		return r;
	*config = blob.config;
	crash->config = config;
	crash->ledger = ledger;
	crash->request = blob.request;
	crash->victim = blob.victim;
	crash->ticket = blob.ticket;
	crash->started_ms = blob.started_ms;
	crash->oom_score_fd = blob.oom_score_fd;
	memcpy(crash->record.process, blob.process, sizeof(blob.process));
	source_pipe(&crash->source, blob.pipe_fd);
	*ret_proof_fd = blob.proof_fd;
	r = ledger_open(ledger, config, blob.dir_fd);
	ledger->now = blob.now;
	ledger->on_time_ns = blob.on_time_ns;
	return r;
}
