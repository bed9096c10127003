/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A process that crashes with memory of a file system that does not answer. The file system
 * is its own, mounted in a user namespace by whoever may open the device, as any user can
 * on most machines; its server stops answering just before the crash. Started by root with
 * a UID it is mounted for that user, as fusermount does it; then the kernel lets everybody
 * wait for it, and not only the users of that namespace.
 *
 *   fuse DEVICE MODE [UID]
 *
 *   data     pages of a mapping that is dumped cannot be read
 *   stack    those above the stack pointer
 *   argv     those where the command line was
 *   header   the first one of a mapping, which the kernel itself looks at before it dumps
 *   open     the file of an executable mapping cannot be opened (through an overlay, which
 *            opens it with the rights of the one who mounted it)
 *   lock     a process that shares the memory waits for a page with the lock of the address
 *            space held, and another one for that lock, so that nobody else gets it
 *
 * Prints the server's pid, which is to be killed to let everybody go.
 */

#define FUSE_FILE_BYTES (64u * 4096)
#define ANSWERED_BYTES (40u * 4096) /* reads behind that are never answered */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define FILE_NODE 2
#define OTHER_NODE 3 /* of which nothing is ever read */

static volatile bool *silent; /* shared with the server: nothing is answered any more */

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

/* ---- the server ---- */

static void reply(int fd, const struct fuse_in_header *in, int error, const void *data,
		  size_t n)
{
	char bytes[sizeof(struct fuse_out_header) + 65536];
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + n),
				       .error = error,
				       .unique = in->unique };

	memcpy(bytes, &out, sizeof(out));
	if (n > 0)
		memcpy(bytes + sizeof(out), data, n);
	(void)!write(fd, bytes, sizeof(out) + n);
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.mode = node >= FILE_NODE ? S_IFREG | 0755 : S_IFDIR | 0755,
		.nlink = 1,
		.size = node >= FILE_NODE ? FUSE_FILE_BYTES : 0,
		.blksize = 4096,
	};
}

static void answer_read(int fd, const struct fuse_in_header *in)
{
	const struct fuse_read_in *want = (const void *)(in + 1);
	static const char zeros[65536];
	static int refused;

	/* Whoever is refused asks again, and then keeps the lock while it waits. */
	if (want->offset >= ANSWERED_BYTES && refused++ == 0)
		reply(fd, in, -EIO, NULL, 0);
	if (want->offset < ANSWERED_BYTES)
		reply(fd, in, 0, zeros, want->size < sizeof(zeros) ? want->size : sizeof(zeros));
}

static void answer(int fd, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					    .minor = 31,
					    .max_write = 65536 };
	const struct fuse_attr_out attr = { .attr_valid = 3600,
					    .attr = attributes(in->nodeid) };
	const struct fuse_entry_out entry = { .nodeid = FILE_NODE,
					      .entry_valid = 3600,
					      .attr_valid = 3600,
					      .attr = attributes(FILE_NODE) };
	const struct fuse_entry_out other = { .nodeid = OTHER_NODE,
					      .entry_valid = 3600,
					      .attr_valid = 3600,
					      .attr = attributes(OTHER_NODE) };
	const struct fuse_statfs_out statfs = { .st = { .bsize = 4096, .namelen = 255 } };
	const struct fuse_open_out opened = { .fh = 1 };

	if (*silent || in->opcode == FUSE_FORGET || in->opcode == FUSE_INTERRUPT)
		return;
	switch (in->opcode) {
	case FUSE_INIT:
		reply(fd, in, 0, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
		reply(fd, in, 0, &attr, sizeof(attr));
		break;
	case FUSE_LOOKUP:
		if (strcmp((const char *)(in + 1), "file") == 0)
			reply(fd, in, 0, &entry, sizeof(entry));
		else if (strcmp((const char *)(in + 1), "other") == 0)
			reply(fd, in, 0, &other, sizeof(other));
		else
			reply(fd, in, -ENOENT, NULL, 0);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(fd, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		answer_read(fd, in);
		break;
	case FUSE_STATFS:
		reply(fd, in, 0, &statfs, sizeof(statfs));
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		reply(fd, in, 0, NULL, 0);
		break;
	default:
		reply(fd, in, -ENOSYS, NULL, 0);
	}
}

static void serve(int fd)
{
	static char request[1 << 18] __attribute__((aligned(8)));

	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setsid();
	(void)alarm(600); /* not for ever where the test is killed */
	for (int i = 0; i < 3; i++)
		(void)close(i);
	for (;;) {
		ssize_t n = read(fd, request, sizeof(request));

		if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
			_exit(0);
		if (n > 0)
			answer(fd, (const struct fuse_in_header *)(const void *)request);
	}
}

/* ---- the world ---- */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	(void)close(fd);
}

