/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * MUST, in this order, in every program the kernel starts:
 *  1. stdio is repaired before any descriptor is opened;
 *  2. dumping is switched off before anything can crash, and again after each setresuid;
 *  3. what only root may open is opened;
 *  4. process_become() runs before one byte from the victim is parsed.
 */

#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/ioprio.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/dir.h"

bool process_repair_stdio(void)
{
	bool had_stderr = fcntl(STDERR_FILENO, F_GETFD) >= 0;
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd >= 0)
		(void)close(fd);
	return had_stderr;
}

void process_reserve_stdio(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int process_take_stdin(void)
{
	int pipe_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r = pipe_fd;

	if (pipe_fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
		r = -errno;
	if (null_fd > STDERR_FILENO)
		(void)close(null_fd);
	return r;
}

int process_undumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

void process_deadline(unsigned int seconds)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	(void)sigaction(SIGALRM, &action, NULL); /* we may have been started with it ignored */
	(void)alarm(seconds);
}

int process_open_oom_score(void)
{
	return open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
}

void process_step_back(int oom_score_fd)
{
	(void)setpriority(PRIO_PROCESS, 0, 10);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		      IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7));
	if (oom_score_fd >= 0)
		(void)dir_write_all(oom_score_fd, "800", 3);
}

int process_watch(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

void process_await_end(int watch_fd, int ms)
{
	struct pollfd ended = { .fd = watch_fd, .events = POLLIN };

	(void)poll(&ended, 1, ms);
}

/* Dropped for good means that asking for root again fails. */
static int check_dropped(uid_t uid)
{
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) < 0)
		return -errno;
	if (real != uid || effective != uid || saved != uid)
		return -EPERM;
	if (uid != 0 && setuid(0) == 0)
		return -EPERM;
	return 0;
}

int process_become(uid_t uid, gid_t gid)
{
	int r;

	if (geteuid() == 0 && uid != 0) {
		if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
		    setresuid(uid, uid, uid) < 0)
			return -errno;
		r = process_undumpable();
		if (r < 0)
			return r;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (geteuid() != uid)
		return -EPERM;
	return uid == 0 ? 0 : check_dropped(uid);
}
