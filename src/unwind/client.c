/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/clock.h"
#include "io/compat.h"
#include "io/dir.h"
#include "unwind/protocol.h"

#define PROGRAM COREFOLD_LIBEXEC "/corefold-unwind"
#define ARGUMENT 48
#define FIXED_ARGUMENTS 4
/* How long the program may take to give up by itself before it is killed. */
#define GRACE_MS 250
/* Where the child gathers its descriptors before they go to their numbers. */
#define PARKING 512

struct arguments {
	char text[FIXED_ARGUMENTS + PROTOCOL_MODULES_MAX][ARGUMENT];
	char *pointer[FIXED_ARGUMENTS + PROTOCOL_MODULES_MAX + 1];
	size_t n;
};

static char *next_argument(struct arguments *a)
{
	a->pointer[a->n] = a->text[a->n];
	return a->text[a->n++];
}

static unsigned int total_ms(const struct client_request *request)
{
	unsigned int ms = request->time_ms ?: PROTOCOL_TIME_DEFAULT_MS;

	return ms < PROTOCOL_TIME_MAX_MS ? ms : PROTOCOL_TIME_MAX_MS;
}

static size_t module_count(const struct client_request *request)
{
	return request->modules_n < PROTOCOL_MODULES_MAX ? request->modules_n
							 : PROTOCOL_MODULES_MAX;
}

static struct arguments *make_arguments(const struct client_request *request)
{
	struct arguments *a = calloc(1, sizeof(*a));
	unsigned int ms = total_ms(request);

	if (!a)
		return NULL;
	(void)snprintf(next_argument(a), ARGUMENT, "corefold-unwind");
	(void)snprintf(next_argument(a), ARGUMENT, "--memory=%s",
		       request->live ? "live" : "core");
	(void)snprintf(next_argument(a), ARGUMENT, "--time=%u",
		       ms > 2 * GRACE_MS ? ms - GRACE_MS : ms);
	if (request->threads > 0)
		(void)snprintf(next_argument(a), ARGUMENT, "--threads=%u",
			       request->threads);
	for (size_t i = 0; i < module_count(request); i++)
		(void)snprintf(next_argument(a), ARGUMENT, "--module=%" PRIx64,
			       request->modules[i].start);
	return a;
}

/* ---- the child: async-signal-safe calls only ---- */

/* Moves fd out of the way of the numbers it and the others will get. */
static int park(int fd, int *next)
{
	int r = fcntl(fd, F_DUPFD_CLOEXEC, *next);

	if (r >= 0)
		*next = r + 1;
	return r;
}

/*
 * Every descriptor is copied high first, then down to its number: whatever numbers the
 * caller's had, none is overwritten before it was copied. Then nothing else is left open.
 */
static int place_fds(const struct client_request *request, int out_fd)
{
	size_t modules = module_count(request);
	int parked[4 + PROTOCOL_MODULES_MAX], n = 0, next = PARKING;

	parked[n++] = park(open("/dev/null", O_RDWR | O_CLOEXEC), &next);
	parked[n++] = park(out_fd, &next);
	parked[n++] = park(request->head_fd, &next);
	parked[n++] = park(request->memory_fd, &next);
	for (size_t i = 0; i < modules; i++)
		parked[n++] = park(request->modules[i].fd, &next);
	for (int i = 0; i < n; i++)
		if (parked[i] < 0)
			return -EBADF;
	if (dup2(parked[0], 0) < 0 || dup2(parked[1], 1) < 0 || dup2(parked[0], 2) < 0)
		return -EBADF;
	for (int i = 2; i < n; i++)
		if (dup2(parked[i], PROTOCOL_HEAD_FD + i - 2) < 0)
			return -EBADF;
	return close_range(PROTOCOL_HEAD_FD + (unsigned int)n - 2, ~0u, 0) < 0 ? -errno
									       : 0;
}

/* A blocked or ignored signal would survive exec. */
static void reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL); /* two of them cannot be changed */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

#define EXIT_MISSING 127

_Noreturn static void become_program(const struct client_request *request,
				     struct arguments *arguments, int out_fd)
{
	char *environment[] = { NULL };

	reset_signals();
	if (place_fds(request, out_fd) < 0)
		_exit(1);
	(void)execve(request->program ?: PROGRAM, arguments->pointer, environment);
	_exit(errno == ENOENT ? EXIT_MISSING : 1);
}

/* ---- the parent ---- */

struct answer_text {
	char *bytes;
	size_t n;
	size_t room;
};

static int grow(struct answer_text *text)
{
	size_t room = text->room ? text->room * 2 : 64u << 10;
	char *larger;

	if (text->n < text->room)
		return 0;
	if (text->room >= PROTOCOL_ANSWER_MAX)
		return CLIENT_E_ANSWER;
	larger = realloc(text->bytes, room);
	if (!larger)
		return -ENOMEM;
	text->bytes = larger;
	text->room = room;
	return 0;
}

static bool is_whole(const struct answer_text *text)
{
	return text->n > 0 && text->bytes[text->n - 1] == PROTOCOL_ANSWER_END;
}

