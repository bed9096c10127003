/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Each key, its bounds, and what is said of a file that is wrong; the default stands. */

#include "io/config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "unit.h"

#define MIN_NS (60 * SEC)
#define DAY_NS (1440 * MIN_NS)

static char path[PATH_MAX];
static struct unit_text complaints; /* "corefold.conf:2 what; ..." below the directory */

static void complain(void *userdata, const char *where, const char *what)
{
	const char *base = strstr(where, "corefold.conf");

	ck_assert_ptr_eq(userdata, path);
	unit_append(&complaints, "%s%s %s", complaints.n ? "; " : "", base ? base : where, what);
}

static int new_directory(void)
{
	int dir_fd = unit_dir();

	(void)snprintf(path, sizeof(path), "%s/corefold.conf", unit_dir_path());
	return dir_fd;
}

static struct config read_text(const char *text)
{
	struct config config;

	unit_write_file(new_directory(), "corefold.conf", text, strlen(text));
	config_init(&config);
	ck_assert_int_eq(config_read(&config, path, complain, path), 0);
	return config;
}

/* ---- each key ---- */

#define FIELD(name) offsetof(struct config, name), sizeof(((struct config *)0)->name)

static const struct {
	const char *key;
	const char *section;
	size_t offset;
	size_t size;
	int64_t initial;
	const char *text;
	int64_t value;
} keys[] = {
	{ "Enabled", "Throttle", FIELD(throttle.enabled), 1, "no", 0 },
	{ "CrashLoopLimit", "Throttle", FIELD(throttle.limit), 8, "63", 63 },
	{ "AgeOut", "Throttle", FIELD(throttle.age_out_ns), 8 * MIN_NS, "200ms", SEC / 5 },
	{ "ReportEvery", "Throttle", FIELD(throttle.report_every), 10, "4294967295", 4294967295 },
	{ "SlowLoopLimit", "Throttle", FIELD(throttle.slow_limit), 0, "12", 12 },
	{ "SlowLoopWindow", "Throttle", FIELD(throttle.slow_window_ns), 86400 * SEC, "48h",
	  2 * 86400 * SEC },
	{ "NovelPerProcess", "Throttle", FIELD(throttle.novel_per_window), 8, "0", 0 },
	{ "PendingMax", "Throttle", FIELD(pending_max_ns), DAY_NS, "1h", 60 * MIN_NS },
	{ "Kind", "Capture", FIELD(kind), CONFIG_KIND_AUTO, "threads", CONFIG_KIND_THREADS },
	{ "MaxCoreSize", "Capture", FIELD(max_core_bytes), 2LL << 30, "1.5G", 3LL << 29 },
	{ "MaxHold", "Capture", FIELD(max_hold_ns), 10 * SEC, "500ms", SEC / 2 },
	{ "Buffer", "Capture", FIELD(buffer_bytes), 256 << 20, "1M", 1 << 20 },
	{ "MaxCaptures", "Capture", FIELD(max_captures), 4, "256", 256 },
	{ "ThreadStack", "Capture", FIELD(thread_stack_bytes), 65536, "4K", 4096 },
	{ "FullPerSignature", "Capture", FIELD(full_per_signature), 3, "0", 0 },
	{ "HonorRlimit", "Capture", FIELD(honor_rlimit), 0, "yes", 1 },
	{ "RecordArgv", "Capture", FIELD(record_argv), 1, "off", 0 },
	{ "MaxUse", "Store", FIELD(max_use), 1000, "0.5%", 50 },
	{ "KeepFree", "Store", FIELD(keep_free), 1500, "100%", 10000 },
	{ "MaxAge", "Store", FIELD(max_age_ns), 14 * DAY_NS, "0", 0 },
	{ "MaxCount", "Store", FIELD(max_count), 0, "1000", 1000 },
	{ "Interval", "Hours", FIELD(interval_ns), 60 * MIN_NS, "1min", MIN_NS },
};

