/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Members are read back by us and by gzip; damage is seen. */

#include "core/member.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static unsigned char plain[MEMBER_PLAIN + 1], stored[MEMBER_BOUND], back[MEMBER_PLAIN + 1];

static void fill(struct unit_random *random, const char *kind, size_t n)
{
	for (size_t i = 0; i < n; i++)
		switch (kind[0]) {
		case 'r': /* random */
			plain[i] = (unsigned char)unit_next(random);
			break;
		case 't': /* text */
			plain[i] = (unsigned char)"crash handler "[i % 14];
			break;
		case 'm': /* mixed, as memory is */
			plain[i] = i / 4096 % 2 ? (unsigned char)unit_next(random) : 0;
			break;
		default: /* zeros */
			plain[i] = 0;
			break;
		}
}

static size_t write_member(size_t n)
{
	struct member_writer *writer = member_writer_new();
	size_t bytes = 0;

	ck_assert_ptr_nonnull(writer);
	ck_assert_int_eq(member_write(writer, plain, n, stored, &bytes), 0);
	member_writer_free(writer);
	return bytes;
}

static const struct {
	const char *claim;
	const char *kind;
	size_t bytes;
} trips[] = {
	{ "one zero", "zeros", 1 },
	{ "one byte", "random", 1 },
	{ "two bytes", "random", 2 },
	{ "a page of zeros", "zeros", 4096 },
	{ "a page of chance", "random", 4096 },
	{ "text", "text", 50000 },
	{ "zeros, one byte short", "zeros", MEMBER_PLAIN - 1 },
	{ "zeros, whole", "zeros", MEMBER_PLAIN },
	{ "chance, one byte short", "random", MEMBER_PLAIN - 1 },
	{ "chance, whole", "random", MEMBER_PLAIN },
	{ "mixed, whole", "mixed", MEMBER_PLAIN },
};

START_TEST(test_round_trip)
{
	struct unit_random random = unit_random(_i);
	struct member_size size = { 0 };
	size_t n;

	fill(&random, trips[_i].kind, trips[_i].bytes);
	n = write_member(trips[_i].bytes);
	ck_assert_uint_le(n, MEMBER_BOUND);
	claim_int_eq(trips[_i].claim, member_read_size(stored, MEMBER_HEADER, &size), 0);
	claim_int_eq(trips[_i].claim, size.stored_bytes, n);
	claim_int_eq(trips[_i].claim, size.plain_bytes, trips[_i].bytes);
	back[size.plain_bytes] = '#';
	claim_int_eq(trips[_i].claim, member_read(stored, &size, back), 0);
	ck_assert_int_eq(memcmp(back, plain, size.plain_bytes), 0);
	ck_assert_int_eq(back[size.plain_bytes], '#');
	if (trips[_i].kind[0] == 'z' && trips[_i].bytes > 1000)
		ck_assert_uint_lt(n, trips[_i].bytes / 20);
}
END_TEST

/* One writer for many: nothing of one member shows in the next. */
START_TEST(test_reuse)
{
	struct unit_random random = unit_random(0);
	struct member_writer *writer = member_writer_new();

	for (int i = 0; i < 50; i++) {
		size_t bytes = 1 + unit_below(&random, 20000), n, again;
		struct member_size size;

		fill(&random, i % 2 ? "random" : "text", bytes);
		ck_assert_int_eq(member_write(writer, plain, bytes, stored, &n), 0);
		ck_assert_int_eq(member_read_size(stored, n, &size), 0);
		ck_assert_int_eq(member_read(stored, &size, back), 0);
		ck_assert_int_eq(memcmp(back, plain, bytes), 0);
		again = write_member(bytes);
		ck_assert_uint_eq(again, n);
	}
	member_writer_free(writer);
	member_writer_free(NULL);
}
END_TEST

/* ---- headers ---- */

static const struct {
	const char *claim;
	size_t at;
	const char *bytes; /* four of them */
	size_t there; /* bytes of the header */
	int result;
} headers[] = {
	{ "a good header", 4, "\0\0\0\0", 24, 0 },
	{ "nothing", 0, NULL, 0, MEMBER_E_NOT_GZIP },
	{ "one byte", 0, NULL, 1, MEMBER_E_NOT_GZIP },
	{ "no gzip", 0, "\x7f" "ELF", 24, MEMBER_E_NOT_GZIP },
	{ "the magic alone", 0, NULL, 2, MEMBER_E_DAMAGED },
	{ "a byte short", 0, NULL, 23, MEMBER_E_DAMAGED },
	{ "a gzip with a name", 0, "\x1f\x8b\x08\x08", 24, MEMBER_E_FOREIGN },
	{ "another subfield", 12, "BC\x08\0", 24, MEMBER_E_FOREIGN },
	{ "a subfield of another size", 12, "CF\x06\0", 24, MEMBER_E_FOREIGN },
	{ "no room for header and trailer", 16, "\x1f\0\0\0", 24, MEMBER_E_DAMAGED },
	{ "larger than can be", 16, "\xff\xff\xff\x7f", 24, MEMBER_E_DAMAGED },
	{ "nothing in it", 20, "\0\0\0\0", 24, MEMBER_E_DAMAGED },
	{ "just the most in it", 20, "\0\0\x10\0", 24, 0 },
	{ "more in it than can be", 20, "\x01\0\x10\0", 24, MEMBER_E_DAMAGED },
};

