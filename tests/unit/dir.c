/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A directory or file that another user could have prepared is not used. */

#include "io/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static const struct {
	const char *claim;
	mode_t parent;
	mode_t mode; /* 0: missing */
	const char *name;
	int result;
} privates[] = {
	{ "ours alone", 0755, 0700, "d", 0 },
	{ "others may read", 0755, 0755, "d", 0 },
	{ "a slash at the end", 0755, 0700, "d/", 0 },
	{ "the group may write", 0755, 0770, "d", DIR_E_WRITABLE },
	{ "all may write", 0755, 0707, "d", DIR_E_WRITABLE },
	{ "all may write above", 0777, 0700, "d", DIR_E_ABOVE_WRITABLE },
	{ "all may write above, sticky", 01777, 0700, "d", DIR_E_ABOVE_WRITABLE },
	{ "the group may write above", 0775, 0700, "d", DIR_E_ABOVE_WRITABLE },
	{ "missing", 0755, 0, "d", -ENOENT },
	{ "a symbolic link to a good one", 0755, 0700, "link", DIR_E_LINK },
	{ "a file", 0755, 0700, "file", DIR_E_KIND },
};

START_TEST(test_private)
{
	int parent_fd = unit_dir(), fd = -1;
	char path[4096];
	uid_t uid = (uid_t)-2;
	gid_t gid;

	if (privates[_i].mode) {
		ck_assert_int_eq(mkdirat(parent_fd, "d", 0700), 0);
		ck_assert_int_eq(fchmodat(parent_fd, "d", privates[_i].mode, 0), 0);
	}
	ck_assert_int_eq(symlinkat("d", parent_fd, "link"), 0);
	unit_write_file(parent_fd, "file", "", 0);
	ck_assert_int_eq(fchmod(parent_fd, privates[_i].parent), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", unit_dir_path(), privates[_i].name);
	claim_int_eq(privates[_i].claim, dir_open_private(path, &fd, &uid, &gid),
		     privates[_i].result);
	claim_int_eq(privates[_i].claim, fd >= 0, privates[_i].result == 0);
	claim_int_eq(privates[_i].claim, uid,
		     privates[_i].result == 0 ? geteuid() : (uid_t)-2);
}
END_TEST

static const struct {
	const char *claim;
	enum { MISSING, PRIVATE, READABLE, WRITABLE, LINK, PLAIN } what;
	int result;
} belows[] = {
	{ "missing: it is made", MISSING, 0 },
	{ "there already", PRIVATE, 0 },
	{ "others may read", READABLE, 0 },
	{ "others may write", WRITABLE, DIR_E_WRITABLE },
	{ "a symbolic link", LINK, DIR_E_LINK },
	{ "a file", PLAIN, DIR_E_KIND },
};

START_TEST(test_below)
{
	static const mode_t modes[] = { 0, 0700, 0755, 0722 };
	int dir_fd = unit_dir(), fd = -1;
	struct stat st;

	if (belows[_i].what == LINK) {
		ck_assert_int_eq(mkdirat(dir_fd, "other", 0700), 0);
		ck_assert_int_eq(symlinkat("other", dir_fd, "d"), 0);
	} else if (belows[_i].what == PLAIN) {
		unit_write_file(dir_fd, "d", "", 0);
	} else if (belows[_i].what != MISSING) {
		ck_assert_int_eq(mkdirat(dir_fd, "d", 0700), 0);
		ck_assert_int_eq(fchmodat(dir_fd, "d", modes[belows[_i].what], 0), 0);
	}
	claim_int_eq(belows[_i].claim, dir_open_below(dir_fd, "d", &fd), belows[_i].result);
	claim_int_eq(belows[_i].claim, fd >= 0, belows[_i].result == 0);
	if (belows[_i].what == MISSING) {
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_int_eq(st.st_mode & 07777, 0700);
	}
}
END_TEST

enum file { NEW, GOOD, GROUP, OTHERS, TWO_NAMES, SYMLINK, DANGLING, FIFO, DIRECTORY };

static const struct {
	const char *claim;
	enum file file;
	int flags;
	int result;
} files[] = {
	{ "made when asked", NEW, O_RDWR | O_CREAT, 0 },
	{ "not made when not", NEW, O_RDWR, -ENOENT },
	{ "a good one to read", GOOD, O_RDONLY, 0 },
	{ "a good one to write", GOOD, O_WRONLY | O_CREAT, 0 },
	{ "a good one, exclusively", GOOD, O_WRONLY | O_CREAT | O_EXCL, -EEXIST },
	{ "the group may write", GROUP, O_RDONLY, DIR_E_WRITABLE },
	{ "others may write", OTHERS, O_RDONLY, DIR_E_WRITABLE },
	{ "another name of it exists", TWO_NAMES, O_RDWR, DIR_E_NAMES },
	{ "a symbolic link", SYMLINK, O_RDWR, DIR_E_LINK },
	{ "a symbolic link to nowhere", DANGLING, O_RDWR | O_CREAT, DIR_E_LINK },
	{ "a FIFO to read", FIFO, O_RDONLY, DIR_E_KIND },
	{ "a FIFO to write", FIFO, O_WRONLY, DIR_E_KIND },
	{ "a FIFO for both", FIFO, O_RDWR, DIR_E_KIND },
	{ "a directory to read", DIRECTORY, O_RDONLY, DIR_E_KIND },
	{ "a directory to write", DIRECTORY, O_RDWR, DIR_E_KIND },
};

static void make_file(int dir_fd, enum file file)
{
	static const mode_t modes[] = { [GOOD] = 0600, [GROUP] = 0620, [OTHERS] = 0602,
					[TWO_NAMES] = 0600 };

	switch (file) {
	case NEW:
		break;
	case SYMLINK:
		unit_write_file(dir_fd, "other", "", 0);
		ck_assert_int_eq(symlinkat("other", dir_fd, "f"), 0);
		break;
	case DANGLING:
		ck_assert_int_eq(symlinkat("other", dir_fd, "f"), 0);
		break;
	case FIFO:
		ck_assert_int_eq(mkfifoat(dir_fd, "f", 0600), 0);
		break;
	case DIRECTORY:
		ck_assert_int_eq(mkdirat(dir_fd, "f", 0700), 0);
		break;
	default:
		unit_write_file(dir_fd, "f", "", 0);
		ck_assert_int_eq(fchmodat(dir_fd, "f", modes[file], 0), 0);
		if (file == TWO_NAMES)
			ck_assert_int_eq(linkat(dir_fd, "f", dir_fd, "other", 0), 0);
		break;
	}
}

START_TEST(test_file)
{
	int dir_fd = unit_dir(), fd = -1;
	struct stat st;

	make_file(dir_fd, files[_i].file);
	claim_int_eq(files[_i].claim, dir_open_file(dir_fd, "f", files[_i].flags, &fd),
		     files[_i].result);
	claim_int_eq(files[_i].claim, fd >= 0, files[_i].result == 0);
	if (files[_i].file == DANGLING)
		ck_assert_int_ne(faccessat(dir_fd, "other", F_OK, 0), 0);
	if (fd < 0)
		return;
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

START_TEST(test_named)
{
	int dir_fd = unit_dir(), fd = -1;

	unit_write_file(dir_fd, "a", "1", 1);
	unit_write_file(dir_fd, "b", "2", 1);
	ck_assert_int_eq(dir_open_file(dir_fd, "a", O_RDONLY, &fd), 0);
	ck_assert_int_eq(dir_is_named(dir_fd, "a", fd), 1);
	ck_assert_int_eq(dir_is_named(dir_fd, "b", fd), 0);
	ck_assert_int_eq(renameat(dir_fd, "b", dir_fd, "a"), 0);
	ck_assert_int_eq(dir_is_named(dir_fd, "a", fd), 0);
	ck_assert_int_eq(unlinkat(dir_fd, "a", 0), 0);
	ck_assert_int_eq(dir_is_named(dir_fd, "a", fd), 0);
	ck_assert_int_eq(dir_is_named(-1, "a", fd), -EBADF);
	close(fd);
	ck_assert_int_eq(dir_is_named(dir_fd, "a", fd), -EBADF);
}
END_TEST

static const struct {
	const char *claim;
	size_t bytes;
	size_t max;
	int result;
} reads[] = {
	{ "an empty file", 0, 100, 0 },
	{ "a small file", 50, 100, 0 },
	{ "just the bound", 100, 100, 0 },
	{ "a byte beyond", 101, 100, DIR_E_TOO_LARGE },
	{ "around the first buffer", 4095, 1 << 20, 0 },
	{ "the first buffer", 4096, 1 << 20, 0 },
	{ "many buffers", 1 << 20, 1 << 20, 0 },
	{ "many buffers and a byte", (1 << 20) + 1, 1 << 20, DIR_E_TOO_LARGE },
};

START_TEST(test_read)
{
	struct unit_random random = unit_random(_i);
	char *wrote = malloc(reads[_i].bytes + 1), *text = NULL;
	int dir_fd = unit_dir(), fd;
	size_t n = 0;

	ck_assert_ptr_nonnull(wrote);
	for (size_t i = 0; i < reads[_i].bytes; i++)
		wrote[i] = (char)unit_next(&random);
	fd = openat(dir_fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dir_write_all(fd, wrote, reads[_i].bytes), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	claim_int_eq(reads[_i].claim, dir_read_fd(fd, reads[_i].max, &text, &n),
		     reads[_i].result);
	if (reads[_i].result == 0) {
		claim_int_eq(reads[_i].claim, n, reads[_i].bytes);
		ck_assert_int_eq(text[n], '\0');
		ck_assert_int_eq(memcmp(text, wrote, n), 0);
	}
	free(text);
	free(wrote);
	(void)close(fd);
}
END_TEST

START_TEST(test_write_fails)
{
	int fd = openat(unit_dir(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(dir_write_all(fd, "x", 1), -EBADF);
	ck_assert_int_eq(dir_write_all(fd, "x", 0), 0);
	if (full >= 0)
		ck_assert_int_eq(dir_write_all(full, "x", 1), -ENOSPC);
}
END_TEST

START_TEST(test_strerror)
{
	ck_assert_ptr_nonnull(strstr(dir_strerror(DIR_E_WRITABLE), "its group or others may write"));
	ck_assert_str_eq(dir_strerror(DIR_E_TOO_LARGE), "too large");
	ck_assert_str_eq(dir_strerror(-ENOENT), strerror(ENOENT));
	ck_assert_str_eq(dir_strerror(0), "no error");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dir");
	TCase *dir_case = unit_case(suite, "dir");

	(void)umask(0);
	tcase_add_loop_test(dir_case, test_private, 0, ROWS(privates));
	tcase_add_loop_test(dir_case, test_below, 0, ROWS(belows));
	tcase_add_loop_test(dir_case, test_file, 0, ROWS(files));
	tcase_add_test(dir_case, test_named);
	tcase_add_loop_test(dir_case, test_read, 0, ROWS(reads));
	tcase_add_test(dir_case, test_write_fails);
	tcase_add_test(dir_case, test_strerror);
	return unit_main(suite);
}
