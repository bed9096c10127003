/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/member.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "io/cleanup.h"

/* ID1 ID2 CM FLG(FEXTRA) MTIME*4 XFL OS(Unix) XLEN=12 'C' 'F' LEN=8 */
static const unsigned char fixed_header[16] = { 0x1f, 0x8b, 8,	4, 0,	0,   0, 0,
						0,    3,    12, 0, 'C', 'F', 8, 0 };

struct member_writer {
	const struct codec *codec; /* borrowed */
	void *deflater;
	void *zeros; /* a member of zeros, made when it is first asked for */
	size_t zeros_bytes;
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
	return codec_fastest()->name;
}

struct member_writer *member_writer_new_with(const struct codec *codec)
{
	struct member_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->codec = codec;
	writer->deflater = codec->deflater_new();
	if (!writer->deflater) {
		free(writer);
		return NULL;
	}
	return writer;
}

struct member_writer *member_writer_new(void)
{
	return member_writer_new_with(codec_fastest());
}

void member_writer_free(struct member_writer *writer)
{
	if (!writer)
		return;
	writer->codec->deflater_free(writer->deflater);
	free(writer->zeros);
	free(writer);
}

int member_write(struct member_writer *writer, const void *plain, size_t plain_bytes,
		 void *out, size_t *ret_stored_bytes)
{
	unsigned char *p = out;
	ssize_t packed;
	size_t stored;

	assert(plain_bytes > 0 && plain_bytes <= MEMBER_PLAIN);
	/* Room for what storing would take: an engine that needs more is not wanted. */
	packed = writer->codec->deflate(writer->deflater, plain, plain_bytes,
					p + MEMBER_HEADER, plain_bytes + 5);
	if (packed < 0)
		packed = (ssize_t)codec_store(plain, plain_bytes, p + MEMBER_HEADER);
	stored = MEMBER_HEADER + (size_t)packed + MEMBER_TRAILER;
	memcpy(p, fixed_header, sizeof(fixed_header));
	put32(p + 16, (uint32_t)stored);
	put32(p + 20, (uint32_t)plain_bytes);
	put32(p + stored - 8, writer->codec->crc32(plain, plain_bytes));
	put32(p + stored - 4, (uint32_t)plain_bytes);
	*ret_stored_bytes = stored;
	return 0;
}

static int make_zeros(struct member_writer *writer)
{
	_cleanup_free_ void *plain = calloc(1, MEMBER_PLAIN);
	_cleanup_free_ void *out = malloc(MEMBER_BOUND);
	int r;

	if (!plain || !out)
		return -ENOMEM;
	r = member_write(writer, plain, MEMBER_PLAIN, out, &writer->zeros_bytes);
	if (r < 0)
		return r;
	writer->zeros = malloc(writer->zeros_bytes);
	if (!writer->zeros)
		return -ENOMEM;
	memcpy(writer->zeros, out, writer->zeros_bytes);
	return 0;
}

int member_write_zeros(struct member_writer *writer, void *out, size_t *ret_stored_bytes)
{
	int r;

	if (!writer->zeros) {
		r = make_zeros(writer);
		if (r < 0)
			return r;
	}
	memcpy(out, writer->zeros, writer->zeros_bytes);
	*ret_stored_bytes = writer->zeros_bytes;
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
	const struct codec *codec = codec_fastest();
	const unsigned char *p = stored;
	int r;

	r = codec->inflate(p + MEMBER_HEADER,
			   size->stored_bytes - MEMBER_HEADER - MEMBER_TRAILER, plain,
			   size->plain_bytes);
	if (r == -ENOMEM)
		return r;
	if (r < 0 ||
	    codec->crc32(plain, size->plain_bytes) != get32(p + size->stored_bytes - 8) ||
	    size->plain_bytes != get32(p + size->stored_bytes - 4))
		return MEMBER_E_DAMAGED;
	return 0;
}
