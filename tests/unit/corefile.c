/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One core in each form that a file can have; all must read the same. */

#include "core/corefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/member.h"
#include "elfbuild.h"
#include "unit.h"

enum form { PLAIN, OWN, OWN_SMALL, FOREIGN, FORMS };

static const struct {
	const char *claim;
	enum form form;
} forms[] = {
	{ "a plain core", PLAIN },
	{ "our gzip", OWN },
	{ "our gzip, members of odd sizes", OWN_SMALL },
	{ "another's gzip", FOREIGN },
};

/* Two segments that touch, a third apart with a part that is not in the file. */
static struct elfbuild build_core(void)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };

	elfbuild_usual_notes(&build);
	elfbuild_load(&build, 0x7f0000001000, 0x1000, 0x3000);
	elfbuild_load(&build, 0x400000, 0x180000, 0x180000);
	elfbuild_load(&build, 0x580000, 0x2000, 0x2000);
	elfbuild_finish(&build);
	return build;
}

static void write_members(int fd, const struct elfbuild *build, size_t each)
{
	struct member_writer *writer = member_writer_new();
	unsigned char *out = malloc(MEMBER_BOUND);

	for (size_t at = 0; at < build->n; at += each) {
		size_t part = build->n - at < each ? build->n - at : each, n;

		ck_assert_int_eq(member_write(writer, build->bytes + at, part, out, &n), 0);
		ck_assert_int_eq(write(fd, out, n), (ssize_t)n);
	}
	free(out);
	member_writer_free(writer);
}

static void write_foreign(int fd, const struct elfbuild *build)
{
	gzFile gz = gzdopen(dup(fd), "wb1");

	ck_assert_int_eq(gzwrite(gz, build->bytes, (unsigned int)build->n), (int)build->n);
	ck_assert_int_eq(gzclose(gz), Z_OK);
}

