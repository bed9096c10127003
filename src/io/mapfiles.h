/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The files a process has mapped for execution, opened by their mappings.
 *
 * /proc/PID/map_files opens the inode that is mapped, whatever name it had: deleted and
 * upgraded libraries, other mount namespaces. No name that the process could have chosen
 * is followed. Only root may do this, so it happens before root is given up, and from the
 * kernel's numbers alone: an ioctl where there is one (Linux 6.11), else the addresses,
 * permissions and inode numbers of /proc/PID/maps, whose names are not looked at.
 */

#include <stddef.h>
#include <stdint.h>

#define MAPFILES_MAX 48

struct mapfile {
	int fd; /* named only (O_PATH) where the file system is on no block device */
	uint64_t start; /* of the mapping it was opened by */
};

/* Opens at most MAPFILES_MAX distinct files. Returns how many; what fails is left out. */
size_t mapfiles_open(int proc_fd, int maps_fd, struct mapfile files[static MAPFILES_MAX]);

void mapfiles_close(struct mapfile *files, size_t n);
