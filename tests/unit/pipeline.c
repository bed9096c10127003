/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whatever the threads do, the blocks come out in order, whole, and up to the first failure. */

#include "core/pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/corefile.h"
#include "core/export.h"
#include "core/member.h"
#include "unit.h"

#define NEVER UINT64_MAX

static const struct pipeline_row {
	const char *claim;
	uint64_t bytes; /* the input has */
	uint64_t told; /* blocks that are announced; NEVER: not known */
	unsigned int readers;
	uint64_t buffer_blocks;
	uint64_t fail_at; /* block whose reading fails */
	uint64_t large_at; /* block that would be too much */
	bool unwanted; /* release says so */
	enum pipeline_end end;
	uint64_t want_bytes;
} rows[] = {
	{ "nothing", 0, NEVER, 1, 4, NEVER, NEVER, false, PIPELINE_ALL, 0 },
	{ "one byte", 1, 1, 1, 4, NEVER, NEVER, false, PIPELINE_ALL, 1 },
	{ "one block", MEMBER_PLAIN, 1, 4, 4, NEVER, NEVER, false, PIPELINE_ALL, MEMBER_PLAIN },
	{ "one reader, size not known", 9 * MEMBER_PLAIN + 7, NEVER, 1, 4, NEVER, NEVER, false,
	  PIPELINE_ALL, 9 * MEMBER_PLAIN + 7 },
	{ "four readers, buffer for all", 9 * MEMBER_PLAIN + 7, 10, 4, 64, NEVER, NEVER, false,
	  PIPELINE_ALL, 9 * MEMBER_PLAIN + 7 },
	{ "four readers, small buffer", 33 * MEMBER_PLAIN, 33, 4, 4, NEVER, NEVER, false,
	  PIPELINE_ALL, 33 * MEMBER_PLAIN },
	{ "less than was announced", 5 * MEMBER_PLAIN + 1, 9, 4, 4, NEVER, NEVER, false,
	  PIPELINE_ALL, 5 * MEMBER_PLAIN + 1 },
	{ "reading fails in the middle", 33 * MEMBER_PLAIN, 33, 4, 4, 12, NEVER, false,
	  PIPELINE_READ_FAILED, 12 * MEMBER_PLAIN },
	{ "reading fails at once", 33 * MEMBER_PLAIN, 33, 4, 64, 0, NEVER, false,
	  PIPELINE_READ_FAILED, 0 },
	{ "too large", 33 * MEMBER_PLAIN, NEVER, 1, 4, NEVER, 3, false,
	  PIPELINE_TOO_LARGE, 3 * MEMBER_PLAIN },
	{ "not wanted after all", 8 * MEMBER_PLAIN, 8, 2, 64, NEVER, NEVER, true, PIPELINE_ALL, 0 },
};

struct input {
	const struct pipeline_row *row;
	int released;
};

static unsigned char byte_at(uint64_t at)
{
	return (unsigned char)(at * 2654435761u >> 13);
}

static ssize_t read_block(void *userdata, uint64_t index, void *block, bool *ret_zeros)
{
	const struct pipeline_row *row = ((struct input *)userdata)->row;
	uint64_t at = index * MEMBER_PLAIN, left = at < row->bytes ? row->bytes - at : 0;
	size_t n = left < MEMBER_PLAIN ? (size_t)left : MEMBER_PLAIN;
	unsigned char *p = block;

	if (index == row->fail_at)
		return -EIO;
	if (index >= row->large_at)
		return -EFBIG;
	if (index % 3 == 2 && n == MEMBER_PLAIN) {
		*ret_zeros = true; /* and the block holds what it held before */
		return (ssize_t)n;
	}
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(at + i);
	return (ssize_t)n;
}

static bool release(void *userdata, enum pipeline_end end)
{
	struct input *input = userdata;

	(void)end;
	input->released++;
	return !input->row->unwanted;
}

static void check_bytes(int fd, uint64_t bytes)
{
	struct corefile *file;
	unsigned char *p = malloc(MEMBER_PLAIN);

	ck_assert_int_eq(corefile_open(dup(fd), &file), 0);
	ck_assert_uint_eq(corefile_size(file), bytes);
	for (uint64_t at = 0; at < bytes; at += MEMBER_PLAIN) {
		ssize_t n = corefile_read(file, p, MEMBER_PLAIN, at);
		bool zeros = at / MEMBER_PLAIN % 3 == 2 && n == MEMBER_PLAIN;
		ssize_t same = 0;

		ck_assert_int_gt(n, 0);
		while (same < n && p[same] == (zeros ? 0 : byte_at(at + (uint64_t)same)))
			same++;
		ck_assert_int_eq(same, n);
	}
	corefile_free(file);
	free(p);
}

