/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Runs a program and disturbs one of its system calls.
 *
 *   inject [-d] [-o FILE] N ACTION PROGRAM [ARGUMENT...]
 *
 * Calls are counted from 1 over the program, its threads and what it executes. ACTION:
 *   list      nothing is disturbed; the name of every call goes to FILE
 *   kill      SIGKILL instead of call N
 *   after     SIGKILL when call N is done
 *   crash     SIGSEGV to the thread that makes call N, behind it
 *   ENOSPC... call N is not made and fails with that
 *   ENOSPC+   so do all later calls that need space, a descriptor or a disk
 *   short     call N, a write, writes half of what it should
 *
 * -d: /proc/PID/status says "CoreDumping: 1" to the program, so that a handler started by
 * hand believes in its victim. (It stays dumpable then: else its memory is closed to us.)
 * Such a victim does not end when it is let go: whoever awaits its end finds the time over.
 * FILE gets the name of the disturbed call, nothing if there are fewer than N calls; behind
 * it "dumped" for each process that left a core, as the kernel tells.
 * Exit status: the program's, or 128 + the signal that ended it; 99 for trouble here.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regs.h"

#define TASKS 64

enum action {
	ACTION_LIST,
	ACTION_KILL,
	ACTION_AFTER,
	ACTION_CRASH,
	ACTION_ERROR,
	ACTION_SHORT,
};

/* A thread or process of the program that is inside a call. */
struct task {
	pid_t tid;
	bool inside;
	bool fails; /* this call gets the error */
	bool pretends; /* this call is not made and succeeds */
	bool killed_after;
	int changed; /* which argument was, -1: none */
	long number;
	unsigned long long argument[3];
};

static struct {
	unsigned long at;
	enum action action;
	int error;
	bool from_then_on;
	bool core_dumping;
	FILE *out;

	unsigned long count;
	struct task task[TASKS];
	pid_t program;
} inject;

#define NAME(call) { SYS_##call, #call }

static const struct {
	long number;
	const char *name;
} names[] = {
	NAME(read), NAME(write), NAME(close), NAME(fstat), NAME(lseek), NAME(mmap),
	NAME(mprotect), NAME(munmap), NAME(brk), NAME(rt_sigaction), NAME(rt_sigprocmask),
	NAME(ioctl), NAME(pread64), NAME(pwrite64), NAME(mremap), NAME(madvise), NAME(dup),
	NAME(getpid), NAME(socket), NAME(connect), NAME(sendto), NAME(clone), NAME(execve),
	NAME(exit), NAME(wait4), NAME(uname), NAME(fcntl), NAME(flock), NAME(fsync),
	NAME(fdatasync), NAME(truncate), NAME(ftruncate), NAME(fchmod), NAME(fchown),
	NAME(getrlimit), NAME(setpriority), NAME(prctl), NAME(setrlimit), NAME(gettid),
	NAME(futex), NAME(getdents64), NAME(set_tid_address), NAME(fadvise64),
	NAME(clock_gettime), NAME(clock_nanosleep), NAME(exit_group), NAME(openat),
	NAME(mkdirat), NAME(newfstatat), NAME(unlinkat), NAME(renameat), NAME(linkat),
	NAME(readlinkat), NAME(faccessat), NAME(set_robust_list), NAME(fallocate),
	NAME(dup3), NAME(pipe2), NAME(prlimit64), NAME(renameat2), NAME(getrandom),
	NAME(memfd_create), NAME(statx), NAME(rseq), NAME(faccessat2), NAME(fstatfs),
	NAME(getuid), NAME(getgid), NAME(geteuid), NAME(getegid), NAME(setuid),
	NAME(setgroups), NAME(setresuid), NAME(setresgid), NAME(getresuid), NAME(getcwd),
	NAME(nanosleep), NAME(clone3), NAME(ioprio_set), NAME(utimensat), NAME(statfs),
	NAME(sched_getaffinity), NAME(setitimer), NAME(timer_create),
	NAME(process_vm_readv), NAME(membarrier), NAME(sched_yield), NAME(writev),
#ifdef SYS_alarm
	NAME(alarm),
#endif
#ifdef SYS_access
	NAME(access), NAME(open), NAME(stat), NAME(lstat), NAME(readlink), NAME(unlink),
	NAME(dup2), NAME(pipe), NAME(mkdir), NAME(rename), NAME(rmdir), NAME(vfork), NAME(fork),
	NAME(poll), NAME(arch_prctl), NAME(time),
#endif
};

