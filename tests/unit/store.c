/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Cores and records are there as a whole or not at all. */

#include "io/compat.h"
#include "io/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/dir.h"
#include "unit.h"

#define ID "20260101T000000Z-1"

static int open_store(void)
{
	int fd = -1;

	ck_assert_int_eq(store_open(unit_dir(), &fd), 0);
	return fd;
}

/* All names in the directory, in order: "a b". */
static struct unit_text listing(int store_fd)
{
	struct unit_text text = { "", 0 };
	struct dirent **entries;
	int n = scandirat(store_fd, ".", &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
			unit_append(&text, "%s%s", text.n ? " " : "", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return text;
}

static void put_core(int store_fd, const char *id, const char *bytes)
{
	struct store_file file = STORE_FILE_NULL;

	ck_assert_int_eq(store_begin(store_fd, &file), 0);
	ck_assert_int_eq(dir_write_all(file.fd, bytes, strlen(bytes)), 0);
	ck_assert_int_eq(store_finish(store_fd, &file, id, STORE_CORE_SUFFIX), 0);
	ck_assert_int_eq(file.fd, -1);
}

static void put_record(int store_fd, const char *id)
{
	json_t *record = json_pack("{s:s, s:i}", "id", id, "weight", 3);

	ck_assert_int_eq(store_put_record(store_fd, id, record), 0);
	json_decref(record);
}

START_TEST(test_put_and_read)
{
	int store_fd = open_store(), fd = -1;
	json_t *record = NULL;
	struct stat st;
	char bytes[16] = "";

	put_core(store_fd, ID, "core");
	put_record(store_fd, ID);
	ck_assert_int_eq(store_sync(store_fd), 0);
	ck_assert_str_eq(listing(store_fd).bytes, ID ".core.gz " ID ".json");
	ck_assert(store_has(store_fd, ID, STORE_CORE_SUFFIX));
	ck_assert(store_has(store_fd, ID, STORE_RECORD_SUFFIX));
	ck_assert_int_eq(store_read_record(store_fd, ID, &record), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(record, "weight")), 3);
	json_decref(record);
	ck_assert_int_eq(store_open_core(store_fd, ID, &fd), 0);
	ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), 4);
	ck_assert_str_eq(bytes, "core");
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(fstat(store_fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
}
END_TEST

/* What is not finished is not there, nor anything of it. */
START_TEST(test_abort)
{
	int store_fd = open_store();
	struct store_file file = STORE_FILE_NULL;

	ck_assert_int_eq(store_begin(store_fd, &file), 0);
	ck_assert_int_eq(dir_write_all(file.fd, "core", 4), 0);
	ck_assert(!store_has(store_fd, ID, STORE_CORE_SUFFIX));
	store_abort(store_fd, &file);
	store_abort(store_fd, &file);
	ck_assert_int_eq(file.fd, -1);
	ck_assert_str_eq(listing(store_fd).bytes, "");
}
END_TEST

START_TEST(test_twice)
{
	int store_fd = open_store();
	struct store_file file = STORE_FILE_NULL;
	json_t *record = json_pack("{s:s}", "id", "other");

	put_core(store_fd, ID, "first");
	put_record(store_fd, ID);
	ck_assert_int_eq(store_begin(store_fd, &file), 0);
	ck_assert_int_eq(store_finish(store_fd, &file, ID, STORE_CORE_SUFFIX), -EEXIST);
	ck_assert_int_eq(file.fd, -1);
	ck_assert_int_eq(store_put_record(store_fd, ID, record), -EEXIST);
	json_decref(record);
	ck_assert_str_eq(listing(store_fd).bytes, ID ".core.gz " ID ".json");
	ck_assert_int_eq(store_read_record(store_fd, ID, &record), 0);
	ck_assert_str_eq(json_string_value(json_object_get(record, "id")), ID);
	json_decref(record);
}
END_TEST

START_TEST(test_remove)
{
	int store_fd = open_store(), fd = -1;
	json_t *record = NULL;

	put_core(store_fd, ID, "core");
	put_record(store_fd, ID);
	(void)store_remove(store_fd, ID, STORE_CORE_SUFFIX);
	ck_assert_str_eq(listing(store_fd).bytes, ID ".json");
	(void)store_remove(store_fd, ID, STORE_CORE_SUFFIX);
	(void)store_remove(store_fd, ID, STORE_RECORD_SUFFIX);
	ck_assert_str_eq(listing(store_fd).bytes, "");
	ck_assert_int_eq(store_read_record(store_fd, ID, &record), -ENOENT);
	ck_assert_int_eq(store_open_core(store_fd, ID, &fd), -ENOENT);
	ck_assert_ptr_null(record);
	ck_assert_int_eq(fd, -1);
}
END_TEST

/* ---- listing ---- */

START_TEST(test_list)
{
	static const char *const ids[] = { "20260102T000000Z-7", "20260101T000000Z-9",
					   "20251231T235959Z-1" };
	int store_fd = open_store();
	char **listed = NULL;
	size_t n = 77;

	ck_assert_int_eq(store_list(store_fd, &listed, &n), 0);
	ck_assert_uint_eq(n, 0);
	store_free_ids(listed, n);
	for (int i = 0; i < ROWS(ids); i++)
		put_record(store_fd, ids[i]);
	put_core(store_fd, "20250101T000000Z-1", "no record");
	unit_write_file(store_fd, "README", "", 0);
	unit_write_file(store_fd, "a b.json", "{}", 2);
	unit_write_file(store_fd, ".json", "{}", 2);
	unit_write_file(store_fd, ".part.1.json", "{}", 2);
	unit_write_file(store_fd, "1234567890123456789012345678901234567890.json", "{}", 2);
	ck_assert_int_eq(store_list(store_fd, &listed, &n), 0);
	ck_assert_uint_eq(n, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_str_eq(listed[i], ids[2 - i]);
	store_free_ids(listed, n);
}
END_TEST

START_TEST(test_long_list)
{
	int store_fd = open_store();
	char **listed = NULL, id[STATE_ID_SIZE];
	size_t n = 0;

	for (int i = 999; i >= 0; i--) {
		(void)snprintf(id, sizeof(id), "t-%04d.json", i);
		unit_write_file(store_fd, id, "{}", 2);
	}
	ck_assert_int_eq(store_list(store_fd, &listed, &n), 0);
	ck_assert_uint_eq(n, 1000);
	ck_assert_str_eq(listed[0], "t-0000");
	ck_assert_str_eq(listed[999], "t-0999");
	store_free_ids(listed, n);
}
END_TEST

static const struct {
	const char *claim;
	const char *text;
	bool is_id;
} ids[] = {
	{ "one of ours", ID, true },
	{ "letters, digits, hyphens", "azAZ09-", true },
	{ "39 of them", "123456789012345678901234567890123456789", true },
	{ "40 of them", "1234567890123456789012345678901234567890", false },
	{ "nothing", "", false },
	{ "a path", "../x", false },
	{ "a path below", "a/b", false },
	{ "this directory", ".", false },
	{ "a blank", "a b", false },
	{ "a dot", "a.b", false },
	{ "a newline behind it", ID "\n", false },
	{ "UTF-8", "\xc3\xa4", false },
};

START_TEST(test_is_id)
{
	claim_int_eq(ids[_i].claim, store_is_id(ids[_i].text), ids[_i].is_id);
}
END_TEST

/* ---- records that are none ---- */

enum bad { EMPTY, TEXT, CUT, SYMLINK, FIFO, DIRECTORY, WRITABLE };

static const struct {
	const char *claim;
	enum bad bad;
} bads[] = {
	{ "an empty record", EMPTY },	   { "text", TEXT },
	{ "a record cut off", CUT },	   { "a symbolic link", SYMLINK },
	{ "a FIFO", FIFO },		   { "a directory", DIRECTORY },
	{ "others may write it", WRITABLE },
};

START_TEST(test_bad_record)
{
	int store_fd = open_store();
	json_t *record = NULL;
	enum bad bad = bads[_i].bad;

	if (bad == EMPTY || bad == TEXT)
		unit_write_file(store_fd, ID ".json", "text", bad == TEXT ? 4 : 0);
	else if (bad == CUT)
		unit_write_file(store_fd, ID ".json", "{\"id\":", 6);
	else if (bad == SYMLINK)
		ck_assert_int_eq(symlinkat("/etc/hostname", store_fd, ID ".json"), 0);
	else if (bad == FIFO)
		ck_assert_int_eq(mkfifoat(store_fd, ID ".json", 0600), 0);
	else if (bad == DIRECTORY)
		ck_assert_int_eq(mkdirat(store_fd, ID ".json", 0700), 0);
	else {
		unit_write_file(store_fd, ID ".json", "{}", 2);
		ck_assert_int_eq(fchmodat(store_fd, ID ".json", 0606, 0), 0);
	}
	claim_int_eq(bads[_i].claim, store_read_record(store_fd, ID, &record), -EINVAL);
	ck_assert_ptr_null(record);
}
END_TEST

/* ---- cleaning up ---- */

static void set_age(int store_fd, const char *name, time_t wall_seconds)
{
	const struct timespec times[2] = { { .tv_sec = wall_seconds }, { .tv_sec = wall_seconds } };

	ck_assert_int_eq(utimensat(store_fd, name, times, 0), 0);
}

static const struct {
	const char *claim;
	int64_t now;
	const char *left;
} cleans[] = {
	{ "young litter may be in the making", 1099,
	  ".part.1 a.core.gz a.json b.core.gz c.json notes.txt" },
	{ "old litter goes: temporary files, cores without a record", 1100,
	  "a.core.gz a.json c.json notes.txt" },
	{ "a clock set back removes nothing", -5000,
	  ".part.1 a.core.gz a.json b.core.gz c.json notes.txt" },
};

START_TEST(test_clean)
{
	static const char *const names[] = { ".part.1",	  "a.core.gz", "a.json",
					     "b.core.gz", "c.json",    "notes.txt" };
	int store_fd = open_store();

	for (int i = 0; i < ROWS(names); i++) {
		unit_write_file(store_fd, names[i], "{}", 2);
		set_age(store_fd, names[i], 1000);
	}
	store_clean(store_fd, cleans[_i].now, 100);
	claim_str_eq(cleans[_i].claim, listing(store_fd).bytes, cleans[_i].left);
}
END_TEST

START_TEST(test_unsafe_store)
{
	int dir_fd = unit_dir(), fd = -1;

	ck_assert_int_eq(symlinkat("/tmp", dir_fd, STORE_DIR), 0);
	ck_assert_int_eq(store_open(dir_fd, &fd), 0);
	ck_assert_int_eq(faccessat(dir_fd, STORE_DIR ".bad", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_int_eq(faccessat(fd, ".", W_OK, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *store_case = unit_case(suite, "store");

	tcase_add_test(store_case, test_put_and_read);
	tcase_add_test(store_case, test_abort);
	tcase_add_test(store_case, test_twice);
	tcase_add_test(store_case, test_remove);
	tcase_add_test(store_case, test_list);
	tcase_add_test(store_case, test_long_list);
	tcase_add_loop_test(store_case, test_is_id, 0, ROWS(ids));
	tcase_add_loop_test(store_case, test_bad_record, 0, ROWS(bads));
	tcase_add_loop_test(store_case, test_clean, 0, ROWS(cleans));
	tcase_add_test(store_case, test_unsafe_store);
	return unit_main(suite);
}
