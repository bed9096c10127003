/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The engines that deflate and inflate: zlib everywhere, ISA-L where it is found (five times
 * faster on cores, a little larger). Debian has ISA-L as a shared library only, so it is
 * loaded when the first core is to be compressed, or unwound from its file, and only in
 * programs that can load: the static program behind core_pattern is built without it.
 *
 * Everything is raw deflate: headers and trailers belong to core/member.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct codec {
	const char *name;
	/* State of one compressing thread, reused over blocks. NULL: no memory. */
	void *(*deflater_new)(void);
	void (*deflater_free)(void *deflater);
	/* One whole stream of in: the bytes written, or -ENOSPC if they do not fit. */
	ssize_t (*deflate)(void *deflater, const void *in, size_t n, void *out, size_t room);
	/* One whole stream that must give exactly out_n bytes. 0, -EBADMSG, -ENOMEM. */
	int (*inflate)(const void *in, size_t n, void *out, size_t out_n);
	uint32_t (*crc32)(const void *p, size_t n);
};

extern const struct codec codec_zlib;

/* ISA-L if it can be loaded, else NULL. Not linked into every program, hence weak. */
const struct codec *codec_isal(void) __attribute__((weak));

/* The fastest there is. Loads on the first call; any thread may call. */
const struct codec *codec_fastest(void);

/*
 * Deflate without compressing, for what compression cannot make smaller. out must hold
 * n + 5 bytes for each 65,535 begun. Returns the bytes written.
 */
size_t codec_store(const void *in, size_t n, void *out);
