/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Decimals are kept as integers in nanoseconds throughout: a trace with 50 ns steps
 * must give the same verdicts here as on paper, and a double would not.
 */

#include "policy/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t scale;
};

/* The words of systemd.time(7), where a month and a year are the mean ones. */
#define DAY_NS (86400 * NS_PER_SEC)
#define MONTH_NS (2629800 * NS_PER_SEC)

static const struct unit time_units[] = {
	{ "ns", 1 },
	{ "nsec", 1 },
	{ "us", 1000 },
	{ "usec", 1000 },
	{ "ms", 1000000 },
	{ "msec", 1000000 },
	{ "s", NS_PER_SEC },
	{ "sec", NS_PER_SEC },
	{ "second", NS_PER_SEC },
	{ "seconds", NS_PER_SEC },
	{ "", NS_PER_SEC },
	{ "m", 60 * NS_PER_SEC },
	{ "min", 60 * NS_PER_SEC },
	{ "minute", 60 * NS_PER_SEC },
	{ "minutes", 60 * NS_PER_SEC },
	{ "h", 3600 * NS_PER_SEC },
	{ "hr", 3600 * NS_PER_SEC },
	{ "hour", 3600 * NS_PER_SEC },
	{ "hours", 3600 * NS_PER_SEC },
	{ "d", DAY_NS },
	{ "day", DAY_NS },
	{ "days", DAY_NS },
	{ "w", 7 * DAY_NS },
	{ "week", 7 * DAY_NS },
	{ "weeks", 7 * DAY_NS },
	{ "month", MONTH_NS },
	{ "months", MONTH_NS },
	{ "y", UNITS_YEAR_NS },
	{ "year", UNITS_YEAR_NS },
	{ "years", UNITS_YEAR_NS },
};

static const struct unit byte_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", 1ULL << 10 },
	{ "KB", 1ULL << 10 },
	{ "KiB", 1ULL << 10 },
	{ "M", 1ULL << 20 },
	{ "MB", 1ULL << 20 },
	{ "MiB", 1ULL << 20 },
	{ "G", 1ULL << 30 },
	{ "GB", 1ULL << 30 },
	{ "GiB", 1ULL << 30 },
	{ "T", 1ULL << 40 },
	{ "TB", 1ULL << 40 },
	{ "TiB", 1ULL << 40 },
};

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* A decimal number as an integer part and up to nine decimals in units of 1e-9. */
static int scan_decimal(const char **text, uint64_t *ret_whole, uint64_t *ret_nano)
{
	const char *p = *text;
	uint64_t whole = 0, nano = 0, place = NS_PER_SEC / 10;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return -ERANGE;
	if (*p == '.') {
		if (!is_digit(*++p))
			return -EINVAL;
		for (; is_digit(*p); p++) {
			if (place == 0 && *p != '0')
				return -EINVAL; /* finer than we can hold */
			nano += (uint64_t)(*p - '0') * place;
			place /= 10;
		}
	}
	*text = p;
	*ret_whole = whole;
	*ret_nano = nano;
	return 0;
}

/* whole.nano times scale, in units of one; no product below can leave 64 bits. */
static int scale_decimal(uint64_t whole, uint64_t nano, uint64_t scale, uint64_t *ret_value)
{
	uint64_t part = nano * (scale / NS_PER_SEC) + nano * (scale % NS_PER_SEC) / NS_PER_SEC;
	uint64_t value;

	if (__builtin_mul_overflow(whole, scale, &value) ||
	    __builtin_add_overflow(value, part, &value) || value > INT64_MAX)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int find_unit(const struct unit *units, size_t n, const char **text, uint64_t *ret_scale)
{
	const char *p = skip_blanks(*text);
	size_t length = 0;

	while ((p[length] >= 'a' && p[length] <= 'z') ||
	       (p[length] >= 'A' && p[length] <= 'Z'))
		length++;
	for (size_t i = 0; i < n; i++) {
		if (strlen(units[i].name) != length ||
		    strncasecmp(units[i].name, p, length) != 0)
			continue;
		*text = p + length;
		*ret_scale = units[i].scale;
		return 0;
	}
	return -EINVAL;
}

int units_parse_span(const char *text, int64_t *ret_ns)
{
	uint64_t total = 0;
	int r;

	text = skip_blanks(text);
	do {
		uint64_t whole, nano, scale, part;

		r = scan_decimal(&text, &whole, &nano);
		if (r < 0)
			return r;
		r = find_unit(time_units, sizeof(time_units) / sizeof(*time_units), &text,
			      &scale);
		if (r < 0)
			return r;
		r = scale_decimal(whole, nano, scale, &part);
		if (r < 0)
			return r;
		total += part; /* both below 2^63 */
		if (total > INT64_MAX)
			return -ERANGE;
		text = skip_blanks(text);
	} while (*text);
	*ret_ns = (int64_t)total;
	return 0;
}

int units_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	uint64_t whole, nano, scale, bytes;
	int r;

	text = skip_blanks(text);
	r = scan_decimal(&text, &whole, &nano);
	if (r < 0)
		return r;
	r = find_unit(byte_units, sizeof(byte_units) / sizeof(*byte_units), &text, &scale);
	if (r < 0)
		return r;
	r = scale_decimal(whole, nano, scale, &bytes);
	if (r < 0)
		return r;
	if (*skip_blanks(text))
		return -EINVAL;
	*ret_bytes = bytes;
	return 0;
}

