/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/frames.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REPEATS_MIN 3u /* fewer are shorter as they are */
#define PERIOD_MAX 4u

static uint64_t count_of(const json_t *thread, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(thread, key));

	return value > 0 ? (uint64_t)value : 0;
}

static bool is_guess(const json_t *frame)
{
	const char *how = json_string_value(json_object_get(frame, "how"));

	return how && strcmp(how, "scan") == 0;
}

static bool same(const json_t *a, const json_t *b)
{
	static const char *const keys[] = { "pc", "symbol", "module", "signal" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);

		if (x != y && !json_equal(x, y))
			return false;
	}
	return is_guess(a) == is_guess(b);
}

/* Where the frames that were left out would stand. */
static uint64_t left_out(const struct frames *frames, size_t stored)
{
	uint64_t total = count_of(frames->thread, "frames_total");
	uint64_t gap_at = count_of(frames->thread, "elided_after");

	if (frames->stored == stored && total > frames->number)
		return total - frames->number;
	if (gap_at > 0 && frames->stored == gap_at && frames->number == gap_at)
		return count_of(frames->thread, "elided");
	return 0;
}

/* How many frames from `at` on, before `end`, are those `period` before them. */
static size_t repeats(const json_t *list, size_t at, size_t end, size_t period)
{
	size_t n = 0;

	while (at + n < end &&
	       same(json_array_get(list, at + n), json_array_get(list, at + n - period)))
		n++;
	return n;
}

/* The next frame and those like it, or whole turns of the few that were just shown. */
static void take_frames(const struct frames *frames, size_t start, size_t end,
			struct frames_line *line)
{
	const json_t *list = json_object_get(frames->thread, "frames");
	size_t at = frames->stored, run = 1 + repeats(list, at + 1, end, 1);

	line->frame = json_array_get(list, at);
	line->count = run < REPEATS_MIN ? 1 : run;
	for (size_t period = 2; line->count == 1 && period <= PERIOD_MAX; period++) {
		size_t turns;

		if (at - start < period)
			return;
		turns = repeats(list, at, end, period) / period;
		if (turns < 2)
			continue;
		line->again = (unsigned int)period;
		line->count = turns * period;
	}
}

bool frames_next(struct frames *frames, struct frames_line *ret_line)
{
	size_t n = json_array_size(json_object_get(frames->thread, "frames"));
	size_t start = 0, end = n;
	uint64_t gap_at = count_of(frames->thread, "elided_after");

	if (n == 0)
		return false;
	*ret_line = (struct frames_line){ .first = frames->number,
					  .count = left_out(frames, n) };
	if (ret_line->count == 0) {
		if (frames->stored == n)
			return false;
		if (gap_at < n)
			*(frames->stored < gap_at ? &end : &start) = (size_t)gap_at;
		take_frames(frames, start, end, ret_line);
		frames->stored += (size_t)ret_line->count;
	}
	frames->number += ret_line->count;
	return true;
}

const char *frames_number(const struct frames_line *line, char text[static FRAMES_NUMBER])
{
	if (line->count == 1)
		(void)snprintf(text, FRAMES_NUMBER, "#%-3" PRIu64 " ", line->first);
	else
		(void)snprintf(text, FRAMES_NUMBER, "#%" PRIu64 " to #%" PRIu64 ": ", line->first,
			       line->first + line->count - 1);
	return text;
}

const char *frames_times(const struct frames_line *line, char text[static FRAMES_TIMES])
{
	text[0] = '\0';
	if (line->again > 0)
		(void)snprintf(text, FRAMES_TIMES, "the %u frames above, %" PRIu64 " more times",
			       line->again, line->count / line->again);
	else if (line->count > 1)
		(void)snprintf(text, FRAMES_TIMES, ", %" PRIu64 " times", line->count);
	return text;
}

bool frames_is_signal(const json_t *frame)
{
	return json_is_string(json_object_get(frame, "signal"));
}
