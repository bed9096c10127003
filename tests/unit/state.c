/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The throttle file: what is written is read, by whoever comes next. */

#include "io/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "stateutil.h"
#include "state_more.h"
#include "unit.h"

/* ---- what is written is read ---- */

START_TEST(test_new_file)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	struct stat st;
	uint32_t index = 77;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	ck_assert_int_eq(state_verify(&state), 0);
	ck_assert_uint_eq(state.header.change, 0);
	ck_assert_int_eq(state_find(&state, 0, "a", &index, &slot), STATE_E_NONE);
	ck_assert_uint_eq(index, 77);
	ck_assert_int_eq(fstatat(dir_fd, STATE_FILE, &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_nlink, 1);
	state_done(&state);
	state_done(&state);
}
END_TEST

START_TEST(test_persistence)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	crash_times(&state, 1000, "loop", 12);
	crash_times(&state, 1001, "loop", 1);
	state.header.clock.boots = 5;
	state.header.hours.operational = 42;
	state.header.totals.unseen = 3;
	ck_assert_int_eq(state_write(&state, 0, NULL, STATE_INFLIGHT, true), 0);
	state_done(&state);

	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1000, "loop", &slot), 0);
	ck_assert_uint_eq(slot.account.crashes, 12);
	ck_assert_uint_eq(slot.account.throttle.pending, 4);
	ck_assert_uint_eq(slot.account.throttle.window.count, 12);
	ck_assert_uint_eq(state.header.change, 3);
	ck_assert_uint_eq(state.header.sequence, 2);
	ck_assert_uint_eq(state.header.clock.boots, 5);
	ck_assert_uint_eq(state.header.hours.operational, 42);
	ck_assert_uint_eq(state.header.totals.crashes, 13);
	ck_assert_uint_eq(state.header.totals.kept_weight, 9);
	ck_assert_uint_eq(state.header.totals.unseen, 3);
	state_done(&state);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1001, "loop", &slot), 0);
	ck_assert_uint_eq(slot.account.crashes, 1);
	state_done(&state);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1002, "loop", &slot), STATE_E_NONE);
	state_done(&state);
}
END_TEST

/* Nothing is written by a claim, however often. */
START_TEST(test_claim_is_no_change)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	uint32_t first, second;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	ck_assert_int_eq(state_claim(&state, 1, "a", &first, &slot), 0);
	ck_assert_int_eq(state_claim(&state, 2, "b", &second, &slot), 0);
	ck_assert_uint_eq(first, second);
	ck_assert_str_eq(slot.process, "b");
	ck_assert_uint_eq(slot.uid, 2);
	ck_assert_uint_eq(slot.account.crashes, 0);
	state_unlock(&state);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1, "a", &slot), STATE_E_NONE);
	ck_assert_uint_eq(state.header.change, 0);
	state_done(&state);
}
END_TEST

START_TEST(test_unbalanced)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	uint32_t index;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	ck_assert_int_eq(state_claim(&state, 1, "a", &index, &slot), 0);
	slot.account.crashes = 5;
	ck_assert_int_eq(state_write(&state, index, &slot, STATE_INFLIGHT, false), 0);
	ck_assert_int_eq(state_read_slot(&state, index, &slot), STATE_E_BAD);
	ck_assert_int_eq(state_verify(&state), STATE_E_BAD);
	state_done(&state);
}
END_TEST

/* ---- more processes than places ---- */

