/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The files a debugger wants to see beside a core: the executable and the libraries, each
 * only if it is the very build that crashed.
 *
 * A debugger left to itself opens whatever lies today under the names that the crashed
 * process's memory holds. Here every name of the record is opened once, through no
 * symbolic link, as a regular file, and its build-id compared; what is the same is offered
 * below a directory of our own, by descriptor, and nothing else is.
 */

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define DEBUGFILES_MAX 256 /* modules, and so descriptors */

struct debugfiles {
	const char *more; /* borrowed: another .build-id directory, ours; or NULL */
	char directory[PATH_MAX]; /* root/ as the process saw it, flat/ by file name and soname */
	int dir_fd;
	int executable_fd; /* -1: none was found; inherited by children, as all of them */
	bool symbols_only; /* and it is a debug file */
	char executable[PATH_MAX]; /* where it was, in printable form */
	char missing_because[PATH_MAX + 512]; /* why there is none */
	size_t wanted; /* modules in the record ... */
	size_t found; /* ... and those of them that are here */
	int fd[DEBUGFILES_MAX];
	size_t fds;
};

#define DEBUGFILES_NULL { .dir_fd = -1, .executable_fd = -1 }

/* Makes the directory below `parent` and looks for the files. -errno. */
int debugfiles_make(struct debugfiles *files, const char *parent, const json_t *record);

/*
 * The build that is named: the file under its path, or what distributions keep under its
 * build-id; and the file of its symbols. A descriptor, or -errno; -EBADMSG: another build.
 */
int debugfiles_open(const char *path, const char *build_id);
int debugfiles_open_symbols(const char *build_id);

/* The build-id of the record's executable; "": not known. */
const char *debugfiles_executable_id(const json_t *record);

/* Removes a directory of ours with all that is in it. */
void debugfiles_remove(const char *path);

/* Removes the directory and closes the files. */
void debugfiles_done(struct debugfiles *files);