/* Reads to the answer's end, the program's, the bound or the deadline, whichever is first. */
static int drain(int fd, int64_t end_ms, struct answer_text *text)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int64_t left = end_ms - clock_monotonic_ms();
		ssize_t n;
		int r;

		if (left <= 0)
			return CLIENT_E_TIME;
		r = grow(text);
		if (r != 0)
			return r;
		r = poll(&poll_fd, 1, (int)left);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		n = read(fd, text->bytes + text->n, text->room - text->n);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		text->n += n > 0 ? (size_t)n : 0;
		if (is_whole(text))
			return 0;
	}
}

/*
 * It closed its pipe, so it is about to be gone; but it may also sit there, and one that
 * reads from a file system that does not answer cannot even be killed: whoever comes after
 * us reaps it.
 */
static int reap(pid_t pid, bool kill_it, int *ret_status)
{
	for (int tries = 0; tries < 2 * GRACE_MS; tries++) {
		pid_t r;

		if (kill_it || tries == GRACE_MS)
			(void)kill(pid,
				   SIGKILL); /* ours and not reaped: the pid is its */
		r = waitpid(pid, ret_status, WNOHANG);
		if (r == pid)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
		(void)poll(NULL, 0, 1);
	}
	return CLIENT_E_TIME;
}

static int judge(int drained, int status)
{
	if (drained != 0)
		return drained;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGALRM ? CLIENT_E_TIME : CLIENT_E_FAILED;
	if (WEXITSTATUS(status) == EXIT_MISSING)
		return CLIENT_E_MISSING;
	return WEXITSTATUS(status) == 0 ? CLIENT_E_ANSWER : CLIENT_E_FAILED;
}

/*
 * A program that has answered is of no more use. Tearing it down takes as long as starting
 * it did: while a process is held nobody waits for that, and who comes after us reaps it.
 */
static void dismiss(const struct client_request *request, pid_t pid)
{
	int status;

	(void)kill(pid, SIGKILL); /* ours and not reaped: the pid is its */
	if (!request->live)
		(void)reap(pid, true, &status);
}

static bool well_formed(const json_t *answer)
{
	const json_t *threads = json_object_get(answer, "threads"), *thread;
	size_t i;

	if (json_integer_value(json_object_get(answer, "version")) != PROTOCOL_VERSION ||
	    !json_is_object(json_object_get(answer, "signal")) ||
	    !json_is_array(json_object_get(answer, "modules")) || !json_is_array(threads))
		return false;
	json_array_foreach(threads, i, thread) if (!json_is_array(json_object_get(
							   thread,
							   "frames"))) return false;
	return true;
}

static int parse(const struct answer_text *text, json_t **ret_answer)
{
	json_t *answer =
		text->n ? json_loadb(text->bytes, text->n, JSON_REJECT_DUPLICATES, NULL)
			: NULL;

	if (!answer || !well_formed(answer)) {
		json_decref(answer);
		return CLIENT_E_ANSWER;
	}
	*ret_answer = answer;
	return 0;
}

static int start(const struct client_request *request, pid_t *ret_pid, int *ret_fd)
{
	_cleanup_free_ struct arguments *arguments = make_arguments(request);
	sigset_t all, before;
	int fds[2];
	pid_t pid;

	if (!arguments)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/*
	 * The handler may hold a large buffer, whose page tables fork() would copy. The child
	 * runs in our memory until it is the program: no handler of ours may run in it.
	 */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = vfork();
	if (pid == 0)
		become_program(request, arguments, fds[1]);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)close(fds[1]);
	if (pid < 0) {
		int r = -errno;

		(void)close(fds[0]);
		return r;
	}
	*ret_pid = pid;
	*ret_fd = fds[0];
	return 0;
}

int client_unwind(const struct client_request *request, json_t **ret_answer)
{
	int64_t end_ms = clock_monotonic_ms() + total_ms(request);
	struct answer_text text = { 0 };
	_cleanup_close_ int fd = -1;
	int r, drained, status = 0;
	pid_t pid = -1;

	r = start(request, &pid, &fd);
	if (r < 0)
		return r;
	drained = drain(fd, end_ms, &text);
	close_fd(&fd); /* a writer that is not done yet gets SIGPIPE */
	if (drained == 0 && is_whole(&text)) {
		dismiss(request, pid);
		r = parse(&text, ret_answer);
	} else {
		r = reap(pid, drained != 0, &status);
		if (r == 0)
			r = judge(drained, status);
	}
	free(text.bytes);
	return r;
}

int client_memfd(const void *bytes, size_t n)
{
	_cleanup_close_ int fd =
		memfd_create("corefold-head", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = dir_write_all(fd, bytes, n);
	if (r < 0)
		return r;
	(void)fcntl(fd, F_ADD_SEALS,
		    F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	return take_fd(&fd);
}

const char *client_strerror(int r)
{
	switch (r) {
	case CLIENT_E_MISSING:
		return "corefold-unwind is not installed";
	case CLIENT_E_FAILED:
		return "corefold-unwind failed";
	case CLIENT_E_TIME:
		return "corefold-unwind did not answer in time";
	case CLIENT_E_ANSWER:
		return "corefold-unwind gave an answer that is none";
	default:
		return r < 0 ? strerror(-r) : "no error";
	}
}