static int64_t field(const struct config *config, size_t offset, size_t size)
{
	const char *at = (const char *)config + offset;
	uint32_t narrow;
	int64_t wide;

	if (size == 1)
		return *at;
	if (size == 4) {
		memcpy(&narrow, at, 4);
		return narrow;
	}
	memcpy(&wide, at, 8);
	return wide;
}

#define NO_FIELD SIZE_MAX

/* Field by field: what lies between them is anything. */
static void claim_same_but(const struct config *config, const struct config *initial,
			   size_t but_offset)
{
	for (int k = 0; k < ROWS(keys); k++)
		if (keys[k].offset != but_offset)
			claim_int_eq(keys[k].key, field(config, keys[k].offset, keys[k].size),
				     field(initial, keys[k].offset, keys[k].size));
}

START_TEST(test_key)
{
	struct config initial, config;
	char text[256];

	config_init(&initial);
	claim_int_eq(keys[_i].key, field(&initial, keys[_i].offset, keys[_i].size),
		     keys[_i].initial);
	(void)snprintf(text, sizeof(text), "[%s]\n%s=%s\n", keys[_i].section, keys[_i].key,
		       keys[_i].text);
	config = read_text(text);
	claim_str_eq(keys[_i].key, complaints.bytes, "");
	claim_int_eq(keys[_i].key, field(&config, keys[_i].offset, keys[_i].size),
		     keys[_i].value);
	claim_same_but(&config, &initial, keys[_i].offset);
	ck_assert_str_eq(config.directory, initial.directory);
	ck_assert_str_eq(config.on_keep, "");
}
END_TEST

/* A value that cannot be used leaves the default and is named with its line. */
START_TEST(test_bad_value)
{
	struct config initial, config;
	char text[256], wanted[256];

	(void)snprintf(text, sizeof(text), "# first\n[%s]\n\n%s=nonsense\n", keys[_i].section,
		       keys[_i].key);
	(void)snprintf(wanted, sizeof(wanted), "corefold.conf:4 bad value: %s=nonsense (",
		       keys[_i].key);
	config_init(&initial);
	config = read_text(text);
	claim_int_eq(keys[_i].key, strncmp(complaints.bytes, wanted, strlen(wanted)), 0);
	claim_same_but(&config, &initial, NO_FIELD);
}
END_TEST

START_TEST(test_text_keys)
{
	struct config config = read_text("[Store]\nDirectory=/srv/a b\n"
					 "[Hook]\nOnKeep=/usr/bin/mail -s x root\n");

	ck_assert_str_eq(complaints.bytes, "");
	ck_assert_str_eq(config.directory, "/srv/a b");
	ck_assert_str_eq(config.on_keep, "/usr/bin/mail -s x root");
}
END_TEST

START_TEST(test_defaults)
{
	struct config config;

	config_init(&config);
	ck_assert_str_eq(config.directory, COREFOLD_STATE);
	ck_assert_str_eq(config.on_keep, "");
	ck_assert_str_eq(config_default_path(), COREFOLD_CONFIG);
}
END_TEST

/* ---- forms ---- */

#define TENS(s) s s s s s s s s s s

