/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "io/log.h"

#define PROGRAM "corefold-keep"
#define BUILD "corefold " COREFOLD_VERSION " " __VERSION__

/* No pointers: another process reads this. */
struct blob {
	char build[64]; /* both programs come from one build, or this is refused */
	uint64_t bytes;
	struct request request;
	struct victim victim; /* its descriptors are inherited, its one pointer is NULL */
	struct ledger_ticket ticket;
	struct clock_reading now;
	int64_t on_time_ns;
	int64_t started_ms;
	char process[NAME_SIZE];
	struct config config;
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
		.pipe_fd = crash->source.fd,
		.dir_fd = crash->ledger->dir_fd,
		.proof_fd = crash->ledger->state->fd,
		.oom_score_fd = crash->oom_score_fd,
		.log = log_get(),
	};
	memcpy(blob->process, crash->record.process, sizeof(blob->process));
}

static void set_inherit(const struct blob *blob, int blob_fd, bool inherit)
{
	const struct victim *v = &blob->victim;
	const int fds[] = { v->proc_fd, v->mem_fd,	v->pagemap_fd, v->maps_fd,
			    blob_fd,	blob->pipe_fd,	blob->dir_fd,  blob->proof_fd,
			    blob->oom_score_fd, blob->log.kmsg_fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			(void)fcntl(fds[i], F_SETFD, inherit ? 0 : FD_CLOEXEC);
}

/* Beside this program while it is not installed, else where it was installed. */
static void exec_program(int blob_fd)
{
	static char *const no_environment[] = { NULL };
	char self[PATH_MAX], number[16];
	char *argv[] = { (char *)PROGRAM, number, NULL };
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - sizeof(PROGRAM) - 1);
	char *slash;

	(void)snprintf(number, sizeof(number), "%d", blob_fd);
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
		(void)execve(self, argv, no_environment);
	}
	(void)execve(COREFOLD_LIBEXEC "/" PROGRAM, argv, no_environment);
}

void handover_exec(struct crash *crash)
{
	_cleanup_close_ int blob_fd = -1;
	struct blob blob;

	/* A head that was read already is not in the pipe any more: it stays here. */
	if (!crash->victim.verified || crash->head)
		return;
	blob_fd = memfd_create(PROGRAM, MFD_CLOEXEC);
	if (blob_fd < 0)
		return;
	fill(crash, &blob);
	if (dir_write_all(blob_fd, &blob, sizeof(blob)) < 0)
		return;
	set_inherit(&blob, blob_fd, true);
	exec_program(blob_fd);
	set_inherit(&blob, blob_fd, false);
}

int handover_receive(int blob_fd, struct crash *crash, struct config *config,
		     struct ledger *ledger, int *ret_proof_fd)
{
	struct blob blob;
	int r;

	if (pread(blob_fd, &blob, sizeof(blob), 0) != (ssize_t)sizeof(blob) ||
	    blob.bytes != sizeof(blob) || strcmp(blob.build, BUILD) != 0)
		return -EBADMSG;
	set_inherit(&blob, blob_fd, false);
	(void)close(blob_fd);
	log_set(blob.log);
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
