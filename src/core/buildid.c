/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/buildid.h"

#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void set_text(const unsigned char *bytes, size_t n, char text[static BUILDID_TEXT])
{
	static const char digit[] = "0123456789abcdef";

	if (2 * n >= BUILDID_TEXT)
		return;
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digit[bytes[i] >> 4];
		text[2 * i + 1] = digit[bytes[i] & 15];
	}
	text[2 * n] = '\0';
}

/* The first of type NT_GNU_BUILD_ID that is GNU's. */
static void look_at_notes(Elf_Data *data, char text[static BUILDID_TEXT])
{
	size_t at = 0, name_at, desc_at;
	GElf_Nhdr note;

	while (data && !text[0] && (at = gelf_getnote(data, at, &note, &name_at, &desc_at)) > 0)
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp((const char *)data->d_buf + name_at, "GNU", 4) == 0)
			set_text((const unsigned char *)data->d_buf + desc_at, note.n_descsz,
				 text);
}

/* By program headers, which nobody can strip; debug files have only their notes' sections. */
static void find_text(Elf *elf, char text[static BUILDID_TEXT])
{
	Elf_Scn *section = NULL;
	GElf_Phdr segment;
	GElf_Shdr header;
	size_t n = 0;

	(void)elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n && !text[0]; i++)
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_NOTE)
			look_at_notes(elf_getdata_rawchunk(elf, (int64_t)segment.p_offset,
							   segment.p_filesz, ELF_T_NHDR),
				      text);
	while (!text[0] && (section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_NOTE)
			look_at_notes(elf_getdata(section, NULL), text);
}

static void take_soname(Elf *elf, const GElf_Shdr *header, Elf_Data *data,
			char soname[static BUILDID_SONAME])
{
	size_t n = header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
	GElf_Dyn entry;

	for (size_t i = 0; data && i < n && gelf_getdyn(data, (int)i, &entry); i++) {
		const char *name;

		if (entry.d_tag != DT_SONAME)
			continue;
		name = elf_strptr(elf, header->sh_link, entry.d_un.d_val);
		if (name && strlen(name) < BUILDID_SONAME && !strchr(name, '/'))
			(void)snprintf(soname, BUILDID_SONAME, "%s", name);
		return;
	}
}

static void find_soname(Elf *elf, char soname[static BUILDID_SONAME])
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_DYNAMIC) {
			take_soname(elf, &header, elf_getdata(section, NULL), soname);
			return;
		}
}

int buildid_read(int fd, struct buildid *ret_buildid)
{
	struct buildid found = { 0 };
	bool is_elf;
	Elf *elf;

	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	is_elf = elf && elf_kind(elf) == ELF_K_ELF;
	if (is_elf) {
		find_text(elf, found.text);
		find_soname(elf, found.soname);
		*ret_buildid = found;
	}
	(void)elf_end(elf);
	return is_elf ? 0 : -EINVAL;
}