/* An open file that holds the core in that form. */
static int core_fd(const struct elfbuild *build, enum form form)
{
	int fd = openat(unit_dir(), "core", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	if (form == PLAIN)
		ck_assert_int_eq(write(fd, build->bytes, build->n), (ssize_t)build->n);
	else if (form == FOREIGN)
		write_foreign(fd, build);
	else
		write_members(fd, build, form == OWN ? MEMBER_PLAIN : 77777);
	return fd;
}

static struct corefile *open_form(const struct elfbuild *build, enum form form)
{
	struct corefile *file = NULL;

	ck_assert_int_eq(corefile_open(core_fd(build, form), &file), 0);
	return file;
}

/* ---- bytes ---- */

START_TEST(test_bytes)
{
	struct unit_random random = unit_random(_i);
	struct elfbuild build = build_core();
	struct corefile *file = open_form(&build, forms[_i].form);
	unsigned char *bytes = malloc(build.n + 100);

	claim_int_eq(forms[_i].claim, corefile_size(file), build.n);
	claim_int_eq(forms[_i].claim, corefile_read(file, bytes, build.n + 100, 0), build.n);
	ck_assert_int_eq(memcmp(bytes, build.bytes, build.n), 0);
	claim_int_eq(forms[_i].claim, corefile_read(file, bytes, 10, build.n), 0);
	claim_int_eq(forms[_i].claim, corefile_read(file, bytes, 10, build.n + 12345), 0);
	claim_int_eq(forms[_i].claim, corefile_read(file, bytes, 10, build.n - 1), 1);
	for (int i = 0; i < 100; i++) {
		uint64_t at = unit_below(&random, build.n);
		size_t n = unit_below(&random, unit_below(&random, 4) ? 500 : build.n);
		size_t wanted = n < build.n - at ? n : build.n - at;

		claim_int_eq(forms[_i].claim, corefile_read(file, bytes, n, at), wanted);
		ck_assert_int_eq(memcmp(bytes, build.bytes + at, wanted), 0);
	}
	free(bytes);
	corefile_free(file);
	elfbuild_done(&build);
}
END_TEST

/* ---- memory ---- */

static const struct {
	const char *claim;
	uint64_t address;
	size_t bytes;
	int result;
} reads[] = {
	{ "the first byte of a segment", 0x400000, 1, 0 },
	{ "the byte before", 0x3fffff, 1, COREFILE_E_ABSENT },
	{ "from before into it", 0x3ffff8, 16, COREFILE_E_ABSENT },
	{ "a whole segment", 0x400000, 0x180000, 0 },
	{ "over a member's end", 0x4ff000, 0x2000, 0 },
	{ "from one segment into the next", 0x57fff0, 0x20, 0 },
	{ "two whole segments", 0x400000, 0x182000, 0 },
	{ "the last byte of them", 0x581fff, 1, 0 },
	{ "the byte behind", 0x582000, 1, COREFILE_E_ABSENT },
	{ "over the end", 0x581fff, 2, COREFILE_E_ABSENT },
	{ "the part that is in the file", 0x7f0000001000, 0x1000, 0 },
	{ "the part that is not", 0x7f0000002000, 1, COREFILE_E_ABSENT },
	{ "from one part into the other", 0x7f0000001ff8, 16, COREFILE_E_ABSENT },
	{ "address 0", 0, 1, COREFILE_E_ABSENT },
	{ "the last address", UINT64_MAX, 1, COREFILE_E_ABSENT },
	{ "around the end of all addresses", UINT64_MAX - 3, 8, COREFILE_E_ABSENT },
	{ "nothing anywhere", 0x1234, 0, 0 },
};

static void read_memory(const char *claim, struct corefile *file, uint64_t address, size_t n,
			int wanted)
{
	unsigned char *bytes = malloc(n ? n : 1);

	claim_int_eq(claim, corefile_memory(file, address, bytes, n), wanted);
	for (size_t i = 0; wanted == 0 && i < n; i++)
		check_that(bytes[i] == elfbuild_byte(address + i));
	free(bytes);
}

START_TEST(test_memory)
{
	struct elfbuild build = build_core();

	for (int form = PLAIN; form < FORMS; form++) {
		struct corefile *file = open_form(&build, (enum form)form);
		const struct elfcore *core;
		const void *head;
		size_t n;

		ck_assert_int_eq(corefile_head(file, &core, &head, &n), 0);
		ck_assert_uint_ge(n, build.head_bytes);
		ck_assert_uint_eq(core->threads, 2);
		ck_assert_int_eq(corefile_head(file, &core, &head, &n), 0);
		ck_assert_uint_eq(core->segments, 4);
		read_memory(reads[_i].claim, file, reads[_i].address, reads[_i].bytes,
			    reads[_i].result);
		corefile_free(file);
	}
	elfbuild_done(&build);
}
END_TEST

/* A segment that ends at 2^64 and one at 0 do not meet in error. */
START_TEST(test_top_of_memory)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };
	struct corefile *file;
	const struct elfcore *core;
	const void *head;
	size_t n;

	elfbuild_load(&build, UINT64_MAX - 0xfff, 0x1000, 0x1000);
	elfbuild_load(&build, 0x1000, 0, 0x1000);
	elfbuild_finish(&build);
	file = open_form(&build, PLAIN);
	ck_assert_int_eq(corefile_head(file, &core, &head, &n), 0);
	read_memory("the last page", file, UINT64_MAX - 0xfff, 0x1000, 0);
	read_memory("over its end", file, UINT64_MAX - 0xf, 0x20, COREFILE_E_ABSENT);
	read_memory("a segment without bytes", file, 0x1000, 1, COREFILE_E_ABSENT);
	corefile_free(file);
	elfbuild_done(&build);
}
END_TEST

/* ---- truncated and damaged ---- */