START_TEST(test_header)
{
	struct member_size size = { 77, 77 };
	unsigned char *exact = malloc(headers[_i].there + 1);

	(void)write_member(4096);
	if (headers[_i].bytes)
		memcpy(stored + headers[_i].at, headers[_i].bytes, 4);
	memcpy(exact, stored, headers[_i].there);
	claim_int_eq(headers[_i].claim, member_read_size(exact, headers[_i].there, &size),
		     headers[_i].result);
	if (headers[_i].result)
		claim_int_eq(headers[_i].claim, size.plain_bytes, 77);
	free(exact);
}
END_TEST

/* ---- damage ---- */

/* Every bit of the body and trailer counts: one flipped is found. */
START_TEST(test_flipped_bit)
{
	struct unit_random random = unit_random(_i);
	struct member_size size;
	size_t n;

	fill(&random, _i ? "text" : "random", 300);
	n = write_member(300);
	ck_assert_int_eq(member_read_size(stored, n, &size), 0);
	for (size_t bit = 8 * MEMBER_HEADER; bit < 8 * n; bit++) {
		unsigned char *exact = memcpy(malloc(n), stored, n), out[300];

		exact[bit / 8] ^= (unsigned char)(1 << bit % 8);
		/* Bits behind the end of the deflate stream mean nothing; the content is checked. */
		if (member_read(exact, &size, out) == 0)
			ck_assert_int_eq(memcmp(out, plain, sizeof(out)), 0);
		else
			ck_assert_int_eq(member_read(exact, &size, out), MEMBER_E_DAMAGED);
		free(exact);
	}
}
END_TEST

static const struct {
	const char *claim;
	int plain_off;
	int stored_off;
} lengths[] = {
	{ "plain bytes one fewer", -1, 0 },
	{ "plain bytes one more", 1, 0 },
	{ "stored bytes one fewer", 0, -1 },
	{ "stored bytes many fewer", 0, -100 },
};

START_TEST(test_wrong_length)
{
	struct unit_random random = unit_random(0);
	struct member_size size;
	size_t n;

	fill(&random, "random", 300);
	n = write_member(300);
	ck_assert_int_eq(member_read_size(stored, n, &size), 0);
	size.plain_bytes += (uint32_t)lengths[_i].plain_off;
	size.stored_bytes += (uint32_t)lengths[_i].stored_off;
	claim_int_eq(lengths[_i].claim, member_read(stored, &size, back), MEMBER_E_DAMAGED);
}
END_TEST

/* Random bodies never write beyond the plain bytes they claim. */
START_TEST(test_junk)
{
	struct unit_random random = unit_random(_i);

	for (int i = 0; i < 2000; i++) {
		size_t n = MEMBER_HEADER + MEMBER_TRAILER + unit_below(&random, 200);
		struct member_size size = { (uint32_t)n, 1 + (uint32_t)unit_below(&random, 500) };
		unsigned char *junk = malloc(n), *out = malloc(size.plain_bytes);

		for (size_t at = 0; at < n; at++)
			junk[at] = (unsigned char)unit_next(&random);
		ck_assert_int_eq(member_read(junk, &size, out), MEMBER_E_DAMAGED);
		free(junk);
		free(out);
	}
}
END_TEST

/* ---- others read it ---- */

START_TEST(test_gzip_reads_it)
{
	struct unit_random random = unit_random(0);
	int dir_fd = unit_dir(), fd, status;
	char command[4096 + 64];

	if (system("gzip --version >/dev/null 2>&1") != 0) {
		printf("gzip is not here: not asked\n");
		return;
	}
	fd = openat(dir_fd, "f.gz", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < 4; i++) {
		size_t n;

		fill(&random, (const char *[]){ "zeros", "random", "text", "mixed" }[i],
		     MEMBER_PLAIN - (i == 3 ? 5 : 0));
		n = write_member(MEMBER_PLAIN - (i == 3 ? 5 : 0));
		ck_assert_int_eq(write(fd, stored, n), (ssize_t)n);
	}
	ck_assert_int_eq(close(fd), 0);
	(void)snprintf(command, sizeof(command), "gzip -t '%s/f.gz'", unit_dir_path());
	status = system(command);
	ck_assert_int_eq(status, 0);
	(void)snprintf(command, sizeof(command), "test $(gzip -dc '%s/f.gz' | wc -c) = %u",
		       unit_dir_path(), 4 * MEMBER_PLAIN - 5);
	status = system(command);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("member");
	TCase *member_case = unit_case(suite, "member");

	tcase_add_loop_test(member_case, test_round_trip, 0, ROWS(trips));
	tcase_add_test(member_case, test_reuse);
	tcase_add_loop_test(member_case, test_header, 0, ROWS(headers));
	tcase_add_loop_test(member_case, test_flipped_bit, 0, 2);
	tcase_add_loop_test(member_case, test_wrong_length, 0, ROWS(lengths));
	tcase_add_loop_test(member_case, test_junk, 0, 4);
	tcase_add_test(member_case, test_gzip_reads_it);
	return unit_main(suite);
}
