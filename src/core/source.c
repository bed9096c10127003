/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "core/corefile.h"
#include "io/cleanup.h"
#include "io/clock.h"

/* ---- the pipe ---- */

#define PIPE_BYTES (1 << 20)
/* In which the kernel writes a hundred kilobytes of notes. */
#define GATHER_NS 30000

/* Until there is something to read, or the other end is closed. */
static int pipe_wait(const struct source *source)
{
	struct pollfd poll_fd = { .fd = source->fd, .events = POLLIN };
	int64_t left = -1;
	int r;

	if (source->until_ms > 0) {
		left = source->until_ms - clock_monotonic_ms();
		if (left <= 0)
			return -ETIME;
	}
	r = poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);
	return r < 0 && errno != EINTR ? -errno : 0;
}

static ssize_t pipe_read(struct source *source, void *bytes, size_t n)
{
	for (;;) {
		ssize_t got;
		int r;

		if (source->fd < 0)
			return 0;
		got = read(source->fd, bytes, n);
		if (got >= 0)
			return got;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = pipe_wait(source);
		if (r < 0)
			return r;
	}
}

static bool move_hold(struct source *source, enum source_hold to)
{
	int held = SOURCE_HELD;

	return __atomic_compare_exchange_n(source->hold, &held, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static void pipe_release(struct source *source)
{
	if (source->hold && !move_hold(source, SOURCE_RELEASED))
		return;
	close_fd(&source->fd);
}

bool source_take_away(struct source *source)
{
	return move_hold(source, SOURCE_TAKEN_AWAY);
}

/* Where that is refused what there is does, too: 64 KiB, of a user with many pipes 8. */
void source_widen(struct source *source)
{
	if (source->fd >= 0)
		(void)fcntl(source->fd, F_SETPIPE_SZ, PIPE_BYTES);
}

size_t source_ready(const struct source *source)
{
	int n = 0;

	if (source->fd < 0 || ioctl(source->fd, FIONREAD, &n) < 0 || n < 0)
		return 0;
	return (size_t)n;
}

void source_gather(const struct source *source, size_t wanted)
{
	const struct timespec a_little = { .tv_nsec = GATHER_NS };
	size_t ready = source_ready(source), before;

	(void)prctl(PR_SET_TIMERSLACK, 1); /* of 50 us the kernel makes 100 otherwise */
	do {
		if (source->fd < 0 || ready >= wanted || ready >= PIPE_BYTES / 2)
			return;
		before = ready;
		(void)nanosleep(&a_little, NULL);
		ready = source_ready(source);
	} while (ready > before);
}

static const struct source_ops pipe_ops = { pipe_read, pipe_release };

void source_pipe(struct source *source, int fd)
{
	*source = (struct source){ .ops = &pipe_ops, .fd = fd };
}

void source_set_deadline(struct source *source, int64_t until_ms)
{
	/* The flag is of our end alone: the kernel goes on writing as before. */
	if (source->fd >= 0 && fcntl(source->fd, F_SETFL, O_NONBLOCK) == 0)
		source->until_ms = until_ms;
}

/* ---- a file ---- */

static ssize_t file_read(struct source *source, void *bytes, size_t n)
{
	ssize_t got = corefile_read(source->file, bytes, n, source->at);

	if (got > 0)
		source->at += (uint64_t)got;
	return got;
}

static void file_release(struct source *source)
{
	(void)source; /* nobody waits for a file */
}

static const struct source_ops file_ops = { file_read, file_release };

void source_file(struct source *source, struct corefile *file)
{
	*source = (struct source){ .ops = &file_ops, .fd = -1, .file = file };
}

/* ---- any ---- */

ssize_t source_read_some(struct source *source, void *bytes, size_t n)
{
	return source->ops->read(source, bytes, n);
}

ssize_t source_read_full(struct source *source, void *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = source->ops->read(source, (char *)bytes + done, n - done);

		if (got < 0)
			return got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

void source_release(struct source *source)
{
	if (source->ops)
		source->ops->release(source);
	if (source->released_at_ms == 0)
		source->released_at_ms = clock_monotonic_ms();
}