/* Cut anywhere: what is there reads as before, the rest is absent or damaged, never zeros. */
static void check_cut(const struct elfbuild *build, const char *image, size_t bytes)
{
	struct corefile *file = NULL;
	const struct elfcore *core;
	unsigned char byte[16];
	const void *head;
	int dir_fd = unit_dir(), r;
	size_t n;

	unit_write_file(dir_fd, "cut", image, bytes);
	r = corefile_open(openat(dir_fd, "cut", O_RDONLY | O_CLOEXEC), &file);
	(void)close(dir_fd);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_le(corefile_size(file), build->n);
	r = corefile_head(file, &core, &head, &n);
	if (r == 0) {
		for (size_t i = 0; i < 38; i++) {
			uint64_t address = 0x400000 + i * 0xa000;

			r = corefile_memory(file, address, byte, sizeof(byte));
			ck_assert(r == COREFILE_E_DAMAGED || r == 0);
			if (r == 0)
				ck_assert_int_eq(byte[15], elfbuild_byte(address + 15));
		}
	} else {
		ck_assert(r == ELFCORE_E_SHORT || r == ELFCORE_E_NOT_CORE ||
			  r == COREFILE_E_DAMAGED);
	}
	corefile_free(file);
}

START_TEST(test_cut)
{
	struct unit_random random = unit_random(_i);
	struct elfbuild build = build_core();
	struct stat st;
	int fd = core_fd(&build, forms[_i].form);
	char *image;

	ck_assert_int_eq(fstat(fd, &st), 0);
	image = malloc((size_t)st.st_size);
	ck_assert_int_eq(pread(fd, image, (size_t)st.st_size, 0), st.st_size);
	(void)close(fd);
	for (size_t bytes = 0; bytes < 40; bytes++)
		check_cut(&build, image, bytes);
	for (int i = 0; i < 20; i++)
		check_cut(&build, image, unit_below(&random, (uint64_t)st.st_size));
	free(image);
	elfbuild_done(&build);
}
END_TEST

