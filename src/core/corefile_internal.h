/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of corefile share. */

#include "core/corefile.h"
#include "core/elfcore.h"
#include "core/member.h"

struct member_place {
	uint64_t stored_at;
	uint64_t plain_at;
	struct member_size size;
};

struct corefile {
	int fd;
	uint64_t size; /* plain bytes */
	bool noise; /* neither gzip nor ELF */

	/* Our gzip form: where the members are, and the one decompressed last. */
	struct member_place *member; /* NULL: fd holds the plain bytes */
	size_t members;
	size_t cached; /* index, or SIZE_MAX */
	bool damaged; /* compressed bytes that cannot be used were seen, ... */
	uint64_t damaged_at; /* ... first there in fd */
	unsigned char *plain;
	unsigned char *stored;

	/* The head, once parsed. */
	void *head;
	size_t head_bytes;
	struct elfcore core;
	struct elfcore_segment *by_address; /* PT_LOAD only, sorted */
	size_t by_address_n;
};
