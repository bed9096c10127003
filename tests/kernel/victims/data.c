/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A program with much data of its own, changed since it began; it aborts below a frame that
 * is larger than a stack's share of a capture of the threads.
 */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define ENTRIES 60000
#define ROOM 200000

static int table[ENTRIES] = { 1 }; /* in the file */
static char scratch[8 << 20]; /* not in the file */
static __thread int mine = 1;
static pthread_barrier_t barrier;

static void *wait_here(void *value)
{
	volatile char room[ROOM];

	mine = 4712;
	room[0] = room[ROOM - 1] = 0;
	(void)pthread_barrier_wait(&barrier);
	(void)pause();
	return value;
}

__attribute__((noinline)) static void stumble(void)
{
	abort();
}

__attribute__((noinline)) static void spread(size_t at)
{
	volatile char room[ROOM];

	room[0] = room[at] = scratch[at];
	stumble();
	room[0] = room[at];
}

/* What points into the frame of main() does not point to where spread() returns. */
__attribute__((noinline)) static void keep_apart(void)
{
	volatile char room[2000];

	room[0] = 0;
	spread(ROOM - 1);
	room[1] = room[0];
}

int main(void)
{
	pthread_t thread;

	(void)pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, wait_here, NULL) != 0)
		return 1;
	(void)pthread_barrier_wait(&barrier);
	table[ENTRIES / 2] = 4711;
	mine = 4713;
	keep_apart();
	return 0;
}