static void enter_namespaces(void)
{
	char uids[64], gids[64];

	(void)snprintf(uids, sizeof(uids), "0 %u 1", getuid());
	(void)snprintf(gids, sizeof(gids), "0 %u 1", getgid());
	(void)prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		fail("unshare");
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", uids);
	write_text("/proc/self/gid_map", gids);
}

/* The mount as fusermount makes it, in a mount namespace only to be gone with us. */
static void enter_mount_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("unshare");
}

static void become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		fail("setresuid");
	(void)prctl(PR_SET_DUMPABLE, 1);
}

static void mount_it(int fd, uid_t uid)
{
	char options[128];

	(void)snprintf(options, sizeof(options),
		       "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd, uid, uid);
	if (mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0 || mkdir("/mnt/f", 0755) < 0 ||
	    mkdir("/mnt/up", 0755) < 0 || mkdir("/mnt/over", 0755) < 0 || mount("fuse", "/mnt/f", "fuse", 0, options) < 0)
		fail("mount");
}

static pid_t start_server(const char *device, uid_t uid)
{
	int fd = open(device, O_RDWR);
	pid_t pid;

	if (fd < 0)
		fail(device);
	mount_it(fd, uid);
	pid = fork();
	if (pid == 0)
		serve(fd);
	(void)close(fd);
	return pid;
}

static char *map_file(const char *path, void *where, int protection, size_t bytes)
{
	int fd = open(path, O_RDONLY);
	char *map;

	if (fd < 0)
		fail(path);
	map = mmap(where, bytes, protection, MAP_PRIVATE | (where ? MAP_FIXED : 0), fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
	(void)madvise(map, bytes, MADV_RANDOM); /* one page at a time */
	(void)close(fd);
	return map;
}

/* ---- the crashes ---- */

static void crash_on_it(char *map)
{
	static ucontext_t here, there;

	/* Frames stay in the page below the first that is not answered. */
	if (getcontext(&there) < 0)
		fail("getcontext");
	there.uc_stack.ss_sp = map;
	there.uc_stack.ss_size = ANSWERED_BYTES;
	makecontext(&there, abort, 0);
	(void)swapcontext(&here, &there);
}

static int read_page(void *page)
{
	(void)*(volatile char *)page;
	return 0;
}

static int take_lock(void *unused)
{
	(void)unused;
	(void)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return 0;
}

/* Other processes: the threads of this one end before it is dumped. */
static void share_memory(int (*run)(void *), void *argument)
{
	static char stack[2][65536] __attribute__((aligned(16)));
	static size_t n;

	if (clone(run, stack[n++] + sizeof(stack[0]), CLONE_VM, argument) < 0)
		fail("clone");
	(void)usleep(300000); /* nothing tells that it waits */
}

static void crash(const char *mode, char **argv)
{
	const int rw = PROT_READ | PROT_WRITE;
	char *map;

	if (strcmp(mode, "open") == 0) {
		if (mount("overlay", "/mnt/over", "overlay", 0,
			  "lowerdir=/mnt/f:/mnt/up,userxattr") < 0)
			fail("overlay");
		map = map_file("/mnt/over/file", NULL, PROT_READ | PROT_EXEC, 4096);
		(void)*(volatile char *)map;
		*silent = true;
		abort();
	}
	map = map_file("/mnt/f/file", NULL, rw, FUSE_FILE_BYTES);
	map[0] = 1; /* now it is dumped */
	if (strcmp(mode, "stack") == 0)
		crash_on_it(map);
	if (strcmp(mode, "argv") == 0)
		(void)map_file("/mnt/f/file", (void *)((uintptr_t)argv[0] & ~4095ul),
			       rw, 4096);
	if (strcmp(mode, "header") == 0) {
		(void)munmap(map, FUSE_FILE_BYTES);
		(void)map_file("/mnt/f/other", NULL, PROT_READ, 4096);
	}
	if (strcmp(mode, "lock") == 0) {
		share_memory(read_page, map + ANSWERED_BYTES);
		share_memory(take_lock, NULL);
	}
	*silent = true;
	abort();
}

int main(int argc, char **argv)
{
	char mode[16], device[256];
	uid_t uid = 0;

	if (argc != 3 && argc != 4)
		return 2;
	if (argc == 4)
		uid = (uid_t)strtoul(argv[3], NULL, 10);
	(void)snprintf(mode, sizeof(mode), "%s", argv[2]);
	(void)snprintf(device, sizeof(device), "%s", argv[1]);
	silent = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (silent == MAP_FAILED)
		return 1;
	if (uid > 0)
		enter_mount_namespace();
	else
		enter_namespaces();
	(void)printf("%d\n", (int)start_server(device, uid));
	(void)fflush(stdout);
	if (uid > 0)
		become(uid);
	crash(mode, argv);
	return 1;
}
