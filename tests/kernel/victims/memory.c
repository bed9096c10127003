/* SPDX-License-Identifier: GPL-2.0-or-later */

/* victim-memory KIND [N]: maps memory of that kind, then aborts in stumble(). */

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)
#define PAGE 4096u

struct item {
	const struct item *next;
	char name[16];
};

static char *heap;

static char *map(size_t bytes, int flags, int fd)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		_exit(99);
	return p;
}

static char *anonymous(size_t bytes)
{
	return map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

static void fill(char *p, size_t bytes, size_t step)
{
	for (size_t i = 0; i < bytes; i += step)
		p[i] = (char)(i / step * 31 + 1);
}

static pthread_barrier_t barrier;

static void *wait_here(void *value)
{
	(void)pthread_barrier_wait(&barrier);
	(void)pause();
	return value;
}

static void start_threads(size_t n)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)pthread_barrier_init(&barrier, NULL, (unsigned int)n + 1);
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, MIB);
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&thread, &attributes, wait_here, NULL) != 0)
			_exit(96);
	(void)pthread_barrier_wait(&barrier);
}

/* Nine threads and a heap. */
static void threads(size_t mib)
{
	heap = anonymous((mib ? mib : 8) * MIB);
	fill(heap, (mib ? mib : 8) * MIB, 16);
	start_threads(8);
}

/*
 * A hundred processes of that size which crash at once. They share what none of them
 * writes, so that the machine needs it once; each of them has all of it all the same.
 */
static void herd(size_t mib)
{
	char byte;
	int gate[2];

	heap = anonymous(mib * MIB);
	fill(heap, mib * MIB, 16);
	if (pipe(gate) < 0)
		_exit(95);
	for (int i = 0; i < 100; i++)
		if (fork() == 0) {
			(void)close(gate[1]);
			(void)!read(gate[0], &byte, 1);
			return;
		}
	(void)close(gate[1]);
	while (wait(NULL) > 0)
		;
	_exit(0);
}

static void crowd(size_t n)
{
	start_threads(n ? n : 200);
}

/* Compresses to nothing less. */
static void noise(size_t mib)
{
	uint64_t *p = (uint64_t *)(void *)anonymous(mib * MIB), x = 88172645463325252ULL;

	for (size_t i = 0; i < mib * MIB / sizeof(*p); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
}

static int scratch(size_t bytes)
{
	int fd = memfd_create("victim", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		_exit(98);
	(void)!pwrite(fd, "of the file", 11, 5 * PAGE);
	return fd;
}

static void shared(size_t n)
{
	char *p = map(3 * MIB, MAP_SHARED | MAP_ANONYMOUS, -1);

	(void)n;
	fill(p + MIB, PAGE * 10, PAGE);
	p = map(MIB, MAP_SHARED, scratch(MIB));
	p[7 * PAGE] = 1;
}

static void sysv(size_t n)
{
	int id = shmget(IPC_PRIVATE, 2 * MIB, IPC_CREAT | 0600);
	char *p = id < 0 ? NULL : shmat(id, NULL, 0);

	(void)n;
	(void)shmctl(id, IPC_RMID, NULL);
	if (!p || p == (char *)-1)
		_exit(95);
	fill(p + 5 * PAGE, 20 * PAGE, PAGE);
}

/* Files as they are, shared and private, beside memory without a file: for coredump_filter. */
static void files(size_t filter)
{
	int fd = open("/proc/self/coredump_filter", O_WRONLY);

	if (dprintf(fd, "0x%zx", filter) < 0)
		_exit(94);
	(void)close(fd);
	fill(anonymous(MIB), MIB, PAGE);
	fill(map(MIB, MAP_SHARED | MAP_ANONYMOUS, -1), MIB / 2, PAGE);
	map(MIB, MAP_SHARED, scratch(MIB))[PAGE] = 1;
	map(MIB, MAP_PRIVATE, scratch(MIB))[9 * PAGE] = 1;
	(void)map(MIB, MAP_PRIVATE, scratch(MIB));
}

static void hugetlb(size_t n)
{
	fill(map(4 * MIB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1), 2 * MIB, 512);
	map(2 * MIB, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1)[n] = 1;
}

/* What is not in use goes to the swap. */
static void swapped(size_t n)
{
	char *p = anonymous(16 * MIB);

	(void)n;
	fill(p, 16 * MIB, 64);
	if (madvise(p + MIB, 14 * MIB, MADV_PAGEOUT) < 0)
		_exit(93);
}

/* Mapped, but behind the end of the file: whoever touches it gets SIGBUS. */
static void behind_the_end(size_t n)
{
	int fd = scratch(8 * PAGE);
	char *p = map(16 * PAGE, MAP_SHARED, fd);

	(void)n;
	p[0] = 1;
	p = map(16 * PAGE, MAP_PRIVATE, fd);
	p[PAGE] = 2;
	if (ftruncate(fd, 7 * PAGE) < 0)
		_exit(98);
}

/* Pages wait for somebody to bring them; nobody will. What the kernel may wait for, too. */
static void guard(char *p, size_t bytes, uint64_t mode, bool kernel)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (uintptr_t)p, bytes }, .mode = mode };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | (kernel ? 0 : UFFD_USER_MODE_ONLY));

	if (mode == UFFDIO_REGISTER_MODE_MINOR)
		api.features = UFFD_FEATURE_MINOR_SHMEM;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 ||
	    ioctl(fd, UFFDIO_REGISTER, &range) < 0)
		_exit(92);
}

