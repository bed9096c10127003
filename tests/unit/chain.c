/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Lists are words: a letter fits one that is not behind it in the alphabet. */

#include "summary/chain.h"

#include <string.h>

#include "unit.h"

#define LETTERS_MAX 200

static bool not_behind(const void *letters, size_t from, size_t to)
{
	return ((const char *)letters)[from] <= ((const char *)letters)[to];
}

static void picked_letters(const char *letters, char *ret_picked)
{
	bool picked[LETTERS_MAX];
	size_t n = strlen(letters);

	ck_assert_int_eq(chain_find(n, not_behind, letters, picked), 0);
	for (size_t i = 0; i < n; i++)
		if (picked[i])
			*ret_picked++ = letters[i];
	*ret_picked = '\0';
}

static const struct {
	const char *claim;
	const char *letters;
	const char *picked;
} lists[] = {
	{ "nothing is picked of nothing", "", "" },
	{ "one item is a chain", "b", "b" },
	{ "all fit each other", "aabbcc", "aabbcc" },
	{ "one that is too large is left out, not all behind it", "abzcde", "abcde" },
	{ "one that is too small is left out, not all before it", "bcdaef", "bcdef" },
	{ "the first one may be wrong", "zabc", "abc" },
	{ "the last one may be wrong", "bcda", "bcd" },
	{ "two lists, each line in turn: the longer", "axbyczde", "abcde" },
	{ "a stretch that fits nothing behind it, the longer", "abcxyzdef", "abcxyz" },
	{ "and a shorter one", "abcdxyefg", "abcdefg" },
	{ "of two as long the one that ends first", "yzab", "yz" },
	{ "some of an earlier stretch, some of a later one", "acfbeg", "acfg" },
};

START_TEST(the_longest_is_picked)
{
	char picked[LETTERS_MAX + 1];

	picked_letters(lists[_i].letters, picked);
	ck_assert_msg(strcmp(picked, lists[_i].picked) == 0, "%s: %s of %s, not %s",
		      lists[_i].claim, picked, lists[_i].letters, lists[_i].picked);
}
END_TEST

/* Each before each: slow, and plainly right. */
static size_t longest(const char *letters)
{
	size_t length[LETTERS_MAX], most = 0;

	for (size_t i = 0; letters[i]; i++) {
		length[i] = 1;
		for (size_t j = 0; j < i; j++)
			if (letters[j] <= letters[i] && length[j] >= length[i])
				length[i] = length[j] + 1;
		if (length[i] > most)
			most = length[i];
	}
	return most;
}

/* Mostly in order, with at most so many strays that all stretches are looked at. */
START_TEST(none_is_longer)
{
	struct unit_random random = unit_random(_i);
	size_t n = unit_below(&random, LETTERS_MAX);
	char letters[LETTERS_MAX + 1], picked[LETTERS_MAX + 1];

	for (size_t i = 0; i < n; i++)
		letters[i] = (char)('!' + i * 90 / n);
	letters[n] = '\0';
	for (uint64_t strays = unit_below(&random, 30); n > 0 && strays > 0; strays--)
		letters[unit_below(&random, n)] = (char)('!' + unit_below(&random, 90));
	picked_letters(letters, picked);
	ck_assert_msg(strlen(picked) == longest(letters), "%zu of %s: %s", longest(letters),
		      letters, picked);
	for (size_t i = 0; i + 1 < strlen(picked); i++)
		ck_assert_int_le(picked[i], picked[i + 1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain");
	TCase *tests = unit_case(suite, "chain");

	tcase_add_loop_test(tests, the_longest_is_picked, 0, ROWS(lists));
	tcase_add_loop_test(tests, none_is_longer, 0, 200);
	return unit_main(suite);
}
