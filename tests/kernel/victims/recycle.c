/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Starts a program under a pid that is to be had again, as whoever forks often enough could.
 *
 *   recycle PID UID PROGRAM [ARGUMENT...]
 *
 * Root only. Exit status 1 when the pid is not free.
 */

#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn static void become(uid_t uid, char **argv)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		_exit(125);
	(void)execv(argv[0], argv);
	_exit(126);
}

int main(int argc, char **argv)
{
	pid_t wanted;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	long pid;

	if (argc < 4)
		return 2;
	wanted = (pid_t)strtol(argv[1], NULL, 10);
	args.set_tid = (uint64_t)(uintptr_t)&wanted;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		become((uid_t)strtoul(argv[2], NULL, 10), argv + 3);
	if (pid < 0) {
		perror("clone3");
		return 1;
	}
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}
