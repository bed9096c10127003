/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/codec.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/cleanup.h"

#define STORED_MAX 65535u /* a stored block's length has 16 bits */
#define SAMPLE_SLICES 8u
#define SAMPLE_SLICE 2048u
#define SAMPLE_BYTES (SAMPLE_SLICES * SAMPLE_SLICE)

/* ---- stored ---- */

size_t codec_store(const void *in, size_t n, void *out)
{
	const unsigned char *p = in;
	unsigned char *q = out;

	do {
		size_t part = n < STORED_MAX ? n : STORED_MAX;

		n -= part;
		*q++ = n == 0; /* last block? type 0, rest of the byte is padding */
		*q++ = (unsigned char)part;
		*q++ = (unsigned char)(part >> 8);
		*q++ = (unsigned char)~part;
		*q++ = (unsigned char)(~part >> 8);
		memcpy(q, p, part);
		q += part;
		p += part;
	} while (n > 0);
	return (size_t)(q - (unsigned char *)out);
}

/* ---- zlib ---- */

static void *zlib_new(void)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (z && deflateInit2(z, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS, 9,
			      Z_DEFAULT_STRATEGY) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

static void zlib_free(void *deflater)
{
	z_stream *z = deflater;

	if (!z)
		return;
	(void)deflateEnd(z);
	free(z);
}

static ssize_t zlib_pass(z_stream *z, const void *in, size_t n, void *out, size_t room)
{
	(void)deflateReset(z);
	z->next_in = (Bytef *)(uintptr_t)in;
	z->avail_in = (uInt)n;
	z->next_out = out;
	z->avail_out = (uInt)room;
	return deflate(z, Z_FINISH) == Z_STREAM_END ? (ssize_t)z->total_out : -ENOSPC;
}

/*
 * zlib is slowest where it gains nothing (34 MB/s on random bytes), so a sample of slices
 * is tried first. What the sample gets wrong costs space or time, never data.
 */
static bool zlib_hopeless(z_stream *z, const unsigned char *in, size_t n)
{
	unsigned char sample[SAMPLE_BYTES], out[SAMPLE_BYTES];

	if (n < 4 * SAMPLE_BYTES)
		return false;
	for (size_t i = 0; i < SAMPLE_SLICES; i++)
		memcpy(sample + i * SAMPLE_SLICE, in + n / SAMPLE_SLICES * i,
		       SAMPLE_SLICE);
	return zlib_pass(z, sample, sizeof(sample), out, sizeof(out) * 63 / 64) < 0;
}

static ssize_t zlib_deflate(void *deflater, const void *in, size_t n, void *out,
			    size_t room)
{
	if (zlib_hopeless(deflater, in, n))
		return -ENOSPC;
	return zlib_pass(deflater, in, n, out, room);
}

static int zlib_inflate(const void *in, size_t n, void *out, size_t out_n)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in,
		       .avail_in = (uInt)n,
		       .next_out = out,
		       .avail_out = (uInt)out_n };
	int r;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	(void)inflateEnd(&z);
	return r == Z_STREAM_END && z.avail_out == 0 && z.avail_in == 0 ? 0 : -EBADMSG;
}

static uint32_t zlib_crc32(const void *p, size_t n)
{
	return (uint32_t)crc32(0, p, (uInt)n);
}

const struct codec codec_zlib = { "zlib",	zlib_new,     zlib_free,
				  zlib_deflate, zlib_inflate, zlib_crc32 };

/* ---- the choice ---- */

static const struct codec *fastest = &codec_zlib;

static void choose(void)
{
	const struct codec *isal = codec_isal ? codec_isal() : NULL;

	if (isal)
		fastest = isal;
}

const struct codec *codec_fastest(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, choose);
	return fastest;
}
