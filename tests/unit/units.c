/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Values with units: each form, each bound, there and back. */

#include "policy/units.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#define UNTOUCHED 0x5a5a5a5a5a

/* One table for all parsers: what they take, what they say, and that failure writes nothing. */
enum parser { SPAN, BYTES, SHARE, NUMBER, NUMBER_63, BOOL, SECONDS };

static const struct {
	const char *claim;
	enum parser parser;
	const char *text;
	int result;
	int64_t value;
} parses[] = {
	{ "no unit is seconds", SPAN, "90", 0, 90 * SEC },
	{ "ns", SPAN, "7ns", 0, 7 },
	{ "us", SPAN, "7us", 0, 7000 },
	{ "ms", SPAN, "200ms", 0, 200000000 },
	{ "s", SPAN, "7s", 0, 7 * SEC },
	{ "sec", SPAN, "7sec", 0, 7 * SEC },
	{ "m", SPAN, "7m", 0, 420 * SEC },
	{ "min", SPAN, "8min", 0, 480 * SEC },
	{ "h", SPAN, "7h", 0, 25200 * SEC },
	{ "hours", SPAN, "7hours", 0, 25200 * SEC },
	{ "d", SPAN, "7d", 0, 604800 * SEC },
	{ "days", SPAN, "14days", 0, 1209600 * SEC },
	{ "w", SPAN, "1w", 0, 604800 * SEC },
	{ "capitals", SPAN, "1MIN", 0, 60 * SEC },
	{ "a sum", SPAN, "1h 30min", 0, 5400 * SEC },
	{ "a sum without blanks", SPAN, "1h30min5s", 0, 5405 * SEC },
	{ "blanks all around", SPAN, " \t8 min\t ", 0, 480 * SEC },
	{ "decimals", SPAN, "1.5h", 0, 5400 * SEC },
	{ "decimals to the nanosecond", SPAN, "0.000000001", 0, 1 },
	{ "decimals exactly", SPAN, "0.1s", 0, 100000000 },
	{ "zeros beyond the nanosecond", SPAN, "1.0000000000000s", 0, SEC },
	{ "zero", SPAN, "0", 0, 0 },
	{ "the longest", SPAN, "9223372036854775807ns", 0, INT64_MAX },
	{ "one too long", SPAN, "9223372036854775808ns", -ERANGE, 0 },
	{ "too long by its unit", SPAN, "15251w", -ERANGE, 0 },
	{ "too long as a sum", SPAN, "9223372036s 9223372036s", -ERANGE, 0 },
	{ "a sum that would come round", SPAN, "9223372036s 9223372036s 9223372036s", -ERANGE, 0 },
	{ "digits without end", SPAN, "99999999999999999999999999", -ERANGE, 0 },
	{ "finer than a nanosecond", SPAN, "0.0000000001", -EINVAL, 0 },
	{ "no digits after the point", SPAN, "1.s", -EINVAL, 0 },
	{ "no digits before the point", SPAN, ".5s", -EINVAL, 0 },
	{ "two points", SPAN, "1.2.3s", -EINVAL, 0 },
	{ "nothing", SPAN, "", -EINVAL, 0 },
	{ "blanks only", SPAN, "  ", -EINVAL, 0 },
	{ "an unknown unit", SPAN, "5parsecs", -EINVAL, 0 },
	{ "the words of systemd.time(7)", SPAN, "2 weeks 1 day 1 hour 1 minute 1 second", 0,
	  (15 * 86400LL + 3661) * SEC },
	{ "a mean year", SPAN, "1y", 0, 31557600 * SEC },
	{ "a unit alone", SPAN, "min", -EINVAL, 0 },
	{ "a sign", SPAN, "-5s", -EINVAL, 0 },
	{ "infinity", SPAN, "infinity", -EINVAL, 0 },
	{ "an exponent", SPAN, "1e3", -EINVAL, 0 },
	{ "text behind it", SPAN, "5s!", -EINVAL, 0 },

	{ "no unit is bytes", BYTES, "4096", 0, 4096 },
	{ "B", BYTES, "4096B", 0, 4096 },
	{ "K", BYTES, "64K", 0, 65536 },
	{ "KB", BYTES, "64KB", 0, 65536 },
	{ "KiB", BYTES, "64KiB", 0, 65536 },
	{ "M", BYTES, "1M", 0, 1 << 20 },
	{ "MB", BYTES, "1MB", 0, 1 << 20 },
	{ "MiB", BYTES, "1MiB", 0, 1 << 20 },
	{ "G", BYTES, "2G", 0, 2LL << 30 },
	{ "GB", BYTES, "2GB", 0, 2LL << 30 },
	{ "GiB", BYTES, "2gib", 0, 2LL << 30 },
	{ "T", BYTES, "1T", 0, 1LL << 40 },
	{ "TB", BYTES, "1TB", 0, 1LL << 40 },
	{ "TiB", BYTES, " 1 TiB ", 0, 1LL << 40 },
	{ "half a gigabyte", BYTES, "0.5G", 0, 1 << 29 },
	{ "the most", BYTES, "9223372036854775807", 0, INT64_MAX },
	{ "one too many", BYTES, "9223372036854775808", -ERANGE, 0 },
	{ "too many by their unit", BYTES, "8388608T", -ERANGE, 0 },
	{ "two sizes", BYTES, "1G 1M", -EINVAL, 0 },
	{ "a time", BYTES, "8min", -EINVAL, 0 },
	{ "a negative size", BYTES, "-1", -EINVAL, 0 },
	{ "no size", BYTES, "", -EINVAL, 0 },

	{ "ten percent", SHARE, "10%", 0, 1000 },
	{ "half a percent", SHARE, "0.5 %", 0, 50 },
	{ "all", SHARE, "100%", 0, 10000 },
	{ "nothing of it", SHARE, "0%", 0, 0 },
	{ "more than all", SHARE, "100.01%", -ERANGE, 0 },
	{ "a hundredth of a percent", SHARE, "0.010%", 0, 1 },
	{ "a thousandth, which would be none", SHARE, "0.001%", -EINVAL, 0 },
	{ "far more than all", SHARE, "184467440737095516%", -ERANGE, 0 },
	{ "no sign of percent", SHARE, "10", -EINVAL, 0 },
	{ "percent twice", SHARE, "10%%", -EINVAL, 0 },

	{ "a number", NUMBER, "42", 0, 42 },
	{ "blanks around a number", NUMBER, " 42 ", 0, 42 },
	{ "the largest", NUMBER, "100", 0, 100 },
	{ "larger", NUMBER, "101", -ERANGE, 0 },
	{ "far larger", NUMBER, "18446744073709551616", -ERANGE, 0 },
	{ "63 bits", NUMBER_63, "9223372036854775807", 0, INT64_MAX },
	{ "64 bits", NUMBER_63, "9223372036854775808", -ERANGE, 0 },
	{ "a decimal", NUMBER, "4.0", -EINVAL, 0 },
	{ "hexadecimal", NUMBER, "0x10", -EINVAL, 0 },
	{ "a plus", NUMBER, "+4", -EINVAL, 0 },
	{ "no number", NUMBER, "", -EINVAL, 0 },

	{ "yes", BOOL, "yes", 0, 1 },
	{ "true", BOOL, "True", 0, 1 },
	{ "on", BOOL, "ON", 0, 1 },
	{ "1", BOOL, "1", 0, 1 },
	{ "no", BOOL, "no", 0, 0 },
	{ "false", BOOL, "false", 0, 0 },
	{ "off", BOOL, "off", 0, 0 },
	{ "0", BOOL, "0", 0, 0 },
	{ "maybe", BOOL, "maybe", -EINVAL, 0 },
	{ "no answer", BOOL, "", -EINVAL, 0 },
	{ "half an answer", BOOL, "y", -EINVAL, 0 },

	{ "seconds", SECONDS, "480", 0, 480 * SEC },
	{ "to the nanosecond", SECONDS, "479.999999999", 0, 480 * SEC - 1 },
	{ "fifty of them after three days", SECONDS, "259200.00000005", 0, 259200 * SEC + 50 },
	{ "before the start", SECONDS, "-0.5", 0, -SEC / 2 },
	{ "the last instant", SECONDS, "9223372036.854775807", 0, INT64_MAX },
	{ "behind the last instant", SECONDS, "9223372036.854775808", -ERANGE, 0 },
	{ "far before the first", SECONDS, "-9223372037", -ERANGE, 0 },
	{ "a unit", SECONDS, "5s", -EINVAL, 0 },
	{ "a blank", SECONDS, " 5", -EINVAL, 0 },
	{ "two signs", SECONDS, "--5", -EINVAL, 0 },
	{ "a sign alone", SECONDS, "-", -EINVAL, 0 },
	{ "finer than can be held", SECONDS, "0.0000000005", -EINVAL, 0 },
};

