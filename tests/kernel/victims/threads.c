/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Three threads asleep in functions of their own, and one that crashes three calls deep.
 * With any argument that one is the only one: the first thread has ended before.
 */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t all_there;

static __attribute__((noinline)) void wait_in(int depth)
{
	if (depth > 0) {
		wait_in(depth - 1);
	} else {
		(void)pthread_barrier_wait(&all_there);
		(void)pause();
	}
	__asm__ volatile(""); /* no tail call: the frame stays */
}

static void *reader(void *unused)
{
	wait_in(1);
	return unused;
}

static void *writer(void *unused)
{
	wait_in(2);
	return unused;
}

static void *timer(void *unused)
{
	wait_in(3);
	return unused;
}

static __attribute__((noinline)) void fall(volatile int *where)
{
	*where = 1;
}

static __attribute__((noinline)) void stumble(volatile int *where)
{
	fall(where);
	__asm__ volatile("");
}

/* /proc/self shows the first thread, which has no executable once it is gone. */
static void *survivor(void *unused)
{
	char c;

	while (readlink("/proc/self/exe", &c, 1) >= 0)
		(void)usleep(1000);
	stumble((volatile int *)0x10);
	return unused;
}

int main(int argc, char **argv)
{
	void *(*const bodies[])(void *) = { reader, writer, timer };
	pthread_t thread;

	(void)argv;
	if (argc > 1 && pthread_create(&thread, NULL, survivor, NULL) == 0)
		pthread_exit(NULL);
	(void)pthread_barrier_init(&all_there, NULL, 4);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, bodies[i], NULL) != 0)
			return 1;
	(void)pthread_barrier_wait(&all_there);
	(void)usleep(50000); /* until they sleep */
	stumble((volatile int *)0x10);
	return 0;
}