static void flip(int fd, uint64_t at)
{
	unsigned char byte = 0;

	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* Which of the forms, and the flipped bit: in the first member's data, in its length. */
static const struct {
	const char *claim;
	int form;
	uint64_t at;
	int result;
	uint64_t damaged_at;
} flips[] = {
	{ "a bit of the data the head is in", OWN, 100, COREFILE_E_DAMAGED, 0 },
	{ "another tool's gzip, the same", FOREIGN, 100, COREFILE_E_DAMAGED, UINT64_MAX },
};

START_TEST(test_flipped_bit)
{
	struct elfbuild build = build_core();
	int fd = core_fd(&build, flips[_i].form);
	struct corefile *file = NULL;
	const struct elfcore *core;
	const void *head;
	char text[COREFILE_ERROR_SIZE];
	uint64_t at;
	size_t n;
	int r;

	flip(fd, flips[_i].at);
	ck_assert_int_eq(corefile_open(fd, &file), 0);
	r = corefile_head(file, &core, &head, &n);
	claim_int_eq(flips[_i].claim, r, flips[_i].result);
	ck_assert(corefile_damage(file, &at));
	if (flips[_i].damaged_at != UINT64_MAX)
		claim_int_eq(flips[_i].claim, at, flips[_i].damaged_at);
	ck_assert_ptr_nonnull(strstr(corefile_strerror(file, r, text), "cannot be unpacked"));
	corefile_free(file);
	elfbuild_done(&build);
}
END_TEST

/* The chain of members is broken: what is behind is not silently missing. */
START_TEST(test_broken_chain)
{
	struct elfbuild build = build_core();
	int fd = core_fd(&build, OWN);
	unsigned char header[MEMBER_HEADER];
	struct corefile *file = NULL;
	struct member_size size;
	uint64_t at = 0;

	ck_assert_int_eq(pread(fd, header, sizeof(header), 0), (ssize_t)sizeof(header));
	ck_assert_int_eq(member_read_size(header, sizeof(header), &size), 0);
	flip(fd, size.stored_bytes + 1);
	ck_assert_int_eq(corefile_open(fd, &file), 0);
	ck_assert_uint_eq(corefile_size(file), size.plain_bytes);
	ck_assert(corefile_damage(file, &at));
	ck_assert_uint_eq(at, size.stored_bytes);
	corefile_free(file);
	elfbuild_done(&build);
}
END_TEST

START_TEST(test_damaged_member)
{
	struct elfbuild build = build_core();
	struct corefile *file = NULL;
	unsigned char bytes[8192];
	int fd = core_fd(&build, OWN);
	struct member_size size;
	unsigned char header[MEMBER_HEADER];

	ck_assert_int_eq(pread(fd, header, sizeof(header), 0), (ssize_t)sizeof(header));
	ck_assert_int_eq(member_read_size(header, sizeof(header), &size), 0);
	flip(fd, size.stored_bytes + 5000);
	ck_assert_int_eq(corefile_open(fd, &file), 0);
	ck_assert_uint_eq(corefile_size(file), build.n);
	ck_assert_int_eq(corefile_read(file, bytes, 8192, MEMBER_PLAIN), -EIO);
	ck_assert_int_eq(corefile_read(file, bytes, 8192, MEMBER_PLAIN - 4096), 4096);
	ck_assert_int_eq(memcmp(bytes, build.bytes + MEMBER_PLAIN - 4096, 4096), 0);
	ck_assert_int_eq(corefile_read(file, bytes, 100, 0), 100);
	corefile_free(file);
	elfbuild_done(&build);
}
END_TEST

static const struct {
	const char *claim;
	const char *text;
	size_t bytes;
	int result; /* of the head */
} others[] = {
	{ "an empty file", "", 0, ELFCORE_E_SHORT },
	{ "text", "hello", 5, ELFCORE_E_NOT_CORE },
	{ "the first bytes of a core", "\x7f" "ELF", 4, ELFCORE_E_SHORT },
	{ "long text", "0123456789012345678901234567890123456789012345678901234567890123", 64,
	  ELFCORE_E_NOT_CORE },
	{ "the magic of gzip alone", "\x1f\x8b", 2, COREFILE_E_DAMAGED },
	{ "a gzip that is none", "\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff\xff\xff", 14,
	  COREFILE_E_DAMAGED },
};

START_TEST(test_no_core)
{
	struct corefile *file = NULL;
	const struct elfcore *core;
	const void *head;
	size_t n;
	int dir_fd = unit_dir();

	unit_write_file(dir_fd, "core", others[_i].text, others[_i].bytes);
	ck_assert_int_eq(corefile_open(openat(dir_fd, "core", O_RDONLY | O_CLOEXEC), &file), 0);
	claim_int_eq(others[_i].claim, corefile_head(file, &core, &head, &n), others[_i].result);
	claim_int_eq(others[_i].claim, corefile_head(file, &core, &head, &n), others[_i].result);
	corefile_free(file);
	corefile_free(NULL);
}
END_TEST

START_TEST(test_no_file)
{
	struct corefile *file = NULL;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_lt(corefile_open(fds[0], &file), 0);
	ck_assert_ptr_null(file);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1); /* taken over, failed or not */
	(void)close(fds[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("corefile");
	TCase *file = unit_case(suite, "corefile");

	tcase_add_loop_test(file, test_bytes, 0, ROWS(forms));
	tcase_add_loop_test(file, test_memory, 0, ROWS(reads));
	tcase_add_test(file, test_top_of_memory);
	tcase_add_loop_test(file, test_cut, 0, ROWS(forms));
	tcase_add_test(file, test_damaged_member);
	tcase_add_loop_test(file, test_flipped_bit, 0, sizeof(flips) / sizeof(*flips));
	tcase_add_test(file, test_broken_chain);
	tcase_add_loop_test(file, test_no_core, 0, ROWS(others));
	tcase_add_test(file, test_no_file);
	return unit_main(suite);
}