START_TEST(test_eviction)
{
	struct state state = STATE_NULL;
	const struct totals *totals = &state.header.totals;
	struct state_slot slot;
	uint32_t index;
	int dir_fd = unit_dir();
	char name[NAME_SIZE];

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	crash_times(&state, 7, "quiet", 9);
	for (int i = 0; i < STATE_SLOTS + 200; i++) {
		(void)snprintf(name, sizeof(name), "flood-%d", i);
		crash_times(&state, 666, name, 9);
	}
	ck_assert_uint_eq(totals->crashes, 9 * (STATE_SLOTS + 201));
	ck_assert_uint_eq(totals->kept_weight, 8 * (STATE_SLOTS + 201));
	ck_assert_uint_eq(totals->pending, STATE_SLOTS);
	ck_assert_uint_eq(totals->evicted, 201);
	state_done(&state);

	ck_assert_int_eq(lock_and_find(&state, dir_fd, 7, "quiet", &slot), 0);
	ck_assert_int_eq(state_find(&state, 666, "flood-0", &index, &slot), STATE_E_NONE);
	ck_assert_int_eq(state_find(&state, 666, "flood-200", &index, &slot), STATE_E_NONE);
	ck_assert_int_eq(state_find(&state, 666, "flood-201", &index, &slot), 0);
	ck_assert_uint_eq(totals->evicted, 201);

	/* Who comes back begins again; the counts of the first life stay. */
	crash_times(&state, 666, "flood-0", 1);
	ck_assert_int_eq(state_find(&state, 666, "flood-0", &index, &slot), 0);
	ck_assert_uint_eq(slot.account.crashes, 1);
	ck_assert_uint_eq(totals->crashes, 9 * (STATE_SLOTS + 201) + 1);
	ck_assert_uint_eq(totals->evicted, 202);
	ck_assert_int_eq(state_verify(&state), 0);
	state_done(&state);
}
END_TEST

START_TEST(test_all_busy)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	uint32_t index;
	int dir_fd = unit_dir();
	char name[NAME_SIZE];

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		(void)snprintf(name, sizeof(name), "busy-%u", i);
		ck_assert_int_eq(state_claim(&state, i, name, &index, &slot), 0);
		account_enter(&slot.account, 1);
		ck_assert_int_eq(state_write(&state, index, &slot, STATE_INFLIGHT, false), 0);
	}
	ck_assert_int_eq(state_claim(&state, 0, "late", &index, &slot), STATE_E_FULL);
	ck_assert_int_eq(state_find(&state, 500, "busy-500", &index, &slot), 0);
	account_commit(&slot.account, 1);
	ck_assert_int_eq(state_write(&state, index, &slot, STATE_INFLIGHT, false), 0);
	ck_assert_int_eq(state_claim(&state, 0, "late", &index, &slot), 0);
	crash_times(&state, 0, "late", 1);
	ck_assert_int_eq(state_find(&state, 500, "busy-500", &index, &slot), STATE_E_NONE);
	/* In flight without an entry of whose it is: it would never land. */
	ck_assert_int_eq(state_verify(&state), STATE_E_BAD);
	state_done(&state);
}
END_TEST

/* ---- what somebody else put there ---- */

enum plant {
	SYMLINK,
	DANGLING,
	HARD_LINK,
	FIFO,
	DIRECTORY,
	SOCKET,
	GROUP_WRITABLE,
	WORLD_WRITABLE,
	EMPTY,
	SHORT,
	LONG,
	TEXT,
};

static const struct {
	const char *claim;
	enum plant plant;
} plants[] = {
	{ "a symbolic link to a good state", SYMLINK },
	{ "a symbolic link to nowhere", DANGLING },
	{ "a second name of a good state", HARD_LINK },
	{ "a FIFO", FIFO },
	{ "a directory", DIRECTORY },
	{ "a socket", SOCKET },
	{ "a good state that the group may write", GROUP_WRITABLE },
	{ "a good state that all may write", WORLD_WRITABLE },
	{ "an empty file", EMPTY },
	{ "a good state, cut off", SHORT },
	{ "a good state with a tail", LONG },
	{ "some text", TEXT },
};

static void make_good(int dir_fd)
{
	struct state state = STATE_NULL;

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	crash_times(&state, 1000, "loop", 12);
	state_done(&state);
}

static void plant_socket(int dir_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd,
		       STATE_FILE);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(close(fd), 0);
}

static void resize(int dir_fd, off_t by)
{
	int fd = openat(dir_fd, STATE_FILE, O_RDWR | O_CLOEXEC);
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(ftruncate(fd, st.st_size + by), 0);
	ck_assert_int_eq(close(fd), 0);
}

