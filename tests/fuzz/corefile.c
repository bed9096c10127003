/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A saved core for `replay` and `info`: plain, in our gzip members, or in any gzip. */

#include "core/corefile.h"

#include <stdlib.h>

#include "fuzz.h"

static void read_memory(struct corefile *file, const struct elfcore *core)
{
	char bytes[64];

	for (size_t i = 0; i < core->segments && i < 32; i++) {
		const struct elfcore_segment *s = &core->segment[i];
		const uint64_t places[] = { s->vaddr, s->vaddr + s->file_bytes - 8,
					    s->vaddr + s->file_bytes, s->vaddr - 1,
					    UINT64_MAX - 3 };

		for (size_t k = 0; k < sizeof(places) / sizeof(*places); k++)
			(void)corefile_memory(file, places[k], bytes, sizeof(bytes));
	}
}

static void read_plain(struct corefile *file)
{
	const uint64_t size = corefile_size(file);
	const uint64_t places[] = { 0, size / 2, size - 1, size, size + 1, UINT64_MAX - 1 };
	char bytes[256];

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		ssize_t n = corefile_read(file, bytes, sizeof(bytes), places[i]);

		must_hold(n <= (ssize_t)sizeof(bytes));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct elfcore *core;
	struct corefile *file;
	size_t head_bytes;
	const void *head;

	(void)setenv("TMPDIR", "/nonexistent", 1); /* unpack into memory */
	if (corefile_open(fuzz_memory_file(data, size), &file) != 0)
		return 0;
	read_plain(file);
	if (corefile_head(file, &core, &head, &head_bytes) == 0) {
		must_hold(head_bytes <= corefile_size(file));
		read_memory(file, core);
	}
	corefile_free(file);
	return 0;
}
