/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/panic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/name.h"
#include "unwind/symbols.h"

/*
 * core::panicking::panic_fmt() has a core::panic::PanicInfo in its frame, and in that a
 * pointer to a core::panic::Location: the file's name as pointer and length, then line and
 * column as 32 bits each. So it has been since they exist; a newer one counts a NUL in.
 */
#define FUNCTION "9panicking9panic_fmt"
#define LOCATION_BYTES 24u
#define FILE_MAX 512u
#define LINES_MAX (10u << 20)
#define COLUMN_MAX (1u << 20)
#define FRAMES_MAX 24u
#define FRAME_MAX 1024u

static bool is_panic_fmt(const struct walk_process *p, const struct walk_frame *frame)
{
	uint64_t address = frame->pc - frame->is_call;
	struct module *m = modules_find(p->modules, address);
	struct symbol symbol;

	return m && m->is_elf && symbols_find(m, p->core, p->memory, address, &symbol) &&
	       (strncmp(symbol.name, "_ZN4core", 8) == 0 ||
		strncmp(symbol.name, "_R", 2) == 0) &&
	       strstr(symbol.name, FUNCTION);
}

/* What the compiler wrote is never writable when the program runs. */
static bool read_constant(const struct walk_process *p, uint64_t address, void *bytes, size_t n)
{
	return modules_find(p->modules, address) && !space_writable(p->space, address) &&
	       memory_read(p->memory, address, bytes, n) == 0;
}

static bool read_file(const struct walk_process *p, uint64_t address, uint64_t n,
		      char name[static FILE_MAX])
{
	if (n < 4 || n >= FILE_MAX || !read_constant(p, address, name, (size_t)n))
		return false;
	n -= name[n - 1] == '\0';
	name[n] = '\0';
	return strlen(name) == n && strcmp(name + n - 3, ".rs") == 0;
}

static bool read_location(const struct walk_process *p, uint64_t address,
			  char place[static PANIC_PLACE])
{
	unsigned char bytes[LOCATION_BYTES];
	char name[FILE_MAX], plain[PANIC_PLACE - 32];
	uint64_t line, column;

	if (address % 8 != 0 || !read_constant(p, address, bytes, sizeof(bytes)))
		return false;
	line = elfcore_load(p->core, bytes + 16, 4);
	column = elfcore_load(p->core, bytes + 20, 4);
	if (line == 0 || line > LINES_MAX || column == 0 || column > COLUMN_MAX ||
	    !read_file(p, elfcore_load(p->core, bytes, 8), elfcore_load(p->core, bytes + 8, 8),
		       name))
		return false;
	(void)name_escape(name, strlen(name), plain, sizeof(plain));
	(void)snprintf(place, PANIC_PLACE, "%s:%" PRIu64 ":%" PRIu64, plain, line, column);
	return true;
}

static bool search(const struct walk_process *p, uint64_t start, uint64_t end,
		   char place[static PANIC_PLACE])
{
	for (uint64_t at = start; at < end && at - start < FRAME_MAX; at += 8) {
		unsigned char word[8];

		if (memory_read(p->memory, at, word, sizeof(word)) != 0)
			return false;
		if (read_location(p, elfcore_load(p->core, word, 8), place))
			return true;
	}
	return false;
}

bool panic_find(const struct walk_process *process, const struct walk *walk,
		char place[static PANIC_PLACE])
{
	if (process->core->elf_class != ELFCLASS64)
		return false;
	for (size_t i = 0; i + 1 < walk->kept && i < FRAMES_MAX; i++)
		if (is_panic_fmt(process, &walk->frame[i]))
			return search(process, walk->frame[i].sp, walk->frame[i + 1].sp,
				      place);
	return false;
}