int units_parse_share(const char *text, uint32_t *ret_basis_points)
{
	uint64_t whole, nano, points;
	int r;

	text = skip_blanks(text);
	r = scan_decimal(&text, &whole, &nano);
	if (r < 0)
		return r;
	text = skip_blanks(text);
	if (*text++ != '%' || *skip_blanks(text))
		return -EINVAL;
	if (nano % (NS_PER_SEC / 100) != 0)
		return -EINVAL; /* finer than we can hold */
	r = scale_decimal(whole, nano, 100, &points);
	if (r < 0 || points > 10000)
		return -ERANGE;
	*ret_basis_points = (uint32_t)points;
	return 0;
}

int units_parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t whole, nano;
	int r;

	if (strchr(text, '.'))
		return -EINVAL;
	text = skip_blanks(text);
	r = scan_decimal(&text, &whole, &nano);
	if (r < 0)
		return r;
	if (*skip_blanks(text))
		return -EINVAL;
	if (whole > max)
		return -ERANGE;
	*ret_number = whole;
	return 0;
}

int units_parse_bool(const char *text, int *ret_bool)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(text, yes[i]) == 0) {
			*ret_bool = 1;
			return 0;
		}
		if (strcasecmp(text, no[i]) == 0) {
			*ret_bool = 0;
			return 0;
		}
	}
	return -EINVAL;
}

int units_parse_seconds(const char *text, int64_t *ret_ns)
{
	uint64_t whole, nano, ns;
	int negative = *text == '-';
	int r;

	text += negative;
	r = scan_decimal(&text, &whole, &nano);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	r = scale_decimal(whole, nano, NS_PER_SEC, &ns);
	if (r < 0)
		return r;
	*ret_ns = negative ? -(int64_t)ns : (int64_t)ns;
	return 0;
}

const char *units_format_seconds(int64_t ns, char out[static UNITS_SIZE])
{
	uint64_t magnitude = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	uint64_t nano = magnitude % NS_PER_SEC;
	int length = snprintf(out, UNITS_SIZE, "%s%" PRIu64, ns < 0 ? "-" : "",
			      (uint64_t)(magnitude / NS_PER_SEC));

	if (nano == 0)
		return out;
	length += snprintf(out + length, UNITS_SIZE - (size_t)length, ".%09" PRIu64, nano);
	while (out[length - 1] == '0')
		out[--length] = '\0';
	return out;
}

const char *units_format_span(int64_t ns, char out[static UNITS_SIZE])
{
	static const struct unit steps[] = {
		{ "d", 86400 * NS_PER_SEC }, { "h", 3600 * NS_PER_SEC },
		{ "min", 60 * NS_PER_SEC },  { "s", NS_PER_SEC },
		{ "ms", 1000000 },	     { "us", 1000 },
		{ "ns", 1 },
	};
	uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	size_t length = 0, parts = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && parts < 2; i++) {
		if (left < steps[i].scale) {
			if (parts > 0)
				break; /* "1d", not "1d 5s" */
			continue;
		}
		length += (size_t)snprintf(out + length, UNITS_SIZE - length,
					   "%s%s%" PRIu64 "%s", parts ? " " : "",
					   ns < 0 && !parts ? "-" : "",
					   left / steps[i].scale, steps[i].name);
		left %= steps[i].scale;
		parts++;
	}
	if (parts == 0)
		(void)snprintf(out, UNITS_SIZE, "0s");
	return out;
}

const char *units_format_bytes(uint64_t bytes, char out[static UNITS_SIZE])
{
	static const char suffix[] = "BKMGTPE";
	uint64_t unit = 1;
	size_t i = 0;

	while (i + 2 < sizeof(suffix) && bytes / unit >= 1024) {
		unit <<= 10;
		i++;
	}
	if (i == 0 || bytes / unit >= 10)
		(void)snprintf(out, UNITS_SIZE, "%" PRIu64 "%c", bytes / unit, suffix[i]);
	else
		(void)snprintf(out, UNITS_SIZE, "%" PRIu64 ".%u%c", bytes / unit,
			       (unsigned int)(bytes % unit * 10 / unit), suffix[i]);
	return out;
}