static const char *name_of(long number)
{
	static char text[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].number == number)
			return names[i].name;
	(void)snprintf(text, sizeof(text), "call-%ld", number);
	return text;
}

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "ENOSPC", ENOSPC }, { "EIO", EIO },	    { "EINTR", EINTR },
	{ "EMFILE", EMFILE }, { "ENOMEM", ENOMEM }, { "EACCES", EACCES },
	{ "ENOENT", ENOENT }, { "EAGAIN", EAGAIN }, { "EOPNOTSUPP", EOPNOTSUPP },
	{ "EROFS", EROFS },   { "EDQUOT", EDQUOT }, { "ENOLCK", ENOLCK },
	{ "EINVAL", EINVAL },
};

static void die(const char *what)
{
	(void)fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(99);
}

static void read_action(const char *text)
{
	size_t n = strlen(text);

	if (strcmp(text, "list") == 0)
		inject.action = ACTION_LIST;
	else if (strcmp(text, "kill") == 0)
		inject.action = ACTION_KILL;
	else if (strcmp(text, "after") == 0)
		inject.action = ACTION_AFTER;
	else if (strcmp(text, "crash") == 0)
		inject.action = ACTION_CRASH;
	else if (strcmp(text, "short") == 0)
		inject.action = ACTION_SHORT;
	else
		inject.action = ACTION_ERROR;
	if (inject.action != ACTION_ERROR)
		return;
	inject.from_then_on = n > 0 && text[n - 1] == '+';
	n -= inject.from_then_on;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (strlen(errors[i].name) == n && strncmp(errors[i].name, text, n) == 0)
			inject.error = errors[i].number;
	if (!inject.error) {
		errno = EINVAL;
		die(text);
	}
}

/* Calls that a full, dying or exhausted system refuses, not only once. */
static bool needs_something(const struct task *task)
{
	const unsigned long long creates = O_CREAT | (O_TMPFILE & ~O_DIRECTORY);

	switch (task->number) {
	case SYS_write:
	case SYS_pwrite64:
	case SYS_fsync:
	case SYS_fdatasync:
		return task->argument[0] > 2; /* what it has to say may still be said */
	case SYS_openat:
		return inject.error == EMFILE || inject.error == EIO ||
		       (task->argument[2] & creates);
	case SYS_fallocate:
	case SYS_linkat:
	case SYS_mkdirat:
	case SYS_renameat:
	case SYS_renameat2:
		return inject.error != EMFILE;
	case SYS_memfd_create:
	case SYS_socket:
		return inject.error == EMFILE;
	case SYS_pread64:
	case SYS_fstat:
	case SYS_newfstatat:
	case SYS_unlinkat:
		return inject.error == EIO;
	default:
		return false;
	}
}

static struct task *task_of(pid_t tid)
{
	struct task *unused = NULL;

	for (int i = 0; i < TASKS; i++) {
		if (inject.task[i].tid == tid)
			return &inject.task[i];
		if (!unused && inject.task[i].tid == 0)
			unused = &inject.task[i];
	}
	if (!unused) {
		errno = EAGAIN;
		die("threads");
	}
	*unused = (struct task){ .tid = tid, .changed = -1 };
	return unused;
}

/* Ends the program at once, as SIGKILL to the whole of it does. */
static void kill_program(void)
{
	(void)kill(inject.program, SIGKILL);
}