START_TEST(blocks)
{
	const struct pipeline_row *row = &rows[_i];
	struct input state = { row, 0 };
	const struct pipeline_input input = { &state, read_block, release, row->readers,
					      row->told };
	const struct pipeline_limits limits = {
		.buffer_bytes = row->buffer_blocks * (MEMBER_PLAIN + 4096),
		.hold_until_ms = INT64_MAX,
		.stop_at_ms = INT64_MAX,
	};
	struct pipeline_result result;
	int fd = openat(unit_dir(), "out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(pipeline_run(&input, &limits, fd, &result), 0);
	ck_assert_msg(result.end == row->end, "%s: %d", row->claim, (int)result.end);
	ck_assert_int_eq(state.released, 1);
	ck_assert_uint_eq(result.plain_bytes, row->want_bytes);
	ck_assert_uint_eq(result.stored_bytes, (uint64_t)lseek(fd, 0, SEEK_END));
	if (row->want_bytes > 0)
		check_bytes(fd, row->want_bytes);
	(void)close(fd);
}
END_TEST

/* ---- blocks that need nobody ---- */

static const struct {
	const char *claim;
	uint64_t buffer_blocks;
	uint64_t fail_at;
	unsigned int before; /* blocks read while somebody is held */
	unsigned int own_before; /* and those that need not */
	uint64_t want_bytes;
} owns[] = {
	{ "buffer for all: own blocks later", 64, NEVER, 3, 0, 4 * MEMBER_PLAIN + 9 },
	{ "small buffer: in order", 4, NEVER, 5, 2, 4 * MEMBER_PLAIN + 9 },
	{ "reading fails: own blocks are there", 64, 3, 2, 0, 3 * MEMBER_PLAIN },
	{ "reading fails at once", 64, 2, 1, 0, 2 * MEMBER_PLAIN },
};

struct own_input {
	struct input input;
	unsigned int read, own_read; /* so far; one reader counts */
	unsigned int before, own_before; /* at the release */
};

static ssize_t read_own(void *userdata, uint64_t index, void *block, bool *ret_zeros)
{
	struct own_input *own = userdata;

	if (own->input.released == 0) {
		own->read++;
		own->own_read += index < 2;
	}
	return read_block(&own->input, index, block, ret_zeros);
}

static bool release_own(void *userdata, enum pipeline_end end)
{
	struct own_input *own = userdata;

	own->before = own->read;
	own->own_before = own->own_read;
	return release(&own->input, end);
}

START_TEST(own_blocks)
{
	const struct pipeline_row row = { .bytes = 4 * MEMBER_PLAIN + 9,
					  .fail_at = owns[_i].fail_at,
					  .large_at = NEVER };
	struct own_input own = { .input = { &row, 0 } };
	const struct pipeline_input input = { .userdata = &own,
					      .read = read_own,
					      .release = release_own,
					      .readers = 1,
					      .blocks = 5,
					      .own_blocks = 2 };
	const struct pipeline_limits limits = {
		.buffer_bytes = owns[_i].buffer_blocks * (MEMBER_PLAIN + 4096),
		.hold_until_ms = INT64_MAX,
		.stop_at_ms = INT64_MAX,
	};
	struct pipeline_result result;
	int fd = openat(unit_dir(), "out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	claim_int_eq(owns[_i].claim, pipeline_run(&input, &limits, fd, &result), 0);
	claim_int_eq(owns[_i].claim, own.input.released, 1);
	claim_int_eq(owns[_i].claim, own.before, owns[_i].before);
	claim_int_eq(owns[_i].claim, own.own_before, owns[_i].own_before);
	claim_int_eq(owns[_i].claim, result.plain_bytes, owns[_i].want_bytes);
	check_bytes(fd, owns[_i].want_bytes);
	close(fd);
}
END_TEST

START_TEST(no_time)
{
	struct input state = { &rows[5], 0 };
	const struct pipeline_input input = { &state, read_block, release, 2, 33 };
	const struct pipeline_limits limits = { .buffer_bytes = 1,
						.hold_until_ms = 0, .stop_at_ms = INT64_MAX };
	struct pipeline_result result;
	int fd = openat(unit_dir(), "out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(pipeline_run(&input, &limits, fd, &result), 0);
	ck_assert_int_eq(result.end, PIPELINE_HELD_TOO_LONG);
	ck_assert_uint_eq(result.plain_bytes, 0);
	(void)close(fd);
}
END_TEST

/* A file with a hole, and in order through a descriptor that is no file of ours. */
START_TEST(exported)
{
	struct input state = { &rows[4], 0 };
	const struct pipeline_input input = { &state, read_block, release, 2, 10 };
	const struct pipeline_limits limits = { .buffer_bytes = 64 << 20,
						.hold_until_ms = INT64_MAX,
						.stop_at_ms = INT64_MAX };
	int fd = openat(unit_dir(), "out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int plain = openat(unit_dir(), "plain", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct pipeline_result result;
	struct export_result out;
	struct corefile *file;

	ck_assert_int_eq(pipeline_run(&input, &limits, fd, &result), 0);
	ck_assert_int_eq(corefile_open(dup(fd), &file), 0);
	ck_assert_int_eq(export_run(file, plain, _i == 0, &out), 0);
	ck_assert(!out.damaged);
	ck_assert_uint_eq(out.bytes, rows[4].bytes);
	check_bytes(plain, rows[4].bytes);
	corefile_free(file);
	(void)close(plain);
	(void)close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pipeline");
	TCase *c = unit_case(suite, "pipeline");

	tcase_add_loop_test(c, blocks, 0, ROWS(rows));
	tcase_add_loop_test(c, own_blocks, 0, ROWS(owns));
	tcase_add_test(c, no_time);
	tcase_add_loop_test(c, exported, 0, 2);
	return unit_main(suite);
}
