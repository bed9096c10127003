/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Other processes: who holds the lock, whose keep is still under way, many at once. */

#include "state_more.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stateutil.h"
#include "unit.h"

/* A child that has done its part and waits to be killed. */
struct child {
	pid_t pid;
	int ready_fd;
};

static struct child child_start(int dir_fd, void (*part)(struct state *))
{
	struct child child;
	int fds[2];
	char byte;

	ck_assert_int_eq(pipe(fds), 0);
	child.pid = fork();
	ck_assert_int_ge(child.pid, 0);
	if (child.pid == 0) {
		struct state state = STATE_NULL;

		if (state_lock(&state, dir_fd, 1000) != 0)
			_exit(1);
		part(&state);
		if (write(fds[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(fds[1]);
	child.ready_fd = fds[0];
	ck_assert_int_eq(read(child.ready_fd, &byte, 1), 1);
	return child;
}

static void child_kill(struct child *child)
{
	int status;

	ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
	ck_assert(WIFSIGNALED(status));
	(void)close(child->ready_fd);
}

/* ---- the lock ---- */

static void hold_lock(struct state *state)
{
	(void)state;
}

static const struct {
	const char *claim;
	unsigned int wait_ms;
} waits[] = {
	{ "not waiting at all", 0 },
	{ "a millisecond", 1 },
	{ "some more", 50 },
};

START_TEST(test_busy)
{
	struct state state = STATE_NULL;
	int dir_fd = unit_dir();
	struct child child = child_start(dir_fd, hold_lock);

	(void)alarm(10); /* far beyond the bound: a wait without one ends here */
	claim_int_eq(waits[_i].claim, state_lock(&state, dir_fd, waits[_i].wait_ms),
		     STATE_E_BUSY);
	claim_int_eq(waits[_i].claim, state.locked, false);
	(void)alarm(0);
	child_kill(&child);
	claim_int_eq(waits[_i].claim, state_lock(&state, dir_fd, 0), 0);
	state_done(&state);
}
END_TEST

START_TEST(test_busy_in_one_process)
{
	struct state first = STATE_NULL, second = STATE_NULL;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&first, dir_fd, 0), 0);
	ck_assert_int_eq(state_lock(&second, dir_fd, 0), STATE_E_BUSY);
	state_unlock(&first);
	state_unlock(&first);
	ck_assert_int_eq(state_lock(&second, dir_fd, 0), 0);
	ck_assert_int_eq(state_lock(&first, dir_fd, 0), STATE_E_BUSY);
	state_done(&second);
	ck_assert_int_eq(state_lock(&first, dir_fd, 0), 0);
	state_done(&first);
}
END_TEST

/* ---- in flight ---- */

static void begin_keep(struct state *state)
{
	struct state_slot slot;
	uint32_t index, entry;

	if (state_claim(state, 1, "p", &index, &slot) != 0 ||
	    state_inflight_take(state, &entry) != 0)
		_exit(1);
	account_enter(&slot.account, 1);
	(void)snprintf(state->inflight[entry].id, STATE_ID_SIZE, "id-%u", entry);
	state->inflight[entry].weight = 1;
	state->inflight[entry].slot = index;
	state->header.inflight_used++;
	if (state_write(state, index, &slot, entry, false) != 0)
		_exit(1);
	state_unlock(state);
}

START_TEST(test_alive)
{
	struct state state = STATE_NULL;
	int dir_fd = unit_dir();
	struct child first = child_start(dir_fd, begin_keep);
	struct child second = child_start(dir_fd, begin_keep);
	uint32_t mine;

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	ck_assert_str_eq(state.inflight[0].id, "id-0");
	ck_assert_str_eq(state.inflight[1].id, "id-1");
	ck_assert_uint_eq(state.header.inflight_used, 2);
	ck_assert(state_inflight_alive(&state, 0));
	ck_assert(state_inflight_alive(&state, 1));
	child_kill(&first);
	ck_assert(!state_inflight_alive(&state, 0));
	ck_assert(state_inflight_alive(&state, 1));
	ck_assert_int_eq(state_inflight_take(&state, &mine), 0);
	ck_assert_uint_eq(mine, 2); /* a dead one's entry is not free before it is settled */
	child_kill(&second);
	ck_assert(!state_inflight_alive(&state, 1));
	ck_assert(state_inflight_alive(&state, mine));
	state_inflight_release(&state, mine);
	ck_assert(!state_inflight_alive(&state, mine));
	ck_assert_int_eq(state_verify(&state), 0);
	state_done(&state);
}
END_TEST

/* An entry stays ours over unlocking and locking again, and is nobody's once we close. */
START_TEST(test_mine)
{
	struct state state = STATE_NULL, other = STATE_NULL;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	begin_keep(&state);
	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	ck_assert(state_inflight_alive(&state, 0));
	state_unlock(&state);
	ck_assert_int_eq(state_lock(&other, dir_fd, 0), 0);
	ck_assert(state_inflight_alive(&other, 0));
	state_unlock(&other);
	state_done(&state);
	ck_assert_int_eq(state_lock(&other, dir_fd, 0), 0);
	ck_assert(!state_inflight_alive(&other, 0));
	state_done(&other);
	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	ck_assert(!state_inflight_alive(&state, 0));
	state_done(&state);
}
END_TEST

START_TEST(test_entries_run_out)
{
	struct state state = STATE_NULL;
	int dir_fd = unit_dir();
	uint32_t entry;

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	for (uint32_t i = 0; i < STATE_INFLIGHT; i++) {
		ck_assert_int_eq(state_inflight_take(&state, &entry), 0);
		ck_assert_uint_eq(entry, i);
		(void)snprintf(state.inflight[entry].id, STATE_ID_SIZE, "id-%u", entry);
	}
	ck_assert_int_eq(state_inflight_take(&state, &entry), STATE_E_FULL);
	state_done(&state);
}
END_TEST

/* ---- many at once ---- */

#define HANDLERS 6
#define CRASHES 40

static void handler(int dir_fd, unsigned int number)
{
	char name[NAME_SIZE];

	for (int i = 0; i < CRASHES; i++) {
		struct state state = STATE_NULL;

		(void)snprintf(name, sizeof(name), "p%u", (number + (unsigned int)i) % 3);
		if (state_lock(&state, dir_fd, 30000) != 0 ||
		    try_crash_times(&state, 1, name, 1) != 0)
			_exit(1);
		state_done(&state);
	}
	_exit(0);
}

static void wait_for(const pid_t pid[HANDLERS])
{
	for (unsigned int i = 0; i < HANDLERS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_int_eq(status, 0);
	}
}

START_TEST(test_many)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	int dir_fd = unit_dir();
	pid_t pid[HANDLERS];

	for (unsigned int i = 0; i < HANDLERS; i++) {
		pid[i] = fork();
		ck_assert_int_ge(pid[i], 0);
		if (pid[i] == 0)
			handler(dir_fd, i);
	}
	wait_for(pid);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1, "p0", &slot), 0);
	ck_assert_uint_eq(state.header.totals.crashes, HANDLERS * CRASHES);
	ck_assert_uint_eq(state.header.sequence, HANDLERS * CRASHES);
	ck_assert_uint_eq(state.header.change, HANDLERS * CRASHES);
	state_done(&state);
}
END_TEST