static void say(const struct task *task)
{
	if (inject.out)
		(void)fprintf(inject.out, "%s\n", name_of(task->number));
}

/* A call leaves its arguments as they were, and compilers count on it. */
static void change_argument(struct task *task, struct regs *regs, int i,
			    unsigned long long value)
{
	task->changed = i;
	regs_set_argument(task->tid, regs, i, value);
}

/* Threads make the n-th call another one at times: half a mapping is no short write. */
static bool can_be_short(const struct task *task)
{
	return task->number == SYS_read || task->number == SYS_write ||
	       task->number == SYS_pread64 || task->number == SYS_pwrite64;
}

/*
 * Threads make the n-th call a matter of chance, and glibc aborts over a strange futex, also
 * over one that our own stops made the kernel restart, and where a thread has no rseq.
 */
static bool must_not_fail(const struct task *task)
{
	return task->number == SYS_futex || task->number == SYS_restart_syscall ||
	       task->number == SYS_rseq || task->number == SYS_set_robust_list;
}

/* Only where there is poll: elsewhere the time passes. */
static bool awaits_end(const struct task *task)
{
#ifdef SYS_poll
	struct pollfd awaited;
	struct iovec ours = { &awaited, sizeof(awaited) };
	struct iovec theirs = { (void *)(uintptr_t)task->argument[0], sizeof(awaited) };
	char path[64], target[64] = "";

	if (task->number != SYS_poll || task->argument[1] != 1 ||
	    process_vm_readv(task->tid, &ours, 1, &theirs, 1, 0) != (ssize_t)sizeof(awaited))
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", task->tid, awaited.fd);
	return readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "pidfd");
#else
	(void)task;
	return false;
#endif
}

static void on_entry(struct task *task)
{
	struct regs regs;
	bool here;

	if (!regs_get(task->tid, &regs))
		return; /* killed meanwhile */
	task->number = regs_call(&regs);
	task->changed = -1;
	task->fails = task->pretends = task->killed_after = false;
	for (int i = 0; i < 3; i++)
		task->argument[i] = regs_argument(&regs, i);
	inject.count++;
	here = inject.count == inject.at;
	if (inject.action == ACTION_ERROR && must_not_fail(task))
		return;
	if (inject.action == ACTION_LIST)
		say(task);
	task->fails = inject.action == ACTION_ERROR &&
		      (here || (inject.from_then_on && inject.count > inject.at &&
				needs_something(task)));
	task->killed_after = here && inject.action == ACTION_AFTER;
	/* A brk that cannot be had is no error but the old end, as asking for 0 gives. */
	if (task->fails && task->number == SYS_brk) {
		task->fails = false;
		change_argument(task, &regs, 0, 0);
	}
	task->pretends = inject.core_dumping &&
			 ((task->number == SYS_prctl && task->argument[0] == PR_SET_DUMPABLE) ||
			  awaits_end(task));
	if (task->fails || task->pretends)
		regs_skip_call(task->tid, &regs);
	if (here && inject.action == ACTION_SHORT && can_be_short(task) && task->argument[2] > 1)
		change_argument(task, &regs, 2, task->argument[2] / 2);
	if (here && inject.action == ACTION_KILL)
		kill_program();
	if (here && inject.action == ACTION_CRASH)
		(void)syscall(SYS_tkill, task->tid, SIGSEGV);
	if (here && inject.action != ACTION_LIST)
		say(task);
}

/* What the program just read is changed where it lies. */
static void fake_dumping(const struct task *task, long n)
{
	static const char is[] = "\nCoreDumping:\t0";
	char text[4096];
	struct iovec ours = { text, sizeof(text) };
	struct iovec theirs = { (void *)(uintptr_t)task->argument[1], sizeof(text) };
	const char *found;
	const char one = '1';

	if (task->number != SYS_read || n <= (long)sizeof(is))
		return;
	if ((size_t)n < sizeof(text))
		ours.iov_len = theirs.iov_len = (size_t)n;
	if (process_vm_readv(task->tid, &ours, 1, &theirs, 1, 0) < n)
		return;
	found = memmem(text, ours.iov_len, is, sizeof(is) - 1);
	if (!found)
		return;
	ours = (struct iovec){ (void *)(uintptr_t)&one, 1 };
	theirs.iov_base = (char *)theirs.iov_base + (found - text) + sizeof(is) - 2;
	theirs.iov_len = 1;
	if (process_vm_writev(task->tid, &ours, 1, &theirs, 1, 0) != 1)
		die("process_vm_writev");
}

