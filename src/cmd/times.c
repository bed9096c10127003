/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/times.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "io/cleanup.h"
#include "policy/units.h"

#define TEXT_BYTES 64

/* Does the text end with this word? Cut off it, and the blanks before it, then. */
static bool cut_tail(char *text, const char *word)
{
	size_t n = strlen(text), length = strlen(word);

	if (n < length || strcasecmp(text + n - length, word) != 0)
		return false;
	n -= length;
	while (n > 0 && text[n - 1] == ' ')
		n--;
	text[n] = '\0';
	return true;
}

/* ---- spans ---- */

static int parse_span(const char *text, int64_t now_s, bool back, int64_t *ret_ns)
{
	int64_t span_ns, now_ns;
	int r;

	r = units_parse_span(text, &span_ns);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(now_s, NS_PER_SEC, &now_ns) ||
	    __builtin_add_overflow(now_ns, back ? -span_ns : span_ns, ret_ns))
		return -ERANGE;
	return 0;
}

/* ---- days ---- */

static int of_calendar(struct tm *tm, bool utc, int64_t *ret_s)
{
	int day = tm->tm_mday;
	time_t t;

	tm->tm_isdst = -1;
	t = utc ? timegm(tm) : mktime(tm);
	/* -1 is a second of 1969, too; a day that moved was none, as the 30th of February. */
	if ((t == (time_t)-1 && tm->tm_year != 69 && tm->tm_year != 70) || tm->tm_mday != day)
		return -EINVAL;
	*ret_s = t;
	return 0;
}

static int midnight(int64_t now_s, int days, bool utc, int64_t *ret_s)
{
	time_t t = now_s;
	struct tm tm;

	if (!(utc ? gmtime_r(&t, &tm) : localtime_r(&t, &tm)))
		return -ERANGE;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday += days;
	tm.tm_isdst = -1;
	*ret_s = utc ? timegm(&tm) : mktime(&tm);
	return 0;
}

/* "Fri 2012-11-23": the name of the day, which must be right; -1: none, -2: no such day. */
static int take_weekday(const char **text)
{
	static const char *const days[] = { "Sunday",	"Monday", "Tuesday", "Wednesday",
					    "Thursday", "Friday", "Saturday" };
	size_t n = strcspn(*text, " ");

	if (!((**text >= 'A' && **text <= 'Z') || (**text >= 'a' && **text <= 'z')))
		return -1;
	for (int i = 0; i < (int)ARRAY_SIZE(days); i++) {
		if (strncasecmp(*text, days[i], n) != 0 || (n != 3 && n != strlen(days[i])))
			continue;
		*text += n + strspn(*text + n, " ");
		return i;
	}
	return -2;
}

/* ".123" behind the seconds. */
static int take_fraction(const char *text, int64_t *ret_ns)
{
	char seconds[TEXT_BYTES + 1] = "0";

	*ret_ns = 0;
	if (!*text)
		return 0;
	if (*text != '.')
		return -EINVAL;
	strncat(seconds, text, TEXT_BYTES - 1);
	return units_parse_seconds(seconds, ret_ns);
}

/* A form of strptime() and how it begins: at now, today, or with the year it names. */
static const struct {
	const char *form;
	bool today;
	bool seconds; /* may have a fraction */
} forms[] = {
	{ "%Y-%m-%d %H:%M:%S", false, true },  { "%Y-%m-%dT%H:%M:%S", false, true },
	{ "%Y-%m-%d %H:%M", false, false },    { "%Y-%m-%dT%H:%M", false, false },
	{ "%Y-%m-%d", false, false },	       { "%y-%m-%d %H:%M:%S", false, true },
	{ "%y-%m-%d %H:%M", false, false },    { "%y-%m-%d", false, false },
	{ "%H:%M:%S", true, true },	       { "%H:%M", true, false },
};

static int parse_form(size_t form, const char *text, int64_t now_s, bool utc, int weekday,
		      int64_t *ret_ns)
{
	time_t now = now_s;
	int64_t seconds, fraction_ns = 0;
	struct tm tm = { 0 };
	const char *end;

	if (forms[form].today && !(utc ? gmtime_r(&now, &tm) : localtime_r(&now, &tm)))
		return -ERANGE;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	end = strptime(text, forms[form].form, &tm);
	if (!end || (*end && !forms[form].seconds) || take_fraction(end, &fraction_ns) < 0 ||
	    of_calendar(&tm, utc, &seconds) < 0 || (weekday >= 0 && tm.tm_wday != weekday))
		return -EINVAL;
	if (__builtin_mul_overflow(seconds, NS_PER_SEC, ret_ns) ||
	    __builtin_add_overflow(*ret_ns, fraction_ns, ret_ns))
		return -ERANGE;
	return 0;
}

static int parse_calendar(const char *text, int64_t now_s, bool utc, int64_t *ret_ns)
{
	int weekday = take_weekday(&text);
	bool short_year = strcspn(text, "-") == 2;

	for (size_t i = 0; weekday != -2 && i < ARRAY_SIZE(forms); i++) {
		/* %Y would take 12 for the year of that number. */
		if (short_year && strncmp(forms[i].form, "%Y", 2) == 0)
			continue;
		if (parse_form(i, text, now_s, utc, weekday, ret_ns) == 0)
			return 0;
	}
	return -EINVAL;
}

static int parse_word(const char *text, int64_t now_s, bool utc, int64_t *ret_ns)
{
	static const char *const days[] = { "yesterday", "today", "tomorrow" };
	int64_t seconds = now_s;
	int r = strcasecmp(text, "now") == 0 ? 0 : -EINVAL;

	for (int i = 0; i < (int)ARRAY_SIZE(days); i++)
		if (strcasecmp(text, days[i]) == 0)
			r = midnight(now_s, i - 1, utc, &seconds);
	if (r == 0 && __builtin_mul_overflow(seconds, NS_PER_SEC, ret_ns))
		return -ERANGE;
	return r;
}

int times_parse(const char *original, int64_t now_s, int64_t *ret_ns)
{
	char text[TEXT_BYTES];
	bool utc;

	original += strspn(original, " ");
	if (strlen(original) >= sizeof(text))
		return -EINVAL;
	strcpy(text, original);
	(void)cut_tail(text, ""); /* blanks */
	if (text[0] == '@')
		return units_parse_seconds(text + 1, ret_ns);
	if (text[0] == '-' || text[0] == '+')
		return parse_span(text + 1, now_s, text[0] == '-', ret_ns);
	if (cut_tail(text, " ago"))
		return parse_span(text, now_s, true, ret_ns);
	if (cut_tail(text, " left"))
		return parse_span(text, now_s, false, ret_ns);
	utc = cut_tail(text, " UTC") || cut_tail(text, "Z");
	if (parse_word(text, now_s, utc, ret_ns) == 0)
		return 0;
	return parse_calendar(text, now_s, utc, ret_ns);
}
