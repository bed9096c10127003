/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Points in time as people and coredumpctl write them. The zone is CET with summer time. */

#include "cmd/times.h"

#include <stdlib.h>
#include <time.h>

#include "policy/units.h"
#include "unit.h"

#define NOW 1351617436LL /* 2012-10-30 18:17:16 CET */
#define DAY 86400LL

static const struct {
	const char *text;
	int64_t seconds; /* since 1970; 0: refused */
	int64_t ns;
} rows[] = {
	{ "now", NOW, 0 },
	{ "today", 1351551600, 0 },
	{ "yesterday", 1351465200, 0 },
	{ "tomorrow", 1351638000, 0 },
	{ "Yesterday", 1351465200, 0 },
	{ "2012-10-30 18:17:16", NOW, 0 },
	{ "2012-10-30T18:17:16", NOW, 0 },
	{ "2012-10-30 18:17", NOW - 16, 0 },
	{ "2012-10-30", 1351551600, 0 },
	{ "12-10-30 18:17:16", NOW, 0 },
	{ "12-10-30", 1351551600, 0 },
	{ "Tue 2012-10-30 18:17:16", NOW, 0 },
	{ "Tuesday 2012-10-30", 1351551600, 0 },
	{ "2012-10-30 18:17:16.25", NOW, 250000000 },
	{ "2012-10-30 17:17:16 UTC", NOW, 0 },
	{ "2012-10-30T17:17:16Z", NOW, 0 },
	{ "2012-10-30 UTC", 1351555200, 0 },
	{ "18:17:16", NOW, 0 },
	{ "18:17", NOW - 16, 0 },
	{ "2012-07-01 00:00", 1341093600, 0 }, /* summer time */
	{ "2040-01-01 00:00:00 UTC", 2208988800, 0 }, /* beyond 2038 */
	{ "@123", 123, 0 },
	{ "@1351617436.5", NOW, 500000000 },
	{ "-1h", NOW - 3600, 0 },
	{ "-24h", NOW - DAY, 0 },
	{ "+1h 30min", NOW + 5400, 0 },
	{ "-5s", NOW - 5, 0 },
	{ "5 min ago", NOW - 300, 0 },
	{ "11min ago", NOW - 660, 0 },
	{ "2 weeks ago", NOW - 14 * DAY, 0 },
	{ "1 month ago", NOW - 2629800, 0 },
	{ "1 year 2 days ago", NOW - 31557600 - 2 * DAY, 0 },
	{ "3 hours 1 minute 2 seconds left", NOW + 10862, 0 },
	{ " -1h ", NOW - 3600, 0 },
	{ "", 0, 0 },
	{ "ago", 0, 0 },
	{ "5 parsecs ago", 0, 0 },
	{ "Wed 2012-10-30", 0, 0 }, /* was a Tuesday */
	{ "Foo 2012-10-30", 0, 0 },
	{ "2012-02-30", 0, 0 },
	{ "2012-13-01", 0, 0 },
	{ "2012-10-30 25:00", 0, 0 },
	{ "2012-10-30 18:17:16x", 0, 0 },
	{ "2012-10-30 18:17.5", 0, 0 },
	{ "@", 0, 0 },
	{ "@x", 0, 0 },
	{ "-", 0, 0 },
	{ "-99999999999999999999h", 0, 0 },
	{ "lastweek", 0, 0 },
	{ "2012-10-30 18:17:16 2012-10-30 18:17:16 2012-10-30 18:17:16 2012-10-30", 0, 0 },
};

START_TEST(test_times)
{
	int64_t ns = -7;
	int r = times_parse(rows[_i].text, NOW, &ns);

	if (rows[_i].seconds == 0) {
		ck_assert_msg(r < 0, "'%s' was taken", rows[_i].text);
		return;
	}
	ck_assert_msg(r == 0, "'%s' was refused: %d", rows[_i].text, r);
	ck_assert_msg(ns == rows[_i].seconds * NS_PER_SEC + rows[_i].ns, "'%s' is %lld ns",
		      rows[_i].text, (long long)ns);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("times");

	(void)setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	tcase_add_loop_test(unit_case(suite, "times"), test_times, 0, ROWS(rows));
	return unit_main(suite);
}
