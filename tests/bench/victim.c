/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * bench-victim KIND: fills memory of that kind, says so, and waits to be killed.
 *
 *   tiny      nothing
 *   heap      256 MiB of records as a C program has them: pointers to one another, small
 *             numbers, words of text, free room, and some bytes without pattern
 *   random    256 MiB that nothing compresses
 *   sparse    4 GiB mapped, 1 % of the pages touched
 *   threads   200 threads that wait
 */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PAGE 4096u
#define LARGE (256 * MIB)
#define SPARSE (4096 * MIB)
#define THREADS 200
#define TEXT_BYTES 32

struct node {
	struct node *next;
	struct node *other;
	uint32_t length;
	uint32_t flags;
	uint64_t key; /* no pattern */
	char text[TEXT_BYTES];
};

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	return p;
}

static void fill_text(char *text)
{
	static const char *const words[] = { "request", "user",	   "session", "/var/lib/",
					     "null",	"error: ", "id=",     "true" };
	uint64_t dice = next_random();
	int n = 0;

	for (int i = 0; i < 3 && n < TEXT_BYTES; i++, dice >>= 3)
		n += snprintf(text + n, TEXT_BYTES - (size_t)n, "%s", words[dice & 7]);
}

static void heap(void)
{
	struct node *node = map(LARGE);
	size_t nodes = LARGE / sizeof(*node);

	for (size_t i = 0; i < nodes; i++) {
		uint64_t dice = next_random();

		if (dice % 5 == 0)
			continue; /* free room */
		node[i].next = &node[(i + 1 + dice % 8) % nodes];
		node[i].other = &node[next_random() % nodes];
		node[i].length = (uint32_t)(dice >> 8) % 64;
		node[i].flags = 1u << (dice >> 16) % 4;
		node[i].key = dice % 2 == 0 ? next_random() : 0;
		fill_text(node[i].text);
	}
}

static void without_pattern(void)
{
	uint64_t *word = map(LARGE);

	for (size_t i = 0; i < LARGE / sizeof(*word); i++)
		word[i] = next_random();
}

static void sparse(void)
{
	unsigned char *p = map(SPARSE);

	for (size_t at = 0; at < SPARSE; at += 100 * PAGE)
		for (size_t i = 0; i < PAGE; i += 8)
			p[at + i] = (unsigned char)(at / PAGE + i / 64);
}

static void *wait_here(void *argument)
{
	(void)pause();
	return argument;
}

static void threads(void)
{
	pthread_t thread;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, wait_here, NULL) != 0)
			exit(1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fill)(void);
	} kinds[] = {
		{ "tiny", NULL },
		{ "heap", heap },
		{ "random", without_pattern },
		{ "sparse", sparse },
		{ "threads", threads },
	};
	size_t i = 0;

	while (i < sizeof(kinds) / sizeof(*kinds) &&
	       (argc != 2 || strcmp(argv[1], kinds[i].name) != 0))
		i++;
	if (i == sizeof(kinds) / sizeof(*kinds))
		return 2;
	if (kinds[i].fill)
		kinds[i].fill();
	(void)puts("ready");
	(void)fflush(stdout);
	(void)pause();
	return 1;
}
