/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/minidebug.h"

#include <gelf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LZMA
#include <lzma.h>

#include "unwind/section.h"

#define PACKED_MAX (16u << 20)
#define UNPACKED_MAX (64u << 20)
#define DECODER_MEMORY (64u << 20)

static char *unpack(const Elf_Data *data, size_t *ret_bytes)
{
	uint64_t memory_limit = DECODER_MEMORY;

	for (size_t room = data->d_size * 4; room <= UNPACKED_MAX; room *= 2) {
		char *out = malloc(room);
		size_t in_at = 0, out_at = 0;
		lzma_ret r;

		if (!out)
			return NULL;
		r = lzma_stream_buffer_decode(&memory_limit, 0, NULL, data->d_buf, &in_at,
					      data->d_size, (uint8_t *)out, &out_at,
					      room);
		if (r == LZMA_OK) {
			*ret_bytes = out_at;
			return out;
		}
		free(out);
		if (r != LZMA_BUF_ERROR)
			return NULL;
	}
	return NULL;
}

Elf *minidebug_open(Elf *elf, char **ret_bytes)
{
	Elf_Scn *section = section_find(elf, ".gnu_debugdata", PACKED_MAX);
	Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;
	char *bytes;
	size_t n;
	Elf *inner;

	if (!data || data->d_size == 0)
		return NULL;
	bytes = unpack(data, &n);
	if (!bytes)
		return NULL;
	inner = elf_memory(bytes, n);
	if (!inner) {
		free(bytes);
		return NULL;
	}
	*ret_bytes = bytes;
	return inner;
}

#else

Elf *minidebug_open(Elf *elf, char **ret_bytes)
{
	(void)elf;
	(void)ret_bytes;
	return NULL;
}
#endif
