/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/section.h"

#include <string.h>

Elf_Scn *section_find(Elf *elf, const char *name, uint64_t bytes_max)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr shdr;
		const char *found;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type == SHT_NOBITS ||
		    shdr.sh_size > bytes_max)
			continue;
		found = elf_strptr(elf, names, shdr.sh_name);
		if (found && strcmp(found, name) == 0)
			return section;
	}
	return NULL;
}
