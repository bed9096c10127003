/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The crashed process as /proc shows it, while the kernel holds it.
 *
 * A pid can be recycled between the crash and our look at it. So /proc/PID is opened once
 * and everything else below that descriptor; then the kernel's pidfd (where it gave one)
 * must still name that pid, and the process must be dumping core. The caller adds the last
 * check, the auxiliary vector in the dump, with victim_matches_auxv().
 *
 * Facts that do not stand these checks are dropped: victim->verified is false then and
 * every text is empty.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/mapfiles.h"

#define VICTIM_CMDLINE_MAX 4096
#define VICTIM_CGROUP_MAX 1024
#define VICTIM_AUXV_MAX 1024

struct victim {
	int proc_fd;
	int mem_fd; /* readable after the privileges are gone, as are the next two */
	int pagemap_fd;
	int maps_fd;
	int status_fd;
	int auxv_fd;
	int cmdline_fd;
	int cgroup_fd;
	struct mapfile module[MAPFILES_MAX]; /* files mapped for execution */
	size_t modules;
	bool by_pidfd; /* the kernel's pidfd names it */
	bool verified;
	char unverified_because[80]; /* "" when verified */

	char executable[PATH_MAX]; /* the kernel's name for it; never opened */
	char comm[32];
	char cmdline[VICTIM_CMDLINE_MAX]; /* NUL-separated, cut */
	size_t cmdline_bytes;
	char cgroup[VICTIM_CGROUP_MAX];
	unsigned char auxv[VICTIM_AUXV_MAX];
	size_t auxv_bytes;
};

#define VICTIM_NULL                                                                       \
	{ .proc_fd = -1, .mem_fd = -1, .pagemap_fd = -1, .maps_fd = -1, .status_fd = -1,  \
	  .auxv_fd = -1, .cmdline_fd = -1, .cgroup_fd = -1,                               \
	  .unverified_because = "not looked at" }

/*
 * As root: opens what only root may open. tid is the thread that crashed, 0 if it is not
 * known; pidfd -1: the kernel gave none. Never fails: see verified.
 */
void victim_open(struct victim *victim, pid_t pid, pid_t tid, int pidfd);

/*
 * After the privileges are gone: reads what names the process. Where the kernel gave a
 * pidfd that is proof enough to decide; else this checks what victim_complete() checks.
 * `uid` is the kernel's word (%u).
 */
void victim_read(struct victim *victim, uint32_t uid);

/* For a crash that is looked at more closely: reads the rest, checks all. May be called twice. */
void victim_complete(struct victim *victim, uint32_t uid);

/* Is this (from the dump's NT_AUXV) the same process? Drops all facts if it is not. */
bool victim_matches_auxv(struct victim *victim, const void *auxv, size_t auxv_bytes);

void victim_done(struct victim *victim);