static int plant(int dir_fd, enum plant plant)
{
	switch (plant) {
	case SYMLINK:
		make_good(dir_fd);
		ck_assert_int_eq(renameat(dir_fd, STATE_FILE, dir_fd, "other"), 0);
		return symlinkat("other", dir_fd, STATE_FILE);
	case DANGLING:
		return symlinkat("nowhere", dir_fd, STATE_FILE);
	case HARD_LINK:
		make_good(dir_fd);
		return linkat(dir_fd, STATE_FILE, dir_fd, "other", 0);
	case FIFO:
		return mkfifoat(dir_fd, STATE_FILE, 0600);
	case DIRECTORY:
		return mkdirat(dir_fd, STATE_FILE, 0700);
	case SOCKET:
		plant_socket(dir_fd);
		return 0;
	case GROUP_WRITABLE:
	case WORLD_WRITABLE:
		make_good(dir_fd);
		return fchmodat(dir_fd, STATE_FILE, plant == GROUP_WRITABLE ? 0620 : 0602, 0);
	case SHORT:
	case LONG:
		make_good(dir_fd);
		resize(dir_fd, plant == SHORT ? -1 : 4096);
		return 0;
	default:
		unit_write_file(dir_fd, STATE_FILE, "no state", plant == EMPTY ? 0 : 8);
		return 0;
	}
}

/* Refused, set aside, and counting goes on with a new file. */
START_TEST(test_planted)
{
	struct state state = STATE_NULL;
	int dir_fd = unit_dir();

	ck_assert_int_eq(plant(dir_fd, plants[_i].plant), 0);
	claim_int_eq(plants[_i].claim, state_lock(&state, dir_fd, 0), STATE_E_BAD);
	claim_int_eq(plants[_i].claim, state.locked, false);
	ck_assert_int_eq(faccessat(dir_fd, STATE_FILE ".bad", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	claim_int_eq(plants[_i].claim, state_lock(&state, dir_fd, 0), 0);
	ck_assert_int_eq(state_verify(&state), 0);
	crash_times(&state, 1, "a", 1);
	state_done(&state);
	ck_assert_int_ne(faccessat(dir_fd, "nowhere", F_OK, 0), 0);
}
END_TEST

/* Damage that is found later, with the lock held. */
START_TEST(test_set_aside)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	int dir_fd = unit_dir();

	make_good(dir_fd);
	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	ck_assert_int_eq(state_set_aside(&state), 0);
	ck_assert(!state.locked);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1000, "loop", &slot), STATE_E_NONE);
	state_done(&state);
	ck_assert_int_eq(renameat(dir_fd, STATE_FILE ".bad", dir_fd, STATE_FILE), 0);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1000, "loop", &slot), 0);
	state_done(&state);
}
END_TEST

/* A file renamed under an open object is not counted into. */
START_TEST(test_replaced)
{
	struct state state = STATE_NULL, other = STATE_NULL;
	struct state_slot slot;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	crash_times(&state, 1, "old", 1);
	state_unlock(&state);
	ck_assert_int_eq(renameat(dir_fd, STATE_FILE, dir_fd, "away"), 0);
	ck_assert_int_eq(state_lock(&other, dir_fd, 0), 0);
	crash_times(&other, 1, "new", 1);
	state_done(&other);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1, "old", &slot), STATE_E_NONE);
	state_unlock(&state);
	ck_assert_int_eq(lock_and_find(&state, dir_fd, 1, "new", &slot), 0);
	state_done(&state);
}
END_TEST

START_TEST(test_no_directory)
{
	struct state state = STATE_NULL;
	int dir_fd = unit_dir();

	ck_assert_int_eq(rmdir(unit_dir_path()), 0);
	ck_assert_int_eq(state_lock(&state, dir_fd, 0), -ENOENT);
	ck_assert(!state.locked);
	state_done(&state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *file = unit_case(suite, "file");
	TCase *evictions = unit_case(suite, "eviction");
	TCase *planted = unit_case(suite, "planted");

	tcase_add_test(file, test_new_file);
	tcase_add_test(file, test_persistence);
	tcase_add_test(file, test_claim_is_no_change);
	tcase_add_test(file, test_unbalanced);
	tcase_add_test(file, test_replaced);
	tcase_add_test(file, test_no_directory);
	tcase_add_test(evictions, test_eviction);
	tcase_add_test(evictions, test_all_busy);
	tcase_add_loop_test(planted, test_planted, 0, ROWS(plants));
	tcase_add_test(planted, test_set_aside);
	state_torn_cases(suite);
	state_others_cases(suite);
	return unit_main(suite);
}
