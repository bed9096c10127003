/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Cores that are put together: of a head that was cut, and of a process that has gone. */

#include "core/image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/capture.h"
#include "core/corefile.h"
#include "core/layout.h"
#include "elfbuild.h"
#include "unit.h"

#define STATUS_BYTES 336
#define NOTE_BYTES (12 + 8 + STATUS_BYTES)
#define HEADERS (64 + 2 * 56)
#define MEMORY_BYTES (4u << 20)

/* Notes of so many threads, and a segment that is in no file. */
static struct elfbuild process(size_t threads)
{
	struct elfbuild build = { .elf_class = ELFCLASS64, .byte_order = ELFDATA2LSB };
	unsigned char status[STATUS_BYTES] = { 0 };

	for (size_t i = 0; i < threads; i++) {
		elfbuild_put(&build, status + 32, 1000 + i, 4);
		elfbuild_note(&build, "CORE", NT_PRSTATUS, status, sizeof(status));
	}
	build.load[build.loads++] = (struct elfbuild_load){
		.vaddr = 0x400000, .file_bytes = MEMORY_BYTES, .memory_bytes = MEMORY_BYTES
	};
	elfbuild_finish(&build);
	return build;
}

static void parse(const struct elfbuild *build, size_t n, bool memory, struct elfcore *core,
		  struct image *image)
{
	struct layout layout = LAYOUT_NULL;
	struct pagemap exists = PAGEMAP_NULL, whole = PAGEMAP_NULL;

	ck_assert_int_eq(elfcore_parse(build->bytes, n, core), 0);
	ck_assert_int_eq(pagemap_add(&whole, 0x400000, 0x400000 + MEMORY_BYTES), 0);
	if (memory)
		ck_assert_int_eq(layout_full(&layout, core, &exists, &whole), 0);
	ck_assert_int_eq(layout_image(&layout, core, build->bytes, n, image), 0);
	layout_done(&layout);
	pagemap_done(&whole);
}

static const struct {
	const char *claim;
	size_t there, notes; /* bytes of notes */
} cuts[] = {
	{ "all of them", 3 * NOTE_BYTES, 3 * NOTE_BYTES },
	{ "without the last byte: without the last note", 3 * NOTE_BYTES - 1, 2 * NOTE_BYTES },
	{ "in the middle of one", NOTE_BYTES + 100, NOTE_BYTES },
	{ "in a note's name", 2 * NOTE_BYTES + 14, 2 * NOTE_BYTES },
	{ "in a note's header", NOTE_BYTES + 5, NOTE_BYTES },
	{ "between two", NOTE_BYTES, NOTE_BYTES },
	{ "in the first", 300, 0 },
	{ "before the first", 0, 0 },
};

START_TEST(test_cut_notes)
{
	struct elfbuild build = process(3);
	struct elfcore core = ELFCORE_NULL;
	struct image image = IMAGE_NULL;

	parse(&build, HEADERS + cuts[_i].there, false, &core, &image);
	claim_int_eq(cuts[_i].claim, image.notes_bytes, cuts[_i].notes);
	claim_int_eq(cuts[_i].claim, core.note_bytes, cuts[_i].there);
	image_done(&image);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

/* What is broken and not cut is the process's own affair. */
START_TEST(test_broken_note_stays)
{
	struct elfbuild build = process(3);
	struct elfcore core = ELFCORE_NULL;
	struct image image = IMAGE_NULL;

	elfbuild_put(&build, build.bytes + HEADERS + NOTE_BYTES + 4, 1 << 20, 4);
	parse(&build, build.head_bytes, false, &core, &image);
	ck_assert_uint_eq(core.threads, 1);
	ck_assert_uint_eq(image.notes_bytes, 3 * NOTE_BYTES);
	image_done(&image);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

static const struct {
	const char *claim;
	size_t threads;
} gone[] = {
	{ "notes and memory in one block", 3 },
	{ "notes of more than one block", 4000 },
};

/* Killed before the first page of it was read. */
START_TEST(test_gone)
{
	const char *claim = gone[_i].claim;
	struct elfbuild build = process(gone[_i].threads);
	struct elfcore core = ELFCORE_NULL;
	struct image image = IMAGE_NULL;
	struct source nothing = { .fd = -1 };
	int memory_fd = memfd_create("no memory", MFD_CLOEXEC);
	int out_fd = openat(unit_dir(), "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct capture_job job = {
		.source = &nothing,
		.core = &core,
		.image = &image,
		.memory = { .fd = memory_fd },
		.out_fd = out_fd,
		.oom_score_fd = -1,
		.limits = { .buffer_bytes = 8u << 20,
			    .hold_until_ms = INT64_MAX,
			    .stop_at_ms = INT64_MAX },
	};
	struct capture_result result;
	struct corefile *file;
	const struct elfcore *stored;
	const void *head;
	size_t n;

	parse(&build, build.head_bytes, true, &core, &image);
	claim_int_eq(claim, capture_run(&job, &result), 0);
	claim_str_eq(claim, result.incomplete_because, "the process was killed during the dump");
	claim_int_eq(claim, result.core_bytes, image.head_bytes + image.notes_bytes);
	ck_assert_int_eq(corefile_open(out_fd, &file), 0); /* has it now */
	claim_int_eq(claim, corefile_head(file, &stored, &head, &n), 0);
	claim_int_eq(claim, stored->threads, gone[_i].threads);
	claim_int_eq(claim, n, build.head_bytes);
	corefile_free(file);
	close(memory_fd);
	image_done(&image);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

/* The kernel waits for memory that does not answer, and the deadline passes. */
START_TEST(test_pipe_stops)
{
	static const char more[1000];
	struct elfbuild build = process(3);
	struct elfcore core = ELFCORE_NULL;
	struct source source;
	int out_fd = openat(unit_dir(), "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600), fd[2];
	struct capture_job job = {
		.source = &source,
		.head = build.bytes,
		.head_bytes = build.head_bytes,
		.core = &core,
		.out_fd = out_fd,
		.oom_score_fd = -1,
		.max_bytes = UINT64_MAX,
		.limits = { .buffer_bytes = 8u << 20,
			    .hold_until_ms = INT64_MAX,
			    .stop_at_ms = INT64_MAX },
	};
	struct capture_result result;

	ck_assert_int_eq(elfcore_parse(build.bytes, build.head_bytes, &core), 0);
	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], more, sizeof(more)), sizeof(more));
	source_pipe(&source, fd[0]);
	source_set_deadline(&source, 1);
	ck_assert_int_eq(capture_run(&job, &result), 0);
	ck_assert_str_eq(result.incomplete_because, "MaxHold reached");
	ck_assert_uint_eq(result.core_bytes, build.head_bytes + sizeof(more));
	close(fd[1]);
	close(out_fd);
	elfcore_done(&core);
	elfbuild_done(&build);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *tcase = unit_case(suite, "cut");

	tcase_add_loop_test(tcase, test_cut_notes, 0, ROWS(cuts));
	tcase_add_test(tcase, test_broken_note_stays);
	tcase_add_loop_test(tcase, test_gone, 0, ROWS(gone));
	tcase_add_test(tcase, test_pipe_stops);
	return unit_main(suite);
}
