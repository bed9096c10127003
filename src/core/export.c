/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/export.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/corefile.h"
#include "core/member.h"
#include "core/pipeline.h"
#include "io/cleanup.h"
#include "io/dir.h"

#define HOLE_BYTES 4096u

struct export
{
	const struct corefile *file;
	int fd;
	bool sparse;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	size_t next_read;
	size_t next_write; /* in order, when not sparse */
	int error;
	struct export_result result;
};

static bool all_zero(const char *p, size_t n)
{
	return n > 0 && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static int write_at(int fd, const char *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

/* Writes the runs between pages of zeros. */
static int write_sparse(int fd, const char *p, size_t n, uint64_t at)
{
	size_t from = 0, to = 0;
	int r = 0;

	while (r == 0 && to < n) {
		size_t part = n - to < HOLE_BYTES ? n - to : HOLE_BYTES;
		bool zero = all_zero(p + to, part);

		if (zero)
			r = write_at(fd, p + from, to - from, at + from);
		to += part;
		if (zero)
			from = to;
	}
	return r == 0 ? write_at(fd, p + from, n - from, at + from) : r;
}

static void fail(struct export *e, int error)
{
	(void)pthread_mutex_lock(&e->lock);
	if (e->error == 0)
		e->error = error;
	(void)pthread_cond_broadcast(&e->changed);
	(void)pthread_mutex_unlock(&e->lock);
}

/* Whose turn it is writes; -ECANCELED when there are no more turns. */
static int await_turn(struct export *e, size_t index)
{
	int r;

	(void)pthread_mutex_lock(&e->lock);
	while (e->next_write != index && e->error == 0 && !e->result.damaged)
		(void)pthread_cond_wait(&e->changed, &e->lock);
	r = e->next_write == index && e->error == 0 && !e->result.damaged ? 0 : -ECANCELED;
	(void)pthread_mutex_unlock(&e->lock);
	return r;
}

static void end_turn(struct export *e, size_t n, bool damaged)
{
	(void)pthread_mutex_lock(&e->lock);
	e->next_write++;
	e->result.bytes += n;
	if (damaged)
		e->result.damaged = true;
	(void)pthread_cond_broadcast(&e->changed);
	(void)pthread_mutex_unlock(&e->lock);
}

/* True to go on. */
static bool put_block(struct export *e, size_t index, const char *block, ssize_t n,
		      uint64_t at)
{
	int r = 0;

	if (n > 0 && e->sparse)
		r = write_sparse(e->fd, block, (size_t)n, at);
	/* Turns are taken for sparse files, too: what follows damage is not part of the result. */
	if (r == 0)
		r = await_turn(e, index);
	if (r == 0 && n > 0 && !e->sparse)
		r = dir_write_all(e->fd, block, (size_t)n);
	if (r == 0)
		end_turn(e, n > 0 ? (size_t)n : 0, n < 0);
	else if (r != -ECANCELED)
		fail(e, r);
	return r == 0 && n > 0;
}

static void *export_thread(void *userdata)
{
	struct export *e = userdata;
	_cleanup_free_ char *block = malloc(MEMBER_PLAIN);
	_cleanup_free_ void *scratch = malloc(MEMBER_BOUND);
	bool more = block && scratch;

	if (!more)
		fail(e, -ENOMEM);
	while (more) {
		uint64_t at = 0;
		size_t index;
		ssize_t n;

		(void)pthread_mutex_lock(&e->lock);
		index = e->next_read++;
		(void)pthread_mutex_unlock(&e->lock);
		n = corefile_read_block(e->file, index, scratch, block, &at);
		more = put_block(e, index, block, n, at);
	}
	return NULL;
}

int export_run(const struct corefile *file, int fd, bool sparse,
	       struct export_result *ret_result)
{
	struct export e = {
		.file = file,
		.fd = fd,
		.sparse = sparse,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	pthread_t thread[PIPELINE_THREADS_MAX];
	unsigned int wanted = pipeline_processors() - 1, n = 0;

	while (n < wanted && pthread_create(&thread[n], NULL, export_thread, &e) == 0)
		n++;
	(void)export_thread(&e);
	while (n > 0)
		(void)pthread_join(thread[--n], NULL);
	/* A hole at the very end has to be told by the size. */
	if (e.error == 0 && sparse && ftruncate(fd, (off_t)e.result.bytes) < 0)
		e.error = -errno;
	if (e.error == 0)
		*ret_result = e.result;
	return e.error;
}
