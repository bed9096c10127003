/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * ISA-L by dlopen(): a machine without the library still gets its cores, from zlib. The
 * soname pins the layout of the structures in the header this was built with.
 */

#include "core/codec.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#define SONAME "libisal.so.2"

static struct {
	__typeof__(isal_deflate_stateless_init) *deflate_init;
	__typeof__(isal_deflate_stateless) *deflate;
	__typeof__(isal_inflate_init) *inflate_init;
	__typeof__(isal_inflate_stateless) *inflate;
	__typeof__(crc32_gzip_refl) *crc32;
} isal;

struct deflater {
	struct isal_zstream stream;
	unsigned char level_buffer[ISAL_DEF_LVL1_DEFAULT];
};

static void *deflater_new(void)
{
	return malloc(sizeof(struct deflater));
}

static ssize_t deflate_block(void *deflater, const void *in, size_t n, void *out,
			     size_t room)
{
	struct deflater *d = deflater;
	struct isal_zstream *z = &d->stream;

	isal.deflate_init(z);
	z->level = 1;
	z->level_buf = d->level_buffer;
	z->level_buf_size = sizeof(d->level_buffer);
	z->gzip_flag = IGZIP_DEFLATE;
	z->end_of_stream = 1;
	z->flush = NO_FLUSH;
	z->next_in = (uint8_t *)(uintptr_t)in;
	z->avail_in = (uint32_t)n;
	z->next_out = out;
	z->avail_out = (uint32_t)room;
	return isal.deflate(z) == COMP_OK ? (ssize_t)z->total_out : -ENOSPC;
}

static int inflate_block(const void *in, size_t n, void *out, size_t out_n)
{
	struct inflate_state *state = malloc(sizeof(*state)); /* 80 KB: not for a stack */
	int r;

	if (!state)
		return -ENOMEM;
	isal.inflate_init(state);
	state->crc_flag = ISAL_DEFLATE;
	state->next_in = (uint8_t *)(uintptr_t)in;
	state->avail_in = (uint32_t)n;
	state->next_out = out;
	state->avail_out = (uint32_t)out_n;
	r = isal.inflate(state) == ISAL_DECOMP_OK && state->avail_out == 0 &&
			    state->block_state == ISAL_BLOCK_FINISH
		    ? 0
		    : -EBADMSG;
	free(state);
	return r;
}

static uint32_t crc32_of(const void *p, size_t n)
{
	return isal.crc32(0, p, n);
}

static const struct codec codec = { "ISA-L",	   deflater_new,  free,
				    deflate_block, inflate_block, crc32_of };

/* The library stays loaded for as long as the process lives. */
const struct codec *codec_isal(void)
{
	void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return NULL;
	isal.deflate_init = dlsym(library, "isal_deflate_stateless_init");
	isal.deflate = dlsym(library, "isal_deflate_stateless");
	isal.inflate_init = dlsym(library, "isal_inflate_init");
	isal.inflate = dlsym(library, "isal_inflate_stateless");
	isal.crc32 = dlsym(library, "crc32_gzip_refl");
	if (!isal.deflate_init || !isal.deflate || !isal.inflate_init || !isal.inflate ||
	    !isal.crc32)
		return NULL;
	return &codec;
}
