/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The stored form's compression: gzip members that can be written and read independently.
 *
 * Each member holds MEMBER_PLAIN bytes of the core (the last one fewer) and carries in its
 * header an extra subfield "CF" (RFC 1952, 2.3.1.1) of two little-endian 32-bit numbers:
 * the bytes of the whole member and the bytes it decompresses to. zcat reads the file as
 * it is; who knows the subfield can find, skip and decompress members in parallel.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMBER_PLAIN (1u << 20)
#define MEMBER_HEADER 24u /* 10 fixed, 2 extra length, 12 subfield */
#define MEMBER_TRAILER 8u
/* What a member can take at worst: stored blocks of deflate, header and trailer. */
#define MEMBER_BOUND (MEMBER_PLAIN + MEMBER_PLAIN / 512 + 1024u)

enum {
	MEMBER_E_FOREIGN = 1, /* gzip, but not of this form */
	MEMBER_E_DAMAGED = 2,
	MEMBER_E_NOT_GZIP = 3,
};

struct member_size {
	uint32_t stored_bytes;
	uint32_t plain_bytes;
};

/* Compressor state, reused over members; one per thread. */
struct member_writer;
struct codec;
struct member_writer *member_writer_new(void); /* with the fastest engine there is */
struct member_writer *member_writer_new_with(const struct codec *codec);
void member_writer_free(struct member_writer *writer);

/* Which engine compresses: "ISA-L" or "zlib". */
const char *member_engine(void);

/* Compresses 1..MEMBER_PLAIN bytes into out (MEMBER_BOUND bytes). -errno or 0. */
int member_write(struct member_writer *writer, const void *plain, size_t plain_bytes,
		 void *out, size_t *ret_stored_bytes);

/* A member of MEMBER_PLAIN zeros, which costs a copy of what it compresses to. */
int member_write_zeros(struct member_writer *writer, void *out, size_t *ret_stored_bytes);

/* Reads a member's sizes from its first MEMBER_HEADER bytes. */
int member_read_size(const void *bytes, size_t n, struct member_size *ret_size);

/*
 * Decompresses one whole member; plain must hold size.plain_bytes. Checks the CRC.
 * MEMBER_E_DAMAGED or -ENOMEM.
 */
int member_read(const void *stored, const struct member_size *size, void *plain);
