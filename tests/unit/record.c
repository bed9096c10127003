/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which JSON is a record: what corefold can have written, and nothing beside it. */

#include "core/record.h"

#include <errno.h>

#include "unit.h"

static const struct {
	const char *claim;
	const char *changed; /* merged into a good one */
	int result;
} rows[] = {
	{ "a good one", "{}", 0 },
	{ "the largest weight", "{\"weight\":9007199254740992}", 0 },
	{ "a weight beyond it", "{\"weight\":9007199254740993}", -EINVAL },
	{ "a weight whose sums wrap", "{\"weight\":9223372036854775807}", -EINVAL },
	{ "no weight", "{\"weight\":0}", -EINVAL },
	{ "less than none", "{\"weight\":-1}", -EINVAL },
	{ "a weight in words", "{\"weight\":\"1\"}", -EINVAL },
	{ "no signal", "{\"signal\":0}", 0 },
	{ "the last signal", "{\"signal\":64}", 0 },
	{ "a negative signal", "{\"signal\":-7}", -EINVAL },
	{ "a signal that is none", "{\"signal\":999}", -EINVAL },
	{ "a signal with a fraction", "{\"signal\":6.5}", -EINVAL },
	{ "the last uid", "{\"uid\":4294967295}", 0 },
	{ "a uid beyond", "{\"uid\":4294967296}", -EINVAL },
	{ "a negative uid", "{\"uid\":-1}", -EINVAL },
	{ "a negative gid", "{\"gid\":-1}", -EINVAL },
	{ "a pid that is not known", "{\"pid\":0}", 0 },
	{ "a negative pid", "{\"pid\":-1}", -EINVAL },
	{ "before 1970, where there is no clock", "{\"time\":-5}", 0 },
	{ "the year 10000", "{\"time\":253402300800}", -EINVAL },
	{ "a negative size", "{\"core_bytes\":-1}", -EINVAL },
};

START_TEST(test_numbers)
{
	json_t *json = json_pack("{s:s, s:i, s:i, s:i, s:i, s:s}", "id", "20231114T221320-000001",
				 "weight", 1, "time", 1700000000, "uid", 1, "signal", 11,
				 "process", "p");
	json_t *changed = json_loads(rows[_i].changed, 0, NULL);
	struct record record;

	ck_assert_ptr_nonnull(changed);
	ck_assert_int_eq(json_object_update(json, changed), 0);
	ck_assert_msg(record_from_json(json, &record) == rows[_i].result, "%s", rows[_i].claim);
	json_decref(changed);
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("record");
	TCase *tcase = unit_case(suite, "record");

	tcase_add_loop_test(tcase, test_numbers, 0, ROWS(rows));
	return unit_main(suite);
}
