/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Handlers that only do what cannot be spared, for others to be compared with:
 *
 *   bench-bound discard          reads the pipe to its end
 *   bench-bound copy PID [N]     copies the pages that exist once, with N threads (else one
 *                                for each processor), into huge pages, and keeps nothing
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/pagemap.h"

#define PIPE_BYTES (1 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define PIECE ((size_t)4 << 20) /* what a thread takes at once */
#define THREADS_MAX 16
#define ADDRESSES 0x7ffffffff000u /* all that programs usually have, on 64-bit machines */

static struct pagemap map = PAGEMAP_NULL;
static int mem_fd;
static char *copy;

static struct piece {
	uint64_t from;
	size_t n, at;
} * piece;
static size_t pieces, next_piece;

static int open_proc(const char *pid, const char *file)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The copy's size. */
static size_t cut(void)
{
	size_t at = 0, room = map.runs;

	for (size_t i = 0; i < map.runs; i++)
		room += (map.run[i].end - map.run[i].start) / PIECE;
	piece = calloc(room + 1, sizeof(*piece));
	for (size_t i = 0; piece && i < map.runs; i++)
		for (uint64_t from = map.run[i].start; from < map.run[i].end;
		     from += PIECE) {
			uint64_t left = map.run[i].end - from;
			size_t n = left < PIECE ? left : PIECE;

			piece[pieces++] = (struct piece){ from, n, at };
			at += n;
		}
	return at;
}

static void *copy_pieces(void *argument)
{
	size_t i;

	while ((i = __atomic_fetch_add(&next_piece, 1, __ATOMIC_RELAXED)) < pieces)
		(void)!pread(mem_fd, copy + piece[i].at, piece[i].n,
			     (off_t)piece[i].from);
	return argument;
}

static int copy_all(const char *pid, long threads)
{
	pthread_t thread[THREADS_MAX];
	long n = 0;
	size_t bytes;

	mem_fd = open_proc(pid, "mem");
	if (pagemap_scan(&map, open_proc(pid, "pagemap"), 0, ADDRESSES) != 0)
		return 1;
	bytes = (cut() + HUGE_PAGE) & ~(HUGE_PAGE - 1);
	copy = aligned_alloc(HUGE_PAGE, bytes);
	if (mem_fd < 0 || pieces == 0 || !piece || !copy)
		return 1;
	(void)madvise(copy, bytes, MADV_HUGEPAGE);
	while (n < threads - 1 && n < THREADS_MAX && bytes > PIECE &&
	       pthread_create(&thread[n], NULL, copy_pieces, NULL) == 0)
		n++;
	(void)copy_pieces(NULL);
	while (n > 0)
		(void)pthread_join(thread[--n], NULL);
	(void)close(
		STDIN_FILENO); /* the process is let go before the copy is given back */
	return 0;
}

static int discard(void)
{
	char *bytes = malloc(PIPE_BYTES);

	(void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	while (bytes && read(STDIN_FILENO, bytes, PIPE_BYTES) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "discard") == 0)
		return discard();
	if (argc >= 3 && strcmp(argv[1], "copy") == 0)
		return copy_all(argv[2], argc > 3 ? strtol(argv[3], NULL, 10)
						  : sysconf(_SC_NPROCESSORS_ONLN));
	return 2;
}