static const struct {
	const char *claim;
	const char *text;
	const char *complaints;
	uint32_t limit; /* CrashLoopLimit afterwards */
} forms[] = {
	{ "an empty file", "", "", 8 },
	{ "comments", "# a\n; b\n[Throttle]\n#CrashLoopLimit=5\n", "", 8 },
	{ "blanks around all of it", " [Throttle]\n\t CrashLoopLimit = 5 \n", "", 5 },
	{ "a colon", "[Throttle]\nCrashLoopLimit: 5\n", "", 5 },
	{ "no newline at the end", "[Throttle]\nCrashLoopLimit=5", "", 5 },
	{ "lines of DOS", "[Throttle]\r\nCrashLoopLimit=5\r\n", "", 5 },
	{ "the last one wins", "[Throttle]\nCrashLoopLimit=5\nCrashLoopLimit=6\n", "", 6 },
	{ "a section twice", "[Throttle]\n[Store]\n[Throttle]\nCrashLoopLimit=5\n", "", 5 },
	{ "a comment behind a value", "[Throttle]\nCrashLoopLimit=5 ; few\n", "", 5 },
	{ "an indented line continues nothing", "[Throttle]\nAgeOut=1s\n  CrashLoopLimit=5\n", "",
	  5 },
	{ "an unknown key", "[Throttle]\nLimit=5\n", "corefold.conf:2 unknown key Limit", 8 },
	{ "keys are as written", "[Throttle]\ncrashlooplimit=5\n",
	  "corefold.conf:2 unknown key crashlooplimit", 8 },
	{ "a key of another section", "[Store]\nCrashLoopLimit=5\n",
	  "corefold.conf:2 unknown key CrashLoopLimit", 8 },
	{ "an unknown section", "[Trottle]\nCrashLoopLimit=5\n",
	  "corefold.conf:2 unknown section Trottle", 8 },
	{ "no section", "CrashLoopLimit=5\n",
	  "corefold.conf:1 a key in no section: CrashLoopLimit", 8 },
	{ "too small", "[Throttle]\nCrashLoopLimit=0\n",
	  "corefold.conf:2 value out of range: CrashLoopLimit=0 (1 to 63)", 8 },
	{ "too large", "[Throttle]\nCrashLoopLimit=64\n",
	  "corefold.conf:2 value out of range: CrashLoopLimit=64 (1 to 63)", 8 },
	{ "no value", "[Throttle]\nCrashLoopLimit=\n",
	  "corefold.conf:2 no value: CrashLoopLimit= (a whole number)", 8 },
	{ "neither key nor section", "[Throttle]\nhello\nCrashLoopLimit=5\n",
	  "corefold.conf:2 not a section, key or comment", 5 },
	{ "a section that does not end", "[Throttle\nCrashLoopLimit=5\n",
	  "corefold.conf:1 not a section, key or comment; "
	  "corefold.conf:2 a key in no section: CrashLoopLimit", 8 },
	{ "every bad line is named", "[Throttle]\nA=1\nB=2\n[C]\nD=3\nCrashLoopLimit=x\n",
	  "corefold.conf:2 unknown key A; corefold.conf:3 unknown key B; "
	  "corefold.conf:5 unknown section C; corefold.conf:6 unknown section C", 8 },
	{ "a line that is too long", "[Throttle]\nX=" TENS(TENS("xyz")) "\nCrashLoopLimit=5\n",
	  "corefold.conf:2 line too long for a key and its value", 5 },
	{ "a comment may be long", "#" TENS(TENS("xyz")) "\n[Throttle]\nCrashLoopLimit=5\n", "", 5 },
	{ "a byte order mark", "\xef\xbb\xbf[Throttle]\nCrashLoopLimit=5\n", "", 5 },
	{ "a comment behind a section", "[Throttle] ; a\n[Throttle] # b\nCrashLoopLimit=5\n", "", 5 },
	{ "a key behind a section", "[Throttle] CrashLoopLimit=5\n",
	  "corefold.conf:1 not a section, key or comment", 8 },
	{ "a section that ends in a comment", "[Throttle ; x]\n",
	  "corefold.conf:1 not a section, key or comment", 8 },
	{ "a key whose value is in a comment", "[Throttle]\nCrashLoopLimit ; =5\n",
	  "corefold.conf:2 not a section, key or comment", 8 },
	{ "a hundred years", "[Throttle]\nAgeOut=100y\nCrashLoopLimit=5\n", "", 5 },
	{ "a directory that is not absolute", "[Store]\nDirectory=var\n",
	  "corefold.conf:2 bad value: Directory=var (an absolute path)", 8 },
	{ "control bytes", "[Throttle]\n\x01\x02=\x03\n", "corefold.conf:2 unknown key \x01\x02", 8 },
};

START_TEST(test_form)
{
	struct config config = read_text(forms[_i].text);

	claim_str_eq(forms[_i].claim, complaints.bytes, forms[_i].complaints);
	claim_int_eq(forms[_i].claim, config.throttle.limit, forms[_i].limit);
}
END_TEST

