/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Our gzip members: what is written reads back, and what is read has its limits. */

#include "core/member.h"

#include <string.h>

#include "fuzz.h"

static void read_any(const uint8_t *data, size_t size)
{
	struct member_size sizes;
	void *stored, *plain;

	if (member_read_size(data, size, &sizes) != 0 || sizes.stored_bytes > size)
		return;
	stored = malloc(sizes.stored_bytes);
	plain = malloc(sizes.plain_bytes);
	must_hold(stored && plain);
	memcpy(stored, data, sizes.stored_bytes);
	(void)member_read(stored, &sizes, plain);
	free(stored);
	free(plain);
}

static void write_and_read(const uint8_t *data, size_t size)
{
	static unsigned char stored[MEMBER_BOUND], plain[MEMBER_PLAIN];
	static struct member_writer *writer;
	struct member_size sizes;
	size_t stored_bytes;

	if (size == 0 || size > MEMBER_PLAIN)
		return;
	if (!writer)
		writer = member_writer_new();
	must_hold(writer);
	must_hold(member_write(writer, data, size, stored, &stored_bytes) == 0);
	must_hold(stored_bytes <= sizeof(stored));
	must_hold(member_read_size(stored, stored_bytes, &sizes) == 0);
	must_hold(sizes.stored_bytes == stored_bytes && sizes.plain_bytes == size);
	must_hold(member_read(stored, &sizes, plain) == 0);
	must_hold(memcmp(plain, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_any(data, size);
	write_and_read(data, size);
	return 0;
}
