/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * MUST:
 *  1. open nothing through /proc/PID/root or cwd, and no path that the victim's memory or
 *     maps name;
 *  2. parse nothing of the victim's text as root;
 *  3. believe nothing that does not belong to the process the kernel is dumping.
 */

#include "io/victim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/cleanup.h"

static void distrust(struct victim *victim, const char *because)
{
	victim->verified = false;
	(void)snprintf(victim->unverified_because, sizeof(victim->unverified_because), "%s",
		       because);
	victim->executable[0] = victim->comm[0] = victim->cgroup[0] = '\0';
	victim->cmdline_bytes = victim->auxv_bytes = 0;
	close_fd(&victim->mem_fd);
	close_fd(&victim->pagemap_fd);
	close_fd(&victim->maps_fd);
	mapfiles_close(victim->module, victim->modules);
	victim->modules = 0;
}

static int open_entry(int proc_fd, const char *name)
{
	return openat(proc_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
}

static int open_proc(pid_t pid)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/*
 * Does the pidfd still name this pid? Asked after /proc/PID was opened: while the pidfd's
 * process is not reaped its pid cannot have been given to another. The text is the
 * kernel's own.
 */
static bool pidfd_names(int pidfd, pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[48], text[512];
	const char *line;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "\nPid:");
	return line && strtol(line + 5, NULL, 10) == (long)pid;
}

/* The entries that tell of memory, which all threads share. False where there is none. */
static bool open_memory(struct victim *victim, int proc_fd)
{
	ssize_t n = readlinkat(proc_fd, "exe", victim->executable,
			       sizeof(victim->executable) - 1);

	victim->executable[n > 0 ? n : 0] = '\0';
	if (n < 0)
		return false;
	victim->mem_fd = open_entry(proc_fd, "mem");
	victim->pagemap_fd = open_entry(proc_fd, "pagemap");
	victim->maps_fd = open_entry(proc_fd, "maps");
	victim->auxv_fd = open_entry(proc_fd, "auxv");
	victim->cmdline_fd = open_entry(proc_fd, "cmdline");
	victim->modules = mapfiles_open(proc_fd, victim->maps_fd, victim->module);
	return true;
}

/*
 * The first thread may have ended before another one crashes. It is a zombie without memory
 * then and still names the process; the thread that crashed has the memory. That its entry is
 * of this process is asked after it was opened: threads of a process that dumps core are not
 * replaced.
 */
static void open_memory_by_thread(struct victim *victim, pid_t tid)
{
	_cleanup_close_ int thread_fd = open_proc(tid);
	char path[32];

	(void)snprintf(path, sizeof(path), "task/%d", (int)tid);
	if (thread_fd >= 0 && faccessat(victim->proc_fd, path, F_OK, 0) == 0)
		(void)open_memory(victim, thread_fd);
}

void victim_open(struct victim *victim, pid_t pid, pid_t tid, int pidfd)
{
	victim->proc_fd = open_proc(pid);
	if (victim->proc_fd < 0) {
		distrust(victim, "/proc/PID is gone");
		return;
	}
	victim->status_fd = open_entry(victim->proc_fd, "status");
	victim->cgroup_fd = open_entry(victim->proc_fd, "cgroup");
	if (!open_memory(victim, victim->proc_fd) && tid > 0 && tid != pid)
		open_memory_by_thread(victim, tid);
	victim->unverified_because[0] = '\0';
	victim->by_pidfd = pidfd >= 0 && pidfd_names(pidfd, pid);
	if (pidfd >= 0 && !victim->by_pidfd)
		distrust(victim, "the kernel's pidfd names another process");
}

/* Reads what is there into a buffer, cut to fit, and closes the descriptor. */
static size_t read_entry(int *fd, void *buffer, size_t size)
{
	size_t used = 0;

	while (*fd >= 0 && used < size) {
		ssize_t n = read(*fd, (char *)buffer + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close_fd(fd);
	return used;
}

/* The number behind "Key:\t" at the beginning of a line. */
static bool status_number(const char *text, const char *key, unsigned long *ret_value)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) != 0 || line[n] != ':')
			continue;
		*ret_value = strtoul(line + n + 1, NULL, 10);
		return true;
	}
	return false;
}

static void take_comm(struct victim *victim, const char *status)
{
	const char *end = strchr(status, '\n');
	size_t n;

	if (!end || strncmp(status, "Name:\t", 6) != 0)
		return;
	n = (size_t)(end - status) - 6;
	if (n >= sizeof(victim->comm))
		n = sizeof(victim->comm) - 1;
	memcpy(victim->comm, status + 6, n);
	victim->comm[n] = '\0';
}

/* A first thread that has ended (see open_memory_by_thread) says nothing of CoreDumping. */
static const char *check_status(struct victim *victim, uint32_t uid)
{
	char status[4096];
	size_t n = read_entry(&victim->status_fd, status, sizeof(status) - 1);
	unsigned long value;

	status[n] = '\0';
	if (n == 0)
		return "/proc/PID/status cannot be read";
	take_comm(victim, status);
	if (!status_number(status, "Uid", &value) || value != uid)
		return "/proc/PID belongs to another user";
	if (status_number(status, "CoreDumping", &value) && value != 1)
		return "/proc/PID is not dumping core";
	return NULL;
}

void victim_complete(struct victim *victim, uint32_t uid)
{
	const char *because;
	size_t n;

	/* What is not to be believed stays so, whatever the stranger's entry says. */
	if (victim->proc_fd < 0 || victim->status_fd < 0 || victim->unverified_because[0])
		return;
	because = check_status(victim, uid);
	if (because) {
		distrust(victim, because);
		return;
	}
	n = read_entry(&victim->cgroup_fd, victim->cgroup, sizeof(victim->cgroup) - 1);
	victim->cgroup[n] = '\0';
	victim->auxv_bytes = read_entry(&victim->auxv_fd, victim->auxv, sizeof(victim->auxv));
	victim->verified = true;
}

void victim_read(struct victim *victim, uint32_t uid)
{
	if (victim->proc_fd < 0 || victim->unverified_because[0])
		return;
	victim->cmdline_bytes =
		read_entry(&victim->cmdline_fd, victim->cmdline, sizeof(victim->cmdline));
	/* The kernel's text of /proc/PID/status costs as much as taking the lock. */
	if (victim->by_pidfd && (victim->cmdline_bytes > 0 || victim->executable[0]))
		victim->verified = true;
	else
		victim_complete(victim, uid);
}

bool victim_matches_auxv(struct victim *victim, const void *auxv, size_t auxv_bytes)
{
	if (!victim->verified)
		return false;
	/* Either is gone when the process was killed. */
	if (victim->auxv_bytes == 0 || auxv_bytes == 0) {
		distrust(victim, "nothing proves that the dump is of the process that /proc/PID shows");
		return false;
	}
	/* The note is as long as the kernel's vector; /proc ends at AT_NULL. Compare what both have. */
	if (memcmp(victim->auxv, auxv,
		   victim->auxv_bytes < auxv_bytes ? victim->auxv_bytes : auxv_bytes) != 0) {
		distrust(victim, "the dump is not of the process that /proc/PID shows");
		return false;
	}
	return true;
}

void victim_done(struct victim *victim)
{
	distrust(victim, "closed");
	close_fd(&victim->status_fd);
	close_fd(&victim->auxv_fd);
	close_fd(&victim->cmdline_fd);
	close_fd(&victim->cgroup_fd);
	close_fd(&victim->proc_fd);
}
