/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The registers of a system call, for the machines this runs on. Others: see meson.build. */

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)

struct regs {
	struct user_regs_struct r;
};

static inline unsigned long long *regs_place(struct regs *regs, int i)
{
	unsigned long long *const places[] = { &regs->r.rdi, &regs->r.rsi, &regs->r.rdx };

	return places[i];
}

static inline long regs_call(const struct regs *regs)
{
	return (long)regs->r.orig_rax;
}

static inline long regs_result(const struct regs *regs)
{
	return (long)regs->r.rax;
}

#elif defined(__aarch64__)

struct regs {
	struct user_regs_struct r;
};

static inline unsigned long long *regs_place(struct regs *regs, int i)
{
	return &regs->r.regs[i];
}

static inline long regs_call(const struct regs *regs)
{
	return (long)regs->r.regs[8];
}

static inline long regs_result(const struct regs *regs)
{
	return (long)regs->r.regs[0];
}

#endif

static inline bool regs_get(pid_t tid, struct regs *regs)
{
	struct iovec iov = { &regs->r, sizeof(regs->r) };

	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) == 0;
}

static inline void regs_put(pid_t tid, struct regs *regs)
{
	struct iovec iov = { &regs->r, sizeof(regs->r) };

	(void)ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &iov);
}

static inline unsigned long long regs_argument(struct regs *regs, int i)
{
	return *regs_place(regs, i);
}

static inline void regs_set_argument(pid_t tid, struct regs *regs, int i,
				     unsigned long long value)
{
	*regs_place(regs, i) = value;
	regs_put(tid, regs);
}

/* At the entry: the kernel makes no call of that number. */
static inline void regs_skip_call(pid_t tid, struct regs *regs)
{
#if defined(__x86_64__)
	regs->r.orig_rax = (unsigned long long)-1;
	regs_put(tid, regs);
#else
	int none = -1;
	struct iovec iov = { &none, sizeof(none) };

	(void)regs;
	(void)ptrace(PTRACE_SETREGSET, tid, (void *)0x404 /* NT_ARM_SYSTEM_CALL */, &iov);
#endif
}

/* At the exit. */
static inline void regs_set_result(pid_t tid, struct regs *regs, long value)
{
#if defined(__x86_64__)
	regs->r.rax = (unsigned long long)value;
#else
	regs->r.regs[0] = (unsigned long long)value;
#endif
	regs_put(tid, regs);
}
