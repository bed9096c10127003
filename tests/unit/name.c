/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Hostile names come out harmless, no two alike, and can be found again. */

#include "policy/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define TEXT(s) s, sizeof(s) - 1

/* ---- escaping ---- */

static const struct {
	const char *claim;
	const char *raw;
	size_t bytes;
	const char *escaped;
} escapes[] = {
	{ "plain text stays", TEXT("nginx-1.2_x@y"), "nginx-1.2_x@y" },
	{ "a blank stays", TEXT("a b"), "a b" },
	{ "UTF-8 stays", TEXT("h\xc3\xa4mmer \xe2\x9c\x93 \xf0\x9f\xa6\x8a"),
	  "h\xc3\xa4mmer \xe2\x9c\x93 \xf0\x9f\xa6\x8a" },
	{ "a backslash, so that nothing else looks like an escape", TEXT("a\\x0a"),
	  "a\\x5cx0a" },
	{ "newline, tab, escape, delete", TEXT("\n\t\x1b[31m\x7f"), "\\x0a\\x09\\x1b[31m\\x7f" },
	{ "NUL", TEXT("a\0b"), "a\\x00b" },
	{ "C1 controls", TEXT("\xc2\x9b" "31m"), "\\xc2\\x9b31m" },
	{ "a lone continuation byte", TEXT("a\x80z"), "a\\x80z" },
	{ "a lead byte at the end", TEXT("a\xe2\x82"), "a\\xe2\\x82" },
	{ "a lead byte before ASCII", TEXT("\xc3z"), "\\xc3z" },
	{ "an overlong slash", TEXT("\xc0\xaf"), "\\xc0\\xaf" },
	{ "an overlong slash of three", TEXT("\xe0\x80\xaf"), "\\xe0\\x80\\xaf" },
	{ "an overlong one of four", TEXT("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf" },
	{ "a surrogate", TEXT("\xed\xa0\x80"), "\\xed\\xa0\\x80" },
	{ "beyond U+10FFFF", TEXT("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80" },
	{ "bytes that never occur", TEXT("\xfe\xff"), "\\xfe\\xff" },
	{ "right-to-left override", TEXT("a\xe2\x80\xae" "b"), "a\\xe2\\x80\\xaeb" },
	{ "isolates", TEXT("\xe2\x81\xa6\xe2\x81\xa9"), "\\xe2\\x81\\xa6\\xe2\\x81\\xa9" },
	{ "Arabic letter mark", TEXT("\xd8\x9c"), "\\xd8\\x9c" },
	{ "zero width space and joiner", TEXT("\xe2\x80\x8b\xe2\x80\x8d"),
	  "\\xe2\\x80\\x8b\\xe2\\x80\\x8d" },
	{ "byte order mark", TEXT("\xef\xbb\xbf"), "\\xef\\xbb\\xbf" },
	{ "soft hyphen", TEXT("\xc2\xad"), "\\xc2\\xad" },
	{ "line separator", TEXT("\xe2\x80\xa8"), "\\xe2\\x80\\xa8" },
	{ "invisible tags", TEXT("a\xf3\xa0\x81\xa1"), "a\\xf3\\xa0\\x81\\xa1" },
	{ "the Mongolian vowel separator", TEXT("\xe1\xa0\x8e"), "\\xe1\\xa0\\x8e" },
	{ "noncharacter U+FFFF", TEXT("\xef\xbf\xbf"), "\\xef\\xbf\\xbf" },
};

START_TEST(test_escape)
{
	char out[256];

	claim_int_eq(escapes[_i].claim,
		     name_escape(escapes[_i].raw, escapes[_i].bytes, out, sizeof(out)),
		     escapes[_i].bytes);
	claim_str_eq(escapes[_i].claim, out, escapes[_i].escaped);
}
END_TEST

static const struct {
	const char *claim;
	const char *raw;
	size_t room;
	const char *escaped;
	size_t taken;
} cuts[] = {
	{ "what fits with its NUL", "abc", 4, "abc", 3 },
	{ "one byte too few", "abc", 3, "ab", 2 },
	{ "no half character", "a\xc3\xa4", 3, "a", 1 },
	{ "no half escape", "a\n", 5, "a", 1 },
	{ "room for the NUL only", "abc", 1, "", 0 },
};

START_TEST(test_cut)
{
	char out[16];

	memset(out, '#', sizeof(out));
	claim_int_eq(cuts[_i].claim,
		     name_escape(cuts[_i].raw, strlen(cuts[_i].raw), out, cuts[_i].room),
		     cuts[_i].taken);
	claim_str_eq(cuts[_i].claim, out, cuts[_i].escaped);
	claim_int_eq(cuts[_i].claim, out[cuts[_i].room], '#');
}
END_TEST

START_TEST(test_no_room)
{
	char out = '#';

	ck_assert_uint_eq(name_escape("abc", 3, &out, 0), 0);
	ck_assert_int_eq(out, '#');
}
END_TEST

/* ---- the name of a process ---- */

static const struct {
	const char *claim;
	const char *argv0;
	const char *executable;
	const char *comm;
	const char *name;
} names[] = {
	{ "the last component of argv[0]", "/usr/sbin/nginx", "/usr/bin/other", "other", "nginx" },
	{ "argv[0] without a slash", "nginx", NULL, NULL, "nginx" },
	{ "a login shell", "-bash", "/bin/bash", "bash", "-bash" },
	{ "a title", "sshd: root@pts/0", "/usr/sbin/sshd", "sshd", "sshd" },
	{ "a title behind a path", "/usr/sbin/sshd: root@pts/0", NULL, NULL, "sshd" },
	{ "a title with brackets", "postgres: a b [local] idle", NULL, NULL, "postgres" },
	{ "a colon without a blank is no title", "a:b", NULL, NULL, "a:b" },
	{ "nothing before the title", ": x", NULL, NULL, ": x" },
	{ "a slash at the end", "/opt/tool/", NULL, NULL, "tool" },
	{ "only slashes: the executable", "///", "/bin/sh", "sh", "sh" },
	{ "argv[0] empty: the executable", "", "/bin/sh", "x", "sh" },
	{ "argv[0] missing: the executable", NULL, "/bin/sh", "x", "sh" },
	{ "no executable either: the comm", "", NULL, "kworker/0", "kworker/0" },
	{ "an empty executable: the comm", NULL, "", "worker", "worker" },
	{ "an executable without a name: the comm", NULL, "/", "worker", "worker" },
	{ "nothing at all", NULL, NULL, NULL, "(unnamed)" },
	{ "all empty", "", "", "", "(unnamed)" },
	{ "control bytes are escaped", "/bin/a\nb", NULL, NULL, "a\\x0ab" },
	{ "a deleted executable keeps its mark", NULL, "/bin/x (deleted)", NULL, "x (deleted)" },
};

START_TEST(test_name)
{
	char name[NAME_SIZE];

	name_of_process(names[_i].argv0, names[_i].argv0 ? strlen(names[_i].argv0) : 0,
			names[_i].executable, names[_i].comm, name);
	claim_str_eq(names[_i].claim, name, names[_i].name);
}
END_TEST

START_TEST(test_long_name)
{
	char raw[300], name[NAME_SIZE], other[NAME_SIZE];

	memset(raw, 'a', sizeof(raw));
	name_clean(raw, NAME_SIZE - 1, name);
	ck_assert_mem_eq(name, raw, NAME_SIZE - 1);
	name_clean(raw, sizeof(raw), name);
	ck_assert_uint_eq(strlen(name), NAME_SIZE - 1);
	ck_assert_int_eq(name[NAME_SIZE - 10], '~');
	raw[299] = 'b';
	name_clean(raw, sizeof(raw), other);
	ck_assert_str_ne(name, other);
	ck_assert_mem_eq(name, other, NAME_SIZE - 10);
	memset(raw, '\n', sizeof(raw));
	name_clean(raw, sizeof(raw), name);
	ck_assert_uint_lt(strlen(name), NAME_SIZE);
	ck_assert_ptr_nonnull(strchr(name, '~'));
}
END_TEST

/* ---- properties ---- */

#define POOL 20000

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, NAME_SIZE);
}