static int parse(enum parser parser, const char *text, int64_t *ret)
{
	uint64_t wide = UNTOUCHED;
	uint32_t share = 0x5a;
	int flag = 0x5a, r;

	switch (parser) {
	case SPAN:
		return units_parse_span(text, ret);
	case SECONDS:
		return units_parse_seconds(text, ret);
	case BYTES:
		r = units_parse_bytes(text, &wide);
		break;
	case SHARE:
		r = units_parse_share(text, &share);
		wide = share == 0x5a ? UNTOUCHED : share;
		break;
	case BOOL:
		r = units_parse_bool(text, &flag);
		wide = flag == 0x5a ? UNTOUCHED : (uint64_t)flag;
		break;
	default:
		r = units_parse_number(text, parser == NUMBER ? 100 : INT64_MAX, &wide);
		break;
	}
	*ret = (int64_t)wide;
	return r;
}

START_TEST(test_parse)
{
	int64_t value = UNTOUCHED;

	claim_int_eq(parses[_i].claim, parse(parses[_i].parser, parses[_i].text, &value),
		     parses[_i].result);
	claim_int_eq(parses[_i].claim, value, parses[_i].result ? UNTOUCHED : parses[_i].value);
}
END_TEST

enum formatter { FORMAT_SECONDS, FORMAT_SPAN, FORMAT_BYTES };

