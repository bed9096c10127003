/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/process.h"

#define MEMORY_MAX (1ULL << 30)
#define NOBODY 65534

/* gcc has a macro, clang before its 21 only a feature. */
#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
/*
 * Started without an environment, and with standard error thrown away. Leaks are looked
 * for by a thread that traces us, which nobody may; what is found must end us to be heard.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

const char *__ubsan_default_options(void)
{
	return "halt_on_error=1";
}
#endif

static int limit(int resource, rlim_t value)
{
	const struct rlimit r = { value, value };

	return setrlimit((__rlimit_resource_t)resource, &r) < 0 ? -errno : 0;
}

/*
 * 1 and not 0: with a handler behind core_pattern the kernel makes no core for 1 alone,
 * which is what it has given the handler, so that this is not a crash to be handled.
 */
#define NO_CORE 1

static int set_limits(unsigned int seconds)
{
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_CORE, NO_CORE },    { RLIMIT_FSIZE, 0 },
		{ RLIMIT_NOFILE, 0 },	     { RLIMIT_NPROC, 0 },
		{ RLIMIT_CPU, seconds + 1 }, { RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
#ifndef __SANITIZE_ADDRESS__ /* its shadow alone is larger */
		{ RLIMIT_AS, MEMORY_MAX },
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		int r = limit(limits[i].resource, limits[i].value);

		if (r < 0)
			return r;
	}
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* Only tests and `handle --as-root` start us as root. */
static int drop_root(void)
{
	if (geteuid() != 0 && getuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return -errno;
	return 0;
}

static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(futex),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(sysinfo) /* by qsort() */,
	/* as machines of 32 bits call them; where there is no such call there is no rule */
	SCMP_SYS(_llseek),
	SCMP_SYS(fstat64),
	SCMP_SYS(sigreturn),
	SCMP_SYS(clock_gettime64),
	SCMP_SYS(futex_time64),
};

/* libunwind looks for ways to test addresses of its own process, and does without. */
static const int refused[] = {
	SCMP_SYS(pipe2),
	SCMP_SYS(mincore),
	SCMP_SYS(msync),
};

/* As fstat() of newer libcs asks: of a descriptor, with an empty name. */
#define OF_DESCRIPTOR(argument) argument(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH)
/* Memory that is nobody's file, and never code. */
#define NO_CODE SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)
#define NO_FILE SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)

static const struct {
	int call;
	unsigned int arguments;
	struct scmp_arg_cmp argument[2];
} bounded[] = {
	{ SCMP_SYS(newfstatat), 1, { OF_DESCRIPTOR(SCMP_A3) } },
	{ SCMP_SYS(statx), 1, { OF_DESCRIPTOR(SCMP_A2) } },
	{ SCMP_SYS(mmap), 2, { NO_CODE, NO_FILE } },
	{ SCMP_SYS(mmap2), 2, { NO_CODE, NO_FILE } },
	{ SCMP_SYS(mprotect), 1, { NO_CODE } },
	/* libelf asks whether a descriptor is one */
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_GETFD) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_GETFL) } },
	{ SCMP_SYS(fcntl64), 1, { SCMP_A1(SCMP_CMP_EQ, F_GETFD) } },
	{ SCMP_SYS(fcntl64), 1, { SCMP_A1(SCMP_CMP_EQ, F_GETFL) } },
};

static int add_rules(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(bounded) && r == 0; i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, bounded[i].call,
					   bounded[i].arguments, bounded[i].argument);
	return r;
}

__attribute__((unused)) static int load_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return -ENOMEM;
	r = add_rules(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int sandbox_enter(unsigned int fds, unsigned int seconds)
{
	int r;

	if (close_range(fds, ~0u, 0) < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = drop_root();
	if (r == 0)
		r = drop_capabilities();
	if (r == 0)
		r = process_undumpable(); /* after the ids: changing them resets it */
	if (r == 0)
		r = set_limits(seconds);
	if (r < 0)
		return r;
	process_deadline(seconds);
#ifdef __SANITIZE_ADDRESS__ /* it makes calls of its own, and reads names */
	return 0;
#else
	return load_filter();
#endif
}