static void on_exit_of_call(struct task *task)
{
	struct regs regs;

	if (!regs_get(task->tid, &regs))
		return;
	if (task->changed >= 0)
		regs_set_argument(task->tid, &regs, task->changed,
				  task->argument[task->changed]);
	if (task->fails)
		regs_set_result(task->tid, &regs, -inject.error);
	else if (task->pretends)
		regs_set_result(task->tid, &regs, 0);
	else if (inject.core_dumping)
		fake_dumping(task, regs_result(&regs));
	if (task->killed_after)
		kill_program();
}

static void on_stop(pid_t tid, int status)
{
	struct task *task = task_of(tid);
	int stopped_by = WSTOPSIG(status), event = status >> 16, signal = 0;

	if (stopped_by == (SIGTRAP | 0x80)) {
		task->inside = !task->inside;
		if (task->inside)
			on_entry(task);
		else
			on_exit_of_call(task);
	} else if (event == 0 && stopped_by != SIGSTOP && stopped_by != SIGTRAP) {
		signal = stopped_by;
	}
	(void)ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)signal);
}

/* The program's exit status, once it and all it started are gone. */
static int follow(void)
{
	int result = 99;

	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			return result;
		if (WIFSTOPPED(status)) {
			on_stop(tid, status);
			continue;
		}
		task_of(tid)->tid = 0;
		if (WIFSIGNALED(status) && WCOREDUMP(status) && inject.out)
			(void)fputs("dumped\n", inject.out);
		if (tid == inject.program)
			result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
						       WEXITSTATUS(status);
	}
}

static void start(char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
			     PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status;

	inject.program = fork();
	if (inject.program < 0)
		die("fork");
	if (inject.program == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)raise(SIGSTOP);
		(void)execv(argv[0], argv);
		die(argv[0]);
	}
	if (waitpid(inject.program, &status, 0) < 0 || !WIFSTOPPED(status))
		die("the program did not start");
	if (ptrace(PTRACE_SETOPTIONS, inject.program, NULL, (void *)options) < 0)
		die("ptrace");
	/* Up to the exec: its own calls are not counted. */
	do {
		(void)ptrace(PTRACE_CONT, inject.program, NULL, NULL);
		if (waitpid(inject.program, &status, 0) < 0 || !WIFSTOPPED(status))
			die("the program did not start");
	} while (status >> 16 != PTRACE_EVENT_EXEC);
	(void)task_of(inject.program);
	/* What stops next is the end of execve, which looks like the end of any call. */
	inject.task[0].inside = true;
	inject.task[0].number = SYS_execve;
	(void)ptrace(PTRACE_SYSCALL, inject.program, NULL, NULL);
}

int main(int argc, char **argv)
{
	int letter, result;

	while ((letter = getopt(argc, argv, "+do:")) > 0) {
		if (letter == 'd')
			inject.core_dumping = true;
		else if (letter == 'o' && !(inject.out = fopen(optarg, "we")))
			die(optarg);
		else if (letter == '?')
			return 99;
	}
	if (argc - optind < 3) {
		(void)fprintf(stderr, "usage: inject [-d] [-o FILE] N ACTION PROGRAM...\n");
		return 99;
	}
	inject.at = strtoul(argv[optind], NULL, 10);
	read_action(argv[optind + 1]);
	start(argv + optind + 2);
	result = follow();
	if (inject.out)
		(void)fclose(inject.out);
	return result;
}
