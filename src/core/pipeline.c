/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/pipeline_internal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "core/hugepages.h"
#include "io/process.h"

#define SLOTS_MIN 4u
/* In fewer there is less to gain than a huge page more costs. */
#define LANE_SLOTS_MIN 4u
/* A core of so few blocks is done before threads have started. */
#define ALONE_BLOCKS 2u

unsigned int pipeline_processors(void)
{
	cpu_set_t set;
	int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n > (int)PIPELINE_THREADS_MAX ? PIPELINE_THREADS_MAX : (unsigned int)n;
}

/* ---- the threads ---- */

/* Priorities are a thread's own, so each steps back by itself. */
static void step_back(struct worker *w)
{
	if (w->stepped_back || !w->p->released)
		return;
	w->stepped_back = true;
	process_step_back(-1);
}

static void work(struct worker *w)
{
	struct pipeline *p = w->p;

	(void)pthread_mutex_lock(&p->lock);
	while (!pipeline_all_done(p) || !p->released) {
		step_back(w);
		if (pipeline_do_job(w))
			(void)pthread_cond_broadcast(&p->changed);
		else
			(void)pthread_cond_wait(&p->changed, &p->lock);
	}
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static void worker_done(struct worker *w)
{
	member_writer_free(w->writer);
	free(w->packed);
}

/* One that cannot compress still reads and writes: the first thread does the rest. */
static void *worker_thread(void *userdata)
{
	struct worker w = { .p = userdata };

	work(&w);
	worker_done(&w);
	return NULL;
}

static unsigned int start_threads(struct pipeline *p, pthread_t *threads)
{
	unsigned int wanted = pipeline_processors() - 1, n = 0;

	if (p->input->blocks <= ALONE_BLOCKS)
		return 0;
	while (n < wanted && pthread_create(&threads[n], NULL, worker_thread, p) == 0)
		n++;
	return n;
}

/* ---- the whole ---- */

static int init(struct pipeline *p)
{
	p->slots = p->limits->buffer_bytes / SLOT_BYTES;
	if (p->slots < SLOTS_MIN)
		p->slots = SLOTS_MIN;
	p->late = p->input->blocks <= p->slots;
	if (p->late)
		p->slots = p->input->blocks ? p->input->blocks : 1;
	p->own = p->late ? p->input->own_blocks : 0;
	p->next_read = p->own;
	p->end = p->input->blocks;
	p->slot = calloc(p->slots, sizeof(*p->slot));
	if (!p->slot)
		return -ENOMEM;
	p->lanes = p->slots < LANE_SLOTS_MIN * p->input->readers ? 1 : p->input->readers;
	p->lane_slots = (p->slots + p->lanes - 1) / p->lanes;
	p->memory = hugepages_alloc(p->lanes * p->lane_slots * SLOT_BYTES);
	return p->memory ? 0 : -ENOMEM;
}

static void done(struct pipeline *p)
{
	free(p->memory);
	free(p->slot);
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
}

static int run(struct pipeline *p)
{
	pthread_t threads[PIPELINE_THREADS_MAX];
	struct worker w = { .p = p, .first = true };
	unsigned int n;
	int r;

	r = init(p);
	if (r == 0) {
		n = start_threads(p, threads);
		work(&w);
		while (n > 0)
			(void)pthread_join(threads[--n], NULL);
		r = p->error;
	}
	worker_done(&w);
	return r;
}

int pipeline_run(const struct pipeline_input *input, const struct pipeline_limits *limits,
		 int out_fd, struct pipeline_result *ret_result)
{
	struct pipeline p = {
		.input = input,
		.limits = limits,
		.out_fd = out_fd,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	int r;

	r = run(&p);
	if (!p.letting_go)
		(void)input->release(input->userdata, PIPELINE_READ_FAILED);
	done(&p);
	if (r == 0)
		*ret_result = p.result;
	return r;
}