#define DIRECTORIES 40

static void first_handler(const int dir_fd[DIRECTORIES])
{
	for (int i = 0; i < DIRECTORIES; i++) {
		struct state state = STATE_NULL;

		if (state_lock(&state, dir_fd[i], 30000) != 0 ||
		    try_crash_times(&state, 1, "p", 1) != 0)
			_exit(1);
		state_done(&state);
	}
	_exit(0);
}

/* The first crashes of a machine come at once: one file, and nobody finds it unsafe. */
START_TEST(test_many_first)
{
	int dir_fd[DIRECTORIES];
	pid_t pid[HANDLERS];

	for (int i = 0; i < DIRECTORIES; i++)
		dir_fd[i] = unit_dir();
	for (unsigned int i = 0; i < HANDLERS; i++) {
		pid[i] = fork();
		ck_assert_int_ge(pid[i], 0);
		if (pid[i] == 0)
			first_handler(dir_fd);
	}
	wait_for(pid);
	for (int i = 0; i < DIRECTORIES; i++) {
		struct state state = STATE_NULL;
		struct state_slot slot;

		ck_assert_int_eq(lock_and_find(&state, dir_fd[i], 1, "p", &slot), 0);
		ck_assert_uint_eq(slot.account.crashes, HANDLERS);
		state_done(&state);
	}
}
END_TEST

/* Handlers killed at any moment: whatever they got done is whole. */
START_TEST(test_killed)
{
	struct unit_random random = unit_random(_i);
	struct state state = STATE_NULL;
	struct state_slot slot;
	int dir_fd = unit_dir(), status;
	uint64_t change = 0;

	for (int round = 0; round < 40; round++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			handler(dir_fd, 0);
		for (uint64_t spin = unit_below(&random, 2000000); spin > 0; spin--)
			__asm__ volatile("");
		(void)kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		(void)lock_and_find(&state, dir_fd, 1, "p0", &slot);
		ck_assert_uint_ge(state.header.change, change);
		ck_assert_uint_eq(state.header.change, state.header.totals.crashes);
		change = state.header.change;
		state_done(&state);
	}
}
END_TEST

void state_others_cases(Suite *suite)
{
	TCase *others = unit_case(suite, "others");

	tcase_add_loop_test(others, test_busy, 0, ROWS(waits));
	tcase_add_test(others, test_busy_in_one_process);
	tcase_add_test(others, test_alive);
	tcase_add_test(others, test_mine);
	tcase_add_test(others, test_entries_run_out);
	tcase_add_test(others, test_many);
	tcase_add_test(others, test_many_first);
	tcase_add_loop_test(others, test_killed, 0, 3);
}