/* Who may handle the kernel's faults (not 0), and that pages that are in the cache wait (2). */
static void userfault(size_t n)
{
	int fd = scratch(MIB);
	char *p = map(MIB, MAP_SHARED, fd), *q = anonymous(MIB);

	p[3 * PAGE] = 1;
	q[4 * PAGE] = 1;
	guard(p, MIB, UFFDIO_REGISTER_MODE_MISSING, n > 0);
	guard(q, MIB, UFFDIO_REGISTER_MODE_MISSING, n > 0);
	if (n > 1)
		guard(map(MIB, MAP_SHARED, fd), MIB, UFFDIO_REGISTER_MODE_MINOR, true);
}

static void private(size_t n)
{
	char *p = map(2 * MIB, MAP_PRIVATE, scratch(2 * MIB));

	(void)n;
	p[3 * PAGE] = 1;
	p[300 * PAGE] = 2;
}

static void huge(size_t n)
{
	char *p = anonymous(16 * MIB);

	(void)n;
	(void)madvise(p, 16 * MIB, MADV_HUGEPAGE);
	fill(p + 4 * MIB, 5 * MIB, 512);
	(void)madvise(p + 6 * MIB, 3 * PAGE, MADV_DONTNEED);
}

static void protected(size_t n)
{
	char *p = anonymous(MIB);

	(void)n;
	fill(p, MIB, 128);
	(void)mprotect(p + MIB / 4, MIB / 2, PROT_NONE);
	(void)mprotect(p, PAGE, PROT_READ);
}

static void dontdump(size_t n)
{
	char *p = anonymous(2 * MIB);

	(void)n;
	fill(p, 2 * MIB, 128);
	(void)madvise(p, MIB, MADV_DONTDUMP);
}

/* Pages that were read, never written: the kernel's page of zeros. */
static void read_only(size_t n)
{
	char *p = anonymous(64 * MIB);
	size_t sum = 0;

	(void)n;
	for (size_t i = 0; i < 64 * MIB; i += PAGE)
		sum += (size_t)*(volatile char *)(p + i);
	p[33 * MIB] = (char)(sum + 1);
}

static void many(size_t n)
{
	char *p = anonymous(128 * MIB);

	(void)n;
	fill(p, 128 * MIB, 100 * PAGE);
}

/* Pages that exist, and shrink to a thousandth. */
static void zeros(size_t mib)
{
	memset(anonymous(mib * MIB), 0, mib * MIB);
}

/* Every other page of it. */
static void comb(size_t mib)
{
	fill(anonymous(mib * MIB), mib * MIB, 2 * PAGE);
}

/* One page in the middle. */
static void sparse(size_t gib)
{
	const uint64_t bytes = (uint64_t)gib << 30;

	if (bytes > SIZE_MAX)
		exit(1); /* a machine of 32 bits */
	anonymous((size_t)bytes)[(size_t)(bytes / 2)] = 1;
}

static void sixteen_tebibytes(size_t n)
{
	(void)n;
	sparse(16 << 10);
}

static void mappings(size_t n)
{
	char *p = mmap(NULL, n * 2 * PAGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (size_t i = 0; p != MAP_FAILED && i < n; i++) {
		if (mprotect(p + i * 2 * PAGE, PAGE, PROT_READ | PROT_WRITE) < 0)
			_exit(97);
		p[i * 2 * PAGE] = (char)i;
	}
}

__attribute__((noinline)) static void stumble(const struct item *list)
{
	const struct item *volatile kept = list;

	if (kept)
		abort();
}

static void small(size_t n)
{
	(void)n;
}

static const struct item *make_list(void)
{
	struct item *first = calloc(1, sizeof(*first)), *second = calloc(1, sizeof(*second));

	strcpy(first->name, "first");
	strcpy(second->name, "second");
	first->next = second;
	return first;
}

static void on_overflow(int signal_number)
{
	(void)signal_number;
	stumble(make_list());
}

/* Runs out of stack; what handles that stands on another one. */
__attribute__((noinline)) static int descend(volatile char *above)
{
	volatile char here[8192];

	here[0] = *above;
	return *above ? descend(here) + here[0] : 0; /* it never is */
}

static void alternate(size_t n)
{
	const struct rlimit limit = { 256 << 10, 256 << 10 };
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction action = { .sa_handler = on_overflow, .sa_flags = SA_ONSTACK };
	volatile char top = 1;

	threads(n);
	(void)setrlimit(RLIMIT_STACK, &limit);
	(void)sigaltstack(&stack, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
	(void)descend(&top);
}

static const struct {
	const char *name;
	void (*prepare)(size_t n);
} kinds[] = {
	{ "small", small },	    { "threads", threads },	{ "shared", shared },
	{ "private", private },	    { "huge", huge },		{ "protected", protected },
	{ "dontdump", dontdump },   { "read_only", read_only }, { "many", many },
	{ "mappings", mappings },   { "alternate", alternate },
	{ "sixteen_tebibytes", sixteen_tebibytes },
	{ "behind_the_end", behind_the_end },
	{ "crowd", crowd },	    { "files", files },		{ "hugetlb", hugetlb },
	{ "noise", noise },	    { "swapped", swapped },	{ "sysv", sysv },
	{ "userfault", userfault }, { "herd", herd },		{ "zeros", zeros },
	{ "comb", comb },	    { "sparse", sparse },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(argv[1], kinds[i].name) == 0)
			kinds[i].prepare(argc > 2 ? strtoul(argv[2], NULL, 0) : 0);
	stumble(make_list());
}