static size_t random_raw(struct unit_random *random, char raw[static 80])
{
	static const char favourites[] = "\\x0a5c~\n\xe2\x80\xae\xc3\xa4\x00(/:ab";
	size_t n = 1 + unit_below(random, 12);

	for (size_t i = 0; i < n; i++)
		raw[i] = unit_below(random, 2) ?
				 favourites[unit_below(random, sizeof(favourites) - 1)] :
				 (char)unit_next(random);
	return n;
}

/* Harmless, and back to where it came from: so no two inputs share a name. */
static void check_reversible(const char *name, const char *raw, size_t n)
{
	size_t in = 0;

	for (const char *p = name; *p; in++) {
		check_that(in < n);
		check_that((unsigned char)*p >= 0x20);
		if (*p == '\\') {
			char digits[3] = { p[2], p[3], '\0' };

			check_that(p[1] == 'x');
			check_that((unsigned char)raw[in] == (int)strtol(digits, NULL, 16));
			p += 4;
		} else {
			check_that(*p == raw[in]);
			p++;
		}
	}
	check_that(in == n);
}

START_TEST(test_reversible)
{
	struct unit_random random = unit_random(_i);

	for (int i = 0; i < POOL; i++) {
		char raw[80], name[NAME_SIZE];
		size_t n = random_raw(&random, raw);

		name_clean(raw, n, name);
		check_reversible(name, raw, n);
	}
}
END_TEST

