/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What NT_FILE says of mappings whose memory a core leaves out. */

#include "core/filenote.h"

#include <string.h>

#include "core/layout.h"
#include "elfbuild.h"
#include "unit.h"

#define FILES 6u
#define START(i) (0x10000u * (1 + (i)))
#define BYTES 0x8000u

/* One mapping a row; all are of 8 pages. */
static const struct {
	const char *claim;
	uint32_t flags;
	bool dumped; /* by the kernel */
	uint64_t from, to; /* captured, from the start */
	uint64_t listed;
} rows[FILES] = {
	{ "code is the file's", PF_R | PF_X, true, 0, 0, BYTES },
	{ "variables that are all there", PF_R | PF_W, true, 0, BYTES, BYTES },
	{ "as far as they are there", PF_R | PF_W, true, 0, 0x3000, 0x3000 },
	{ "up to the first gap", PF_R | PF_W, true, 0x1000, BYTES, 0 },
	{ "none", PF_R | PF_W, true, 0, 0, 0 },
	{ "never written, or shared: the file's", PF_R | PF_W, false, 0, 0, BYTES },
};

static const struct {
	int elf_class, byte_order;
} machines[] = {
	{ ELFCLASS64, ELFDATA2LSB },
	{ ELFCLASS64, ELFDATA2MSB },
	{ ELFCLASS32, ELFDATA2LSB },
	{ ELFCLASS32, ELFDATA2MSB },
};

static struct elfbuild process(int machine)
{
	struct elfbuild build = { .elf_class = machines[machine].elf_class,
				  .byte_order = machines[machine].byte_order };
	unsigned char desc[8 * (2 + 3 * FILES) + 3 * FILES], status[400] = { 0 };
	const size_t word = elfbuild_word(&build);
	unsigned char *at = desc;

	elfbuild_put(&build, at, FILES, word);
	elfbuild_put(&build, at + word, 4096, word);
	at += 2 * word;
	for (size_t i = 0; i < FILES; i++, at += 3 * word) {
		elfbuild_put(&build, at, START(i), word);
		elfbuild_put(&build, at + word, START(i) + BYTES, word);
		elfbuild_put(&build, at + 2 * word, i, word);
		elfbuild_load(&build, START(i), rows[i].dumped ? BYTES : 0, BYTES);
	}
	for (size_t i = 0; i < FILES; i++, at += 3)
		memcpy(at, "/a", 3);
	elfbuild_note(&build, "CORE", NT_PRSTATUS, status, sizeof(status));
	elfbuild_note(&build, "CORE", NT_FILE, desc, (size_t)(at - desc));
	elfbuild_note(&build, "CORE", NT_FPREGSET, status, sizeof(status));
	elfbuild_finish(&build);
	return build;
}

/* The image of what the rows capture; without it what the kernel wrote. */
static void put_together(const struct elfbuild *build, struct elfcore *core, bool shortened,
			 struct image *image)
{
	struct layout layout = LAYOUT_NULL;

	for (size_t i = 0; i < FILES; i++) {
		core->segment[1 + i].flags = rows[i].flags;
		if (rows[i].from < rows[i].to)
			ck_assert_int_eq(pagemap_add(&layout.captured, START(i) + rows[i].from,
						     START(i) + rows[i].to), 0);
	}
	ck_assert_int_eq(layout_image(&layout, core, build->bytes, build->n, image), 0);
	if (shortened)
		ck_assert_int_eq(filenote_shorten(core, &layout.captured, image), 0);
	layout_done(&layout);
}

static void read_notes(const struct image *image, unsigned char *bytes)
{
	const struct memory none = { .fd = -1 };
	_Atomic uint64_t unreadable = 0;
	bool zeros;

	/* In two parts, cut inside of the note. */
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(image_read(image, &none, i == 0 ? 0 : 900, bytes + (i == 0 ? 0 : 900),
					    i == 0 ? 900 : image_own_bytes(image) - 900, &zeros,
					    &unreadable), 0);
}

START_TEST(test_shorten)
{
	struct elfbuild build = process(_i);
	struct elfcore core = ELFCORE_NULL, after = ELFCORE_NULL;
	struct image image = IMAGE_NULL, kernels = IMAGE_NULL;
	unsigned char shortened[4096], whole[4096];
	size_t word = elfbuild_word(&build), listed = 0, changed = 0;

	ck_assert_int_eq(elfcore_parse(build.bytes, build.n, &core), 0);
	put_together(&build, &core, true, &image);
	put_together(&build, &core, false, &kernels);
	ck_assert_uint_lt(image_own_bytes(&image), sizeof(shortened));
	ck_assert_uint_eq(image_own_bytes(&image), image_own_bytes(&kernels));
	read_notes(&image, shortened);
	read_notes(&kernels, whole);
	ck_assert_int_eq(elfcore_parse(shortened, image_own_bytes(&image), &after), 0);
	for (size_t i = 0; i < FILES; i++) {
		if (rows[i].listed == 0)
			continue;
		claim_int_eq(rows[i].claim, after.mapping[listed].start, START(i));
		claim_int_eq(rows[i].claim, after.mapping[listed].end, START(i) + rows[i].listed);
		listed++;
	}
	ck_assert_uint_eq(after.mappings, listed);
	/* And nothing else: three ends. */
	for (size_t i = 0; i < image_own_bytes(&image); i++)
		changed += shortened[i] != whole[i];
	ck_assert_uint_ge(changed, 3);
	ck_assert_uint_le(changed, 3 * word);
	elfcore_done(&after);
	elfcore_done(&core);
	image_done(&image);
	image_done(&kernels);
	elfbuild_done(&build);
}
END_TEST

/* A dump that was cut inside of the note has none that could be wrong. */
START_TEST(test_cut)
{
	struct elfbuild build = process(0);
	const struct pagemap nothing = PAGEMAP_NULL;

	for (size_t n = 64 + 56 * (1 + FILES); n < build.head_bytes; n++) {
		struct elfcore core = ELFCORE_NULL;
		struct layout layout = LAYOUT_NULL;
		struct image image = IMAGE_NULL;

		ck_assert_int_eq(elfcore_parse(build.bytes, n, &core), 0);
		ck_assert_int_eq(layout_image(&layout, &core, build.bytes, n, &image), 0);
		ck_assert_int_eq(filenote_shorten(&core, &nothing, &image), 0);
		ck_assert(!image.files ||
			  image.files_offset + image.files_bytes <= image_own_bytes(&image));
		ck_assert_int_eq(image.files != NULL, core.mappings > 0);
		image_done(&image);
		elfcore_done(&core);
	}
	elfbuild_done(&build);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filenote");
	TCase *tcase = unit_case(suite, "shorten");

	tcase_add_loop_test(tcase, test_shorten, 0, ROWS(machines));
	tcase_add_test(tcase, test_cut);
	return unit_main(suite);
}
