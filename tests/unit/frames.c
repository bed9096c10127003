/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Frames as lines: repeats are told once, and what was left out is told in its place. */

#include "core/frames.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

/* A thread with a frame for each letter; a letter says what it is, a capital that it is guessed. */
static json_t *make_thread(const char *letters, int total, int elided_after, int elided)
{
	json_t *thread = json_pack("{s:i, s:[]}", "frames_total", total, "frames");
	json_t *frames = json_object_get(thread, "frames");

	for (; *letters; letters++) {
		char symbol[2] = { (char)tolower(*letters), '\0' };
		const char *how = isupper(*letters) ? "scan" : "fp";

		json_array_append_new(frames, json_pack("{s:s, s:s, s:s}", "pc", symbol,
							"symbol", symbol, "how", how));
	}
	if (elided > 0) {
		json_object_set_new(thread, "elided_after", json_integer(elided_after));
		json_object_set_new(thread, "elided", json_integer(elided));
	}
	return thread;
}

static const struct {
	const char *claim;
	const char *letters;
	int total, elided_after, elided;
	const char *lines;
} cases[] = {
	{ "no frames", "", 0, 0, 0, "" },
	{ "a line each", "abc", 3, 0, 0, "#0 a|#1 b|#2 c|" },
	{ "two of one are a line each", "abb", 3, 0, 0, "#0 a|#1 b|#2 b|" },
	{ "three are one line", "abbbc", 5, 0, 0, "#0 a|#1 to #3: b|#4 c|" },
	{ "to the end", "abbbb", 5, 0, 0, "#0 a|#1 to #4: b|" },
	{ "a guess does not repeat what is known", "abBbB", 5, 0, 0,
	  "#0 a|#1 b|#2 b|#3 b|#4 b|" },
	{ "guesses repeat each other", "aBBB", 4, 0, 0, "#0 a|#1 to #3: b|" },
	{ "two on each side of what was left out", "abbbbc", 1006, 3, 1000,
	  "#0 a|#1 b|#2 b|(1000)|#1003 b|#1004 b|#1005 c|" },
	{ "three on each side of it", "abbbbbbc", 1008, 4, 1000,
	  "#0 a|#1 to #3: b|(1000)|#1004 to #1006: b|#1007 c|" },
	{ "functions that call each other, once more", "abcbc", 5, 0, 0,
	  "#0 a|#1 b|#2 c|#3 b|#4 c|" },
	{ "two of them, often", "abcbcbcbd", 9, 0, 0,
	  "#0 a|#1 b|#2 c|#3 to #6: the 2 frames above, 2 more times|#7 b|#8 d|" },
	{ "four of them", "abcdabcdabcd", 12, 0, 0,
	  "#0 a|#1 b|#2 c|#3 d|#4 to #11: the 4 frames above, 2 more times|" },
	{ "on each side of what was left out", "ababababab", 1010, 6, 1000,
	  "#0 a|#1 b|#2 to #5: the 2 frames above, 2 more times|(1000)|#1006 a|#1007 b|#1008 a|#1009 b|" },
	{ "fewer were stored than there were", "abc", 10, 0, 0, "#0 a|#1 b|#2 c|(7)|" },
	{ "fewer were stored than the walk kept", "abc", 1000, 128, 840,
	  "#0 a|#1 b|#2 c|(997)|" },
	{ "fewer in all than there are", "abc", 1, 1, 5, "#0 a|(5)|#6 b|#7 c|" },
	{ "numbers below zero", "abc", -4, -1, 7, "#0 a|#1 b|#2 c|" },
	{ "fewer than none left out", "abc", 3, 1, -7, "#0 a|#1 b|#2 c|" },
};

START_TEST(test_lines)
{
	json_t *thread = make_thread(cases[_i].letters, cases[_i].total, cases[_i].elided_after,
				     cases[_i].elided);
	struct frames frames = { .thread = thread };
	struct frames_line line;
	char got[512] = "", number[FRAMES_NUMBER], times[FRAMES_TIMES];

	while (frames_next(&frames, &line)) {
		size_t used = strlen(got);

		if (line.frame && line.again > 0)
			(void)snprintf(got + used, sizeof(got) - used, "%s%s|",
				       frames_number(&line, number),
				       frames_times(&line, times));
		else if (line.frame && line.count == 1)
			(void)snprintf(got + used, sizeof(got) - used, "#%" PRIu64 " %s|",
				       line.first,
				       json_string_value(json_object_get(line.frame, "pc")));
		else if (line.frame)
			(void)snprintf(got + used, sizeof(got) - used, "%s%s|",
				       frames_number(&line, number),
				       json_string_value(json_object_get(line.frame, "pc")));
		else
			(void)snprintf(got + used, sizeof(got) - used, "(%" PRIu64 ")|",
				       line.count);
	}
	claim_str_eq(cases[_i].claim, got, cases[_i].lines);
	json_decref(thread);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frames");

	tcase_add_loop_test(unit_case(suite, "frames"), test_lines, 0, ROWS(cases));
	return unit_main(suite);
}
