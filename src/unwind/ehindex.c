/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/ehindex.h"

#include <stdlib.h>
#include <string.h>

#include "io/cleanup.h"

#define IMAGE_MAX (64u << 20) /* searched */
#define CHUNK (64u << 10)
#define ROWS_MAX (1u << 18)
#define ENTRY_MAX (64u << 10)
#define CIE_READ 64u

/* The encodings of addresses that occur for code. */
#define ENCODING_ABSOLUTE 0x00
#define ENCODING_UDATA4 0x03
#define ENCODING_PC_SDATA4 0x1b

struct row {
	uint64_t start;
	uint64_t bytes;
	uint64_t fde;
};

struct eh_index {
	struct row *row; /* by start */
	size_t n;
	size_t room;
};

/* Only the machine we run on is unwound by rows, so its byte order is ours. */
static uint32_t u32(const unsigned char *p)
{
	uint32_t value;

	memcpy(&value, p, 4);
	return value;
}

/* How the CIE's FDEs say where their code is; -1: not a CIE we know. */
static int fde_encoding(const unsigned char *p, size_t n)
{
	const unsigned char *aug = p + 9, *end = memchr(p + 9, '\0', n - 9);
	size_t at;

	if (p[8] != 1 || !end || end - aug > 7)
		return -1;
	if (*aug == '\0')
		return ENCODING_ABSOLUTE;
	at = (size_t)(end - p) + 1 + 3; /* alignments and return column: a byte each */
	if (*aug++ != 'z' || at >= n || p[at++] > 32)
		return -1;
	for (; *aug != '\0' && at + 1 < n; aug++) {
		if (*aug == 'R')
			return p[at];
		if (*aug == 'L')
			at++;
		else if (*aug == 'P')
			at += (p[at] & 7) == 0 || (p[at] & 7) == 4 ? 9 : 5;
		else if (*aug != 'S')
			return -1;
	}
	return ENCODING_ABSOLUTE;
}

static int read_encoding(struct memory *memory, uint64_t cie)
{
	unsigned char p[CIE_READ];

	if (memory_read(memory, cie, p, sizeof(p)) != 0 || u32(p + 4) != 0)
		return -1;
	return fde_encoding(p, sizeof(p));
}

/* Start and length of the code of the FDE. */
static bool read_extent(struct memory *memory, uint64_t fde, int encoding,
			struct row *row)
{
	unsigned char p[24];

	if (memory_read(memory, fde, p, sizeof(p)) != 0)
		return false;
	row->fde = fde;
	switch (encoding) {
	case ENCODING_ABSOLUTE:
		if (sizeof(void *) != 8)
			return false;
		memcpy(&row->start, p + 8, 8);
		memcpy(&row->bytes, p + 16, 8);
		return true;
	case ENCODING_UDATA4:
		row->start = u32(p + 8);
		row->bytes = u32(p + 12);
		return true;
	case ENCODING_PC_SDATA4:
		row->start = fde + 8 + (uint64_t)(int64_t)(int32_t)u32(p + 8);
		row->bytes = u32(p + 12);
		return true;
	default:
		return false;
	}
}

static bool add_row(struct eh_index *index, const struct row *row)
{
	if (index->n == index->room) {
		size_t room = index->room ? index->room * 2 : 1024;
		struct row *larger;

		if (room > ROWS_MAX)
			return false;
		larger = reallocarray(index->row, room, sizeof(*larger));
		if (!larger)
			return false;
		index->row = larger;
		index->room = room;
	}
	index->row[index->n++] = *row;
	return true;
}

/* Reads entries from the first on until one is none. */
static void walk_entries(struct eh_index *index, const struct module *m,
			 struct memory *memory, uint64_t at)
{
	uint64_t last_cie = 0;
	int encoding = -1;

	while (at < m->end) {
		unsigned char p[8];
		uint64_t cie;
		struct row row;

		if (memory_read(memory, at, p, sizeof(p)) != 0 || u32(p) < 8 ||
		    u32(p) > ENTRY_MAX)
			return;
		cie = at + 4 - u32(p + 4);
		if (u32(p + 4) != 0 && cie != last_cie) {
			encoding = read_encoding(memory, cie);
			last_cie = cie;
		}
		if (u32(p + 4) != 0 &&
		    (encoding < 0 || !read_extent(memory, at, encoding, &row)))
			return;
		if (u32(p + 4) != 0 && row.bytes > 0 && !add_row(index, &row))
			return;
		at += 4 + (uint64_t)u32(p);
	}
}

/* A CIE, and behind it an FDE that points back at it, for code of this module. */
static bool begins_here(const struct module *m, struct memory *memory, uint64_t at)
{
	unsigned char p[CIE_READ], next[8];
	uint64_t fde;
	struct row row;

	if (memory_read(memory, at, p, sizeof(p)) != 0 || fde_encoding(p, sizeof(p)) < 0)
		return false;
	fde = at + 4 + u32(p);
	return memory_read(memory, fde, next, sizeof(next)) == 0 &&
	       fde + 4 - u32(next + 4) == at &&
	       read_extent(memory, fde, fde_encoding(p, sizeof(p)), &row) &&
	       row.start >= m->base && row.start < m->end;
}

static uint64_t find_in_chunk(const struct module *m, struct memory *memory, uint64_t at,
			      const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i + 12 <= n; i += 4) {
		uint32_t length = u32(bytes + i);

		if (length >= 12 && length <= 60 && u32(bytes + i + 4) == 0 &&
		    bytes[i + 8] == 1 && (bytes[i + 9] == 'z' || bytes[i + 9] == '\0') &&
		    begins_here(m, memory, at + i))
			return at + i;
	}
	return 0;
}

static uint64_t find_first(const struct module *m, struct memory *memory)
{
	_cleanup_free_ unsigned char *bytes = malloc(CHUNK);
	uint64_t end = m->end - m->base > IMAGE_MAX ? m->base + IMAGE_MAX : m->end;

	for (uint64_t at = m->base; bytes && at < end; at += CHUNK - 16) {
		size_t n = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		uint64_t found;

		n = memory_read_some(memory, at, bytes, n);
		found = find_in_chunk(m, memory, at, bytes, n);
		if (found)
			return found;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static struct eh_index *make(const struct module *m, struct memory *memory)
{
	struct eh_index *index = calloc(1, sizeof(*index));
	uint64_t first = index ? find_first(m, memory) : 0;

	if (first == 0)
		return index;
	walk_entries(index, m, memory, first);
	if (index->n > 0)
		qsort(index->row, index->n, sizeof(*index->row), compare);
	return index;
}

bool eh_index_find(struct module *module, struct memory *memory, uint64_t address,
		   uint64_t *ret_fde, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct eh_index *index;
	const struct row *row;
	size_t low = 0, high;

	if (!module->eh_index)
		module->eh_index = make(module, memory);
	index = module->eh_index;
	high = index ? index->n : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->row[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	row = &index->row[low - 1];
	if (address - row->start >= row->bytes)
		return false;
	*ret_fde = row->fde;
	*ret_start = row->start;
	*ret_end = row->start + row->bytes;
	return true;
}

void eh_index_free(struct eh_index *index)
{
	if (!index)
		return;
	free(index->row);
	free(index);
}
