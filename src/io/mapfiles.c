/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/mapfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "io/cleanup.h"

/* From linux/fs.h of 6.11, which older headers lack. */
struct map_query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start;
	uint64_t vma_end;
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t vma_name_size;
	uint32_t build_id_size;
	uint64_t vma_name_addr;
	uint64_t build_id_addr;
};
#define MAP_QUERY _IOWR('f', 17, struct map_query)
#define MAP_QUERY_EXECUTABLE 0x04
#define MAP_QUERY_NEXT 0x10
#define MAP_QUERY_FILE 0x20

/* More executable mappings than that are a JIT's, or somebody's who wants us to be slow. */
#define LOOKED_AT_MAX 256
#define MAPS_BYTES_MAX (128 * 1024)

struct search {
	int proc_fd;
	struct mapfile *files;
	size_t n;
	struct {
		uint64_t inode;
		uint64_t device;
	} seen[MAPFILES_MAX];
};

static void take(struct search *search, uint64_t start, uint64_t end, uint64_t device,
		 uint64_t inode)
{
	char path[64];
	int fd;

	for (size_t i = 0; i < search->n; i++)
		if (search->seen[i].inode == inode && search->seen[i].device == device)
			return;
	if (search->n == MAPFILES_MAX)
		return;
	(void)snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, start, end);
	/*
	 * O_NONBLOCK: a lease must not hold us up. A file system that is not on a block
	 * device can be anybody's (FUSE in a user namespace, an overlay over that), and
	 * opening a file asks it: it need not answer, and a process that waits for it cannot
	 * be killed. So of that the file is only named here.
	 */
	fd = openat(search->proc_fd, path,
		    (device >> 32 ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH) | O_CLOEXEC);
	if (fd < 0)
		return;
	search->seen[search->n].inode = inode;
	search->seen[search->n].device = device;
	search->files[search->n++] = (struct mapfile){ .fd = fd, .start = start };
}

/* False when the kernel has no such ioctl. */
static bool search_by_query(struct search *search, int maps_fd)
{
	struct map_query query = { .size = sizeof(query),
				   .query_flags = MAP_QUERY_EXECUTABLE | MAP_QUERY_FILE |
						  MAP_QUERY_NEXT };

	for (unsigned int i = 0; i < LOOKED_AT_MAX; i++) {
		if (ioctl(maps_fd, MAP_QUERY, &query) < 0)
			return i > 0 || errno == ENOENT;
		take(search, query.vma_start, query.vma_end,
		     (uint64_t)query.dev_major << 32 | query.dev_minor, query.inode);
		query.query_addr = query.vma_end;
	}
	return true;
}

/* "start-end perms offset major:minor inode": what stands behind is not looked at. */
static void take_line(struct search *search, const char *line)
{
	uint64_t start, end, inode;
	unsigned int major, minor;
	char perms[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64, &start, &end, perms,
		   &major, &minor, &inode) == 6 &&
	    perms[2] == 'x' && inode != 0)
		take(search, start, end, (uint64_t)major << 32 | minor, inode);
}

static void search_by_text(struct search *search, int maps_fd)
{
	_cleanup_free_ char *text = malloc(MAPS_BYTES_MAX + 1);
	size_t used = 0;
	char *line, *next;

	while (text && used < MAPS_BYTES_MAX) {
		ssize_t n = read(maps_fd, text + used, MAPS_BYTES_MAX - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (!text)
		return;
	text[used] = '\0';
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		take_line(search, line);
	}
	(void)lseek(maps_fd, 0, SEEK_SET);
}

size_t mapfiles_open(int proc_fd, int maps_fd, struct mapfile files[static MAPFILES_MAX])
{
	struct search search = { .proc_fd = proc_fd, .files = files };

	if (maps_fd >= 0 && !search_by_query(&search, maps_fd))
		search_by_text(&search, maps_fd);
	return search.n;
}

void mapfiles_close(struct mapfile *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_fd(&files[i].fd);
}
