/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/member.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/cleanup.h"

/* ID1 ID2 CM FLG(FEXTRA) MTIME*4 XFL OS(Unix) XLEN=12 'C' 'F' LEN=8 */
static const unsigned char fixed_header[16] = { 0x1f, 0x8b, 8,	4, 0,	0,   0, 0,
						0,    3,    12, 0, 'C', 'F', 8, 0 };

struct member_writer {
	z_stream stream;
};

static void put32(unsigned char *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

const char *member_engine(void)
{
	return "zlib";
}

struct member_writer *member_writer_new(void)
{
	struct member_writer *writer = calloc(1, sizeof(*writer));

	/* Raw deflate: header and trailer are ours. */
	if (writer && deflateInit2(&writer->stream, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS, 9,
				   Z_DEFAULT_STRATEGY) != Z_OK) {
		free(writer);
		return NULL;
	}
	return writer;
}

void member_writer_free(struct member_writer *writer)
{
	if (!writer)
		return;
	(void)deflateEnd(&writer->stream);
	free(writer);
}

int member_write(struct member_writer *writer, const void *plain, size_t plain_bytes,
		 void *out, size_t *ret_stored_bytes)
{
	unsigned char *p = out;
	z_stream *z = &writer->stream;
	size_t stored;

	assert(plain_bytes > 0 && plain_bytes <= MEMBER_PLAIN);
	(void)deflateReset(z);
	z->next_in = (Bytef *)(uintptr_t)plain;
	z->avail_in = (uInt)plain_bytes;
	z->next_out = p + MEMBER_HEADER;
	z->avail_out = MEMBER_BOUND - MEMBER_HEADER - MEMBER_TRAILER;
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return -EIO; /* MEMBER_BOUND is above deflateBound(): does not happen */
	stored = MEMBER_HEADER + z->total_out + MEMBER_TRAILER;
	memcpy(p, fixed_header, sizeof(fixed_header));
	put32(p + 16, (uint32_t)stored);
	put32(p + 20, (uint32_t)plain_bytes);
	put32(p + stored - 8, (uint32_t)crc32(0, plain, (uInt)plain_bytes));
	put32(p + stored - 4, (uint32_t)plain_bytes);
	*ret_stored_bytes = stored;
	return 0;
}

int member_read_size(const void *bytes, size_t n, struct member_size *ret_size)
{
	const unsigned char *p = bytes;
	struct member_size size;

	if (n < 2 || p[0] != 0x1f || p[1] != 0x8b)
		return MEMBER_E_NOT_GZIP;
	if (n < MEMBER_HEADER)
		return MEMBER_E_DAMAGED;
	if (memcmp(p, fixed_header, sizeof(fixed_header)) != 0)
		return MEMBER_E_FOREIGN;
	size.stored_bytes = get32(p + 16);
	size.plain_bytes = get32(p + 20);
	if (size.stored_bytes < MEMBER_HEADER + MEMBER_TRAILER ||
	    size.stored_bytes > MEMBER_BOUND || size.plain_bytes == 0 ||
	    size.plain_bytes > MEMBER_PLAIN)
		return MEMBER_E_DAMAGED;
	*ret_size = size;
	return 0;
}

int member_read(const void *stored, const struct member_size *size, void *plain)
{
	const unsigned char *p = stored;
	z_stream z = { .next_in = (Bytef *)(uintptr_t)(p + MEMBER_HEADER),
		       .avail_in = size->stored_bytes - MEMBER_HEADER - MEMBER_TRAILER,
		       .next_out = plain,
		       .avail_out = size->plain_bytes };
	int r;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	(void)inflateEnd(&z);
	if (r != Z_STREAM_END || z.avail_out != 0 ||
	    crc32(0, plain, size->plain_bytes) != get32(p + size->stored_bytes - 8) ||
	    size->plain_bytes != get32(p + size->stored_bytes - 4))
		return MEMBER_E_DAMAGED;
	return 0;
}