START_TEST(test_nul)
{
	static const char text[] = "[Throttle]\nCrashLoopLimit=5\n\0ReportEvery=4\n";
	struct config config;

	unit_write_file(new_directory(), "corefold.conf", text, sizeof(text) - 1);
	config_init(&config);
	ck_assert_int_eq(config_read(&config, path, complain, path), 0);
	ck_assert_ptr_nonnull(strstr(complaints.bytes, "NUL byte"));
	ck_assert_uint_eq(config.throttle.limit, 5);
	ck_assert_uint_eq(config.throttle.report_every, 10);
}
END_TEST

/* ---- files ---- */

static void put(int dir_fd, const char *name, const char *text)
{
	unit_write_file(dir_fd, name, text, strlen(text));
}

START_TEST(test_dropins)
{
	struct config config;
	int dir_fd = new_directory();

	ck_assert_int_eq(mkdirat(dir_fd, "corefold.conf.d", 0755), 0);
	put(dir_fd, "corefold.conf", "[Throttle]\nCrashLoopLimit=1\nReportEvery=1\n");
	put(dir_fd, "corefold.conf.d/20-b.conf", "[Throttle]\nCrashLoopLimit=3\nBad=1\n");
	put(dir_fd, "corefold.conf.d/10-a.conf", "[Throttle]\nCrashLoopLimit=2\nReportEvery=2\n");
	put(dir_fd, "corefold.conf.d/.30-c.conf", "[Throttle]\nCrashLoopLimit=4\n");
	put(dir_fd, "corefold.conf.d/40-d.conf~", "[Throttle]\nCrashLoopLimit=5\n");
	put(dir_fd, "corefold.conf.d/.conf", "[Throttle]\nCrashLoopLimit=6\n");
	config_init(&config);
	ck_assert_int_eq(config_read(&config, path, complain, path), 0);
	ck_assert_uint_eq(config.throttle.limit, 3);
	ck_assert_uint_eq(config.throttle.report_every, 2);
	ck_assert_ptr_nonnull(strstr(complaints.bytes, "corefold.conf.d/20-b.conf:3 unknown key Bad"));
	/* A section does not go over into the next file. */
	put(dir_fd, "corefold.conf.d/90-e.conf", "CrashLoopLimit=7\n");
	config_init(&config);
	ck_assert_int_eq(config_read(&config, path, complain, path), 0);
	ck_assert_uint_eq(config.throttle.limit, 3);
}
END_TEST

START_TEST(test_many_dropins)
{
	struct config config;
	int dir_fd = new_directory();
	char name[64];

	ck_assert_int_eq(mkdirat(dir_fd, "corefold.conf.d", 0755), 0);
	put(dir_fd, "corefold.conf", "");
	for (int i = 1; i <= 65; i++) {
		(void)snprintf(name, sizeof(name), "corefold.conf.d/%03d.conf", i);
		put(dir_fd, name, i < 64 ? "" : "[Throttle]\nCrashLoopLimit=5\nReportEvery=5\n");
	}
	put(dir_fd, "corefold.conf.d/065.conf", "[Throttle]\nReportEvery=6\n");
	config_init(&config);
	ck_assert_int_eq(config_read(&config, path, complain, path), 0);
	ck_assert_str_eq(complaints.bytes,
			 "corefold.conf.d/065.conf left out: only 64 are read");
	ck_assert_uint_eq(config.throttle.limit, 5);
	ck_assert_uint_eq(config.throttle.report_every, 5);
}
END_TEST

START_TEST(test_dropins_are_no_directory)
{
	struct config config;
	int dir_fd = new_directory();

	put(dir_fd, "corefold.conf", "");
	put(dir_fd, "corefold.conf.d", "[Throttle]\nCrashLoopLimit=5\n");
	config_init(&config);
	ck_assert_int_eq(config_read(&config, path, complain, path), 0);
	ck_assert_str_eq(complaints.bytes, "corefold.conf.d Not a directory");
}
END_TEST