static const struct {
	const char *claim;
	enum formatter formatter;
	int64_t value;
	const char *text;
} formats[] = {
	{ "zero seconds", FORMAT_SECONDS, 0, "0" },
	{ "whole seconds", FORMAT_SECONDS, 480 * SEC, "480" },
	{ "needed decimals only", FORMAT_SECONDS, SEC / 4, "0.25" },
	{ "fifty nanoseconds after three days", FORMAT_SECONDS, 259200 * SEC + 50,
	  "259200.00000005" },
	{ "negative seconds", FORMAT_SECONDS, -SEC / 2, "-0.5" },
	{ "the last instant", FORMAT_SECONDS, INT64_MAX, "9223372036.854775807" },
	{ "the first instant", FORMAT_SECONDS, INT64_MIN, "-9223372036.854775808" },

	{ "no time", FORMAT_SPAN, 0, "0s" },
	{ "minutes", FORMAT_SPAN, 480 * SEC, "8min" },
	{ "two units", FORMAT_SPAN, 5400 * SEC, "1h 30min" },
	{ "never three", FORMAT_SPAN, 5405 * SEC, "1h 30min" },
	{ "no gap between units", FORMAT_SPAN, 86405 * SEC, "1d" },
	{ "milliseconds", FORMAT_SPAN, SEC / 4, "250ms" },
	{ "nanoseconds", FORMAT_SPAN, 1, "1ns" },
	{ "negative spans", FORMAT_SPAN, -5400 * SEC, "-1h 30min" },
	{ "the shortest span", FORMAT_SPAN, INT64_MIN, "-106751d 23h" },

	{ "no bytes", FORMAT_BYTES, 0, "0B" },
	{ "few bytes", FORMAT_BYTES, 1023, "1023B" },
	{ "kilobytes", FORMAT_BYTES, 65536, "64K" },
	{ "one decimal below ten", FORMAT_BYTES, 3 << 19, "1.5M" },
	{ "gigabytes", FORMAT_BYTES, 200LL << 30, "200G" },
	{ "the most bytes", FORMAT_BYTES, -1, "15E" },
};

START_TEST(test_format)
{
	char text[UNITS_SIZE];

	switch (formats[_i].formatter) {
	case FORMAT_SECONDS:
		ck_assert_ptr_eq(units_format_seconds(formats[_i].value, text), text);
		break;
	case FORMAT_SPAN:
		ck_assert_ptr_eq(units_format_span(formats[_i].value, text), text);
		break;
	case FORMAT_BYTES:
		ck_assert_ptr_eq(units_format_bytes((uint64_t)formats[_i].value, text), text);
		break;
	}
	claim_str_eq(formats[_i].claim, text, formats[_i].text);
}
END_TEST

/* What a trace prints, a trace reads: to the nanosecond. */
START_TEST(test_round_trip)
{
	struct unit_random random = unit_random(0);

	for (int i = 0; i < 100000; i++) {
		int64_t ns = (int64_t)(unit_next(&random) >> unit_below(&random, 64)), back = 0;
		char text[UNITS_SIZE];

		if (ns == INT64_MIN)
			continue; /* its magnitude cannot be read */
		check_that(units_parse_seconds(units_format_seconds(ns, text), &back) == 0);
		check_that(back == ns);
	}
}
END_TEST

/* No text of any shape makes a parser read beyond it or write on failure. */
START_TEST(test_junk)
{
	static const char letters[] = "0123456789..%  -+smhdwunKMGTiBx\t";
	struct unit_random random = unit_random(1 + _i);

	for (int i = 0; i < 20000; i++) {
		enum parser parser = (enum parser)unit_below(&random, SECONDS + 1);
		int64_t value = UNTOUCHED;
		char text[24] = "";
		size_t n = unit_below(&random, sizeof(text));

		for (size_t at = 0; at < n; at++)
			text[at] = letters[unit_below(&random, sizeof(letters) - 1)];
		if (parse(parser, text, &value) < 0)
			check_that(value == UNTOUCHED);
		else if (parser != SECONDS)
			check_that(value >= 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("units");
	TCase *units_case = unit_case(suite, "units");
	TCase *random = unit_case(suite, "random");

	tcase_add_loop_test(units_case, test_parse, 0, ROWS(parses));
	tcase_add_loop_test(units_case, test_format, 0, ROWS(formats));
	tcase_add_test(random, test_round_trip);
	tcase_add_loop_test(random, test_junk, 0, 4);
	return unit_main(suite);
}
