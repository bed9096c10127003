/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What journald is sent: one datagram, no field that could be taken for another. */

#include "io/log.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

#define HEAD "MESSAGE=text\nPRIORITY=5\nSYSLOG_IDENTIFIER=corefold\nSYSLOG_FACILITY=3\n"

static const struct {
	const char *claim;
	const char *message_id;
	const char *name;
	const char *value;
	const char *tail; /* behind HEAD */
} entries[] = {
	{ "a line alone", NULL, "A", NULL, "" },
	{ "a message id", LOG_ID_KEPT, "A", "", "MESSAGE_ID=" LOG_ID_KEPT "\n" },
	{ "a field", NULL, "COREFOLD_UID", "0", "COREFOLD_UID=0\n" },
	{ "a value that would be two fields", NULL, "A", "x\nMESSAGE=y", "A=x\\x0aMESSAGE=y\n" },
	{ "a name that was escaped before", NULL, "A", "a\\x1bb", "A=a\\x1bb\n" },
	{ "an equals sign", NULL, "A", "b=c", "A=b=c\n" },
};

START_TEST(test_entry)
{
	const struct log_field field = { entries[_i].name, entries[_i].value };
	const struct log_entry entry = { LOG_NOTICE, entries[_i].message_id, &field, 1 };
	char out[4096], wanted[4096];
	size_t n = log_format_journal(&entry, "text", out, sizeof(out));

	(void)snprintf(wanted, sizeof(wanted), HEAD "%s", entries[_i].tail);
	ck_assert_uint_lt(n, sizeof(out));
	out[n] = '\0';
	claim_str_eq(entries[_i].claim, out, wanted);
}
END_TEST

/* Fields that do not fit go as a whole, the line stays. */
START_TEST(test_room)
{
	char value[300], out[400];
	const struct log_field field[] = { { "A", value }, { "B", value }, { "C", "c" } };
	const struct log_entry entry = { LOG_NOTICE, NULL, field, 3 };
	size_t n;

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (size_t size = 100; size <= sizeof(out); size++) {
		n = log_format_journal(&entry, "text", out, size);
		ck_assert_uint_lt(n, size);
		ck_assert(memcmp(out, HEAD, sizeof(HEAD) - 1) == 0);
		ck_assert_int_eq(out[n - 1], '\n');
		ck_assert(!memmem(out, n, "B=", 2));
		ck_assert(memmem(out, n, "C=c\n", 4) || size < sizeof(HEAD) + 4 ||
			  memmem(out, n, "A=v", 3));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *journal = tcase_create("journal");

	tcase_add_loop_test(journal, test_entry, 0, ROWS(entries));
	tcase_add_test(journal, test_room);
	suite_add_tcase(suite, journal);
	return unit_main(suite);
}