static const struct {
	const char *claim;
	mode_t mode; /* of the file; 0: it is missing */
	mode_t dropin_mode;
	int result;
	uint32_t limit;
	const char *complaint;
} modes[] = {
	{ "for all to read", 0644, 0644, 0, 3, "" },
	{ "a file the group may write", 0664, 0644, -EPERM, 3, "not safe" },
	{ "a file all may write", 0646, 0644, -EPERM, 3, "not safe" },
	{ "a drop-in the group may write", 0644, 0664, 0, 2, "10.conf not safe" },
	{ "a file that was named and is missing", 0, 0644, -ENOENT, 3, "No such file" },
};

START_TEST(test_mode)
{
	struct config config;
	int dir_fd = new_directory();

	ck_assert_int_eq(mkdirat(dir_fd, "corefold.conf.d", 0755), 0);
	put(dir_fd, "corefold.conf.d/10.conf", "[Throttle]\nCrashLoopLimit=3\n");
	ck_assert_int_eq(fchmodat(dir_fd, "corefold.conf.d/10.conf", modes[_i].dropin_mode, 0), 0);
	if (modes[_i].mode) {
		put(dir_fd, "corefold.conf", "[Throttle]\nCrashLoopLimit=2\n");
		ck_assert_int_eq(fchmodat(dir_fd, "corefold.conf", modes[_i].mode, 0), 0);
	}
	config_init(&config);
	claim_int_eq(modes[_i].claim, config_read(&config, path, complain, path),
		     modes[_i].result);
	claim_int_eq(modes[_i].claim, config.throttle.limit, modes[_i].limit);
	ck_assert_ptr_nonnull(strstr(complaints.bytes, modes[_i].complaint));
}
END_TEST

START_TEST(test_no_regular_file)
{
	struct config config;
	int dir_fd = new_directory();

	config_init(&config);
	ck_assert_int_eq(mkfifoat(dir_fd, "corefold.conf", 0600), 0);
	ck_assert_int_eq(config_read(&config, path, complain, path), -EPERM);
	ck_assert_ptr_nonnull(strstr(complaints.bytes, "not a regular file"));
}
END_TEST

START_TEST(test_too_large)
{
	char *text = calloc(1, 64 * 1024 + 1);
	struct config config;

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', 64 * 1024 + 1);
	unit_write_file(new_directory(), "corefold.conf", text, 64 * 1024 + 1);
	free(text);
	config_init(&config);
	ck_assert_int_lt(config_read(&config, path, complain, path), 0);
	ck_assert_ptr_nonnull(strstr(complaints.bytes, "too large"));
}
END_TEST

/* Nobody listens to complaints: nothing changes but that. */
START_TEST(test_silent)
{
	struct config config;

	put(new_directory(), "corefold.conf", "[Throttle]\nBad=1\nCrashLoopLimit=5\n");
	config_init(&config);
	ck_assert_int_eq(config_read(&config, path, NULL, NULL), 0);
	ck_assert_uint_eq(config.throttle.limit, 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *key_case = unit_case(suite, "keys");
	TCase *form = unit_case(suite, "forms");
	TCase *file = unit_case(suite, "files");

	tcase_add_loop_test(key_case, test_key, 0, ROWS(keys));
	tcase_add_loop_test(key_case, test_bad_value, 0, ROWS(keys));
	tcase_add_test(key_case, test_text_keys);
	tcase_add_test(key_case, test_defaults);
	tcase_add_loop_test(form, test_form, 0, ROWS(forms));
	tcase_add_test(form, test_nul);
	tcase_add_test(file, test_dropins);
	tcase_add_test(file, test_many_dropins);
	tcase_add_test(file, test_dropins_are_no_directory);
	tcase_add_loop_test(file, test_mode, 0, ROWS(modes));
	tcase_add_test(file, test_no_regular_file);
	tcase_add_test(file, test_too_large);
	tcase_add_test(file, test_silent);
	return unit_main(suite);
}