START_TEST(test_all_pairs_of_bytes)
{
	char (*all)[NAME_SIZE] = calloc(256 * 256, sizeof(*all));

	ck_assert_ptr_nonnull(all);
	for (int i = 0; i < 256 * 256; i++) {
		char raw[2] = { (char)(i >> 8), (char)i };

		name_clean(raw, 2, all[i]);
	}
	qsort(all, 256 * 256, sizeof(*all), compare);
	for (int i = 1; i < 256 * 256; i++)
		check_that(strcmp(all[i - 1], all[i]) != 0);
	free(all);
}
END_TEST

/* 300 hostile bytes never run over, and what is drawn is drawn whole. */
START_TEST(test_hostile_300)
{
	struct unit_random random = unit_random(100 + _i);

	for (int i = 0; i < POOL / 10; i++) {
		char raw[300], name[NAME_SIZE], again[NAME_SIZE];

		for (size_t at = 0; at < sizeof(raw); at++)
			raw[at] = (char)unit_next(&random);
		name_of_process(raw, sizeof(raw), NULL, NULL, name);
		check_that(strlen(name) < NAME_SIZE);
		check_that(strlen(name) > 0);
		check_that(name_escape(name, strlen(name), again, sizeof(again)) > 0);
		name_of_process(raw, sizeof(raw), NULL, NULL, again);
		ck_assert_str_eq(name, again);
	}
}
END_TEST

START_TEST(test_hash)
{
	ck_assert_uint_eq(name_hash("", 0), 0xcbf29ce484222325u);
	ck_assert_uint_eq(name_hash("a", 1), 0xaf63dc4c8601ec8cu);
	ck_assert_uint_eq(name_hash("foobar", 6), 0x85944171f73967e8u);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name");
	TCase *name_case = unit_case(suite, "name");
	TCase *random = unit_case(suite, "random");

	tcase_add_loop_test(name_case, test_escape, 0, ROWS(escapes));
	tcase_add_loop_test(name_case, test_cut, 0, ROWS(cuts));
	tcase_add_test(name_case, test_no_room);
	tcase_add_loop_test(name_case, test_name, 0, ROWS(names));
	tcase_add_test(name_case, test_long_name);
	tcase_add_test(name_case, test_hash);
	tcase_add_loop_test(random, test_reversible, 0, 4);
	tcase_add_test(random, test_all_pairs_of_bytes);
	tcase_add_loop_test(random, test_hostile_300, 0, 4);
	return unit_main(suite);
}
