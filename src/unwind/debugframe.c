/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/debugframe.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/section.h"

#define SECTION_MAX (256u << 20)
#define ROW_MAX (64u << 10)
#define CIE_ID 0xffffffffu

struct debug_frame {
	Elf *elf;
	const unsigned char *bytes; /* in elf */
	size_t size;
	unsigned char row[2 * ROW_MAX];
};

static Elf_Data *find_section(Elf *elf)
{
	Elf_Scn *section = section_find(elf, ".debug_frame", SECTION_MAX);
	GElf_Shdr shdr;

	if (!section || !gelf_getshdr(section, &shdr))
		return NULL;
	if ((shdr.sh_flags & SHF_COMPRESSED) && elf_compress(section, 0, 0) < 0)
		return NULL;
	return elf_getdata(section, NULL);
}

static bool load_file(struct debug_frame *f, int fd)
{
	Elf_Data *data;

	(void)elf_version(EV_CURRENT);
	f->elf = elf_begin(fd, ELF_C_READ, NULL);
	data = f->elf ? find_section(f->elf) : NULL;
	if (data && data->d_buf && data->d_size > 0) {
		f->bytes = data->d_buf;
		f->size = data->d_size;
		return true;
	}
	(void)elf_end(f->elf);
	f->elf = NULL;
	return false;
}

static struct debug_frame *load(const struct module *m)
{
	struct debug_frame *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	if (m->debug_fd < 0 || !load_file(f, m->debug_fd))
		(void)(m->fd >= 0 && load_file(f, m->fd)); /* none: f stays empty */
	return f;
}

/* Only the machine we run on is unwound by rows, so its byte order is ours. */
static uint32_t u32(const unsigned char *p)
{
	uint32_t value;

	memcpy(&value, p, 4);
	return value;
}

static uint64_t u64(const unsigned char *p)
{
	uint64_t value;

	memcpy(&value, p, 8);
	return value;
}

/* Walks the section for the FDE that covers vaddr. 32-bit DWARF of 64-bit machines. */
static bool find_fde(const struct debug_frame *f, uint64_t vaddr, size_t *ret_fde,
		     size_t *ret_cie)
{
	size_t at = 0;

	while (f->size - at >= 4) {
		uint32_t length = u32(f->bytes + at);

		if (length >= 0xfffffff0u || length > f->size - at - 4)
			return false;
		if (length >= 20 && u32(f->bytes + at + 4) != CIE_ID &&
		    vaddr - u64(f->bytes + at + 8) < u64(f->bytes + at + 16)) {
			*ret_fde = at;
			*ret_cie = u32(f->bytes + at + 4);
			return true;
		}
		at += 4 + (size_t)length;
	}
	return false;
}

static void put_u32(unsigned char *p, uint64_t value)
{
	uint32_t narrow = (uint32_t)value;

	memcpy(p, &narrow, 4);
}

/*
 * The CIE of .debug_frame, version 1, 3 or 4, becomes one of .eh_frame with augmentation
 * "": pointers are absolute there too. Version 4 has two bytes more. Returns its size.
 */
static size_t copy_cie(const struct debug_frame *f, size_t cie, unsigned char *out)
{
	const unsigned char *p = f->bytes + cie;
	uint32_t length;
	size_t skip, body;

	if (cie > f->size || f->size - cie < 16)
		return 0;
	length = u32(p);
	if (length > f->size - cie - 4 || length > ROW_MAX - 16 || length < 12 ||
	    u32(p + 4) != CIE_ID || p[9] != '\0')
		return 0;
	if (p[8] != 1 && p[8] != 3 && p[8] != 4)
		return 0;
	skip = p[8] == 4 ? 2 : 0;
	body = 4 + (size_t)length - 10 - skip;
	put_u32(out + 4, 0);
	out[8] = p[8] == 1 ? 1 : 3;
	out[9] = '\0';
	memcpy(out + 10, p + 10 + skip, body);
	put_u32(out, 6 + body);
	return 10 + body;
}

/* The FDE with its start moved by the bias, pointing back at the CIE at the row's start. */
static size_t copy_fde(const struct debug_frame *f, size_t fde, uint64_t bias, size_t at,
		       unsigned char *out)
{
	uint32_t length = u32(f->bytes + fde);
	uint64_t start = u64(f->bytes + fde + 8) + bias;

	if (length > ROW_MAX - 16)
		return 0;
	memcpy(out, f->bytes + fde, 4 + (size_t)length);
	put_u32(out + 4, at + 4);
	memcpy(out + 8, &start, 8);
	return 4 + (size_t)length;
}

bool debug_frame_row(struct module *module, uint64_t address, const void **ret_bytes,
		     size_t *ret_size, size_t *ret_fde_at, uint64_t *ret_start,
		     uint64_t *ret_end)
{
	size_t fde, cie, cie_bytes, fde_bytes;
	struct debug_frame *f;

	if (!module->debug_frame && !module->debug_frame_tried)
		module->debug_frame = load(module);
	module->debug_frame_tried = true;
	f = module->debug_frame;
	if (!f || f->size == 0 || !find_fde(f, address - module->bias, &fde, &cie))
		return false;
	cie_bytes = copy_cie(f, cie, f->row);
	if (cie_bytes == 0)
		return false;
	fde_bytes = copy_fde(f, fde, module->bias, cie_bytes, f->row + cie_bytes);
	if (fde_bytes == 0)
		return false;
	*ret_bytes = f->row;
	*ret_size = cie_bytes + fde_bytes;
	*ret_fde_at = cie_bytes;
	*ret_start = u64(f->bytes + fde + 8) + module->bias;
	*ret_end = *ret_start + u64(f->bytes + fde + 16);
	return true;
}

void debug_frame_free(struct debug_frame *frame)
{
	if (!frame)
		return;
	(void)elf_end(frame->elf);
	free(frame);
}
