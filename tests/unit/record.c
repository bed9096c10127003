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

static const struct {
	const char *claim;
	const char *id; /* the record is of the name 20231114T221320-000001 and time 1700000000 */
	const char *changed;
	bool is_of;
} ids[] = {
	{ "its own", "20231114T221320-000001", "{}", true },
	{ "without the lock", "20231114T221320-b0000001", "{\"id\":\"20231114T221320-b0000001\"}", true },
	{ "of another number", "20231114T221320-000002", "{}", false },
	{ "the crash of another day", "20231114T221320-000001", "{\"time\":1600000000}", false },
	{ "folds are written later", "20231114T221320-000001",
	  "{\"time\":1600000000,\"decision\":\"folded\"}", true },
	{ "... and not before", "20231114T221320-000001",
	  "{\"time\":1800000000,\"decision\":\"folded\"}", false },
	{ "a moment after the crash", "20231114T221320-000001", "{\"time\":1699999990}", true },
	{ "no date", "zzz", "{\"id\":\"zzz\"}", false },
	{ "a month that is none", "20239914T221320-000001",
	  "{\"id\":\"20239914T221320-000001\"}", false },
	{ "before 1970", "19691231T235959-000003",
	  "{\"id\":\"19691231T235959-000003\",\"time\":-1}", true },
};

START_TEST(test_ids)
{
	json_t *json = json_pack("{s:s, s:i, s:i, s:s, s:s}", "id", "20231114T221320-000001",
				 "weight", 1, "time", 1700000000, "process", "p", "decision", "keep");
	json_t *changed = json_loads(ids[_i].changed, 0, NULL);

	ck_assert_int_eq(json_object_update(json, changed), 0);
	claim_int_eq(ids[_i].claim, record_is_of(json, ids[_i].id), ids[_i].is_of);
	json_decref(changed);
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("record");
	TCase *tcase = unit_case(suite, "record");

	tcase_add_loop_test(tcase, test_numbers, 0, ROWS(rows));
	tcase_add_loop_test(tcase, test_ids, 0, ROWS(ids));
	return unit_main(suite);
}
