/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/exception.h"

#include <string.h>

#include "io/cleanup.h"
#include "policy/name.h"
#include "unwind/demangle.h"
#include "unwind/symbols.h"

/*
 * The Itanium C++ ABI as libstdc++ lays it out on 64 bits: the thrown object lies behind a
 * header whose last 32 bytes are the unwinder's, beginning with the class "GNUCC++\0", and
 * which begins, 0x70 before the object, with a pointer to the type. Some frame between
 * __cxa_throw() and abort() has a pointer to the unwinder's part on the stack.
 */
#define EXCEPTION_CLASS 0x474e5543432b2b00ULL
#define OBJECT_AT 0x20 /* from the unwinder's part */
#define TYPE_BEFORE 0x70 /* the object */
#define SEARCH_WORDS 4096u

static bool read_word(const struct walk_process *p, uint64_t address, uint64_t *ret_value)
{
	unsigned char bytes[8];

	if (memory_read(p->memory, address, bytes, sizeof(bytes)) != 0)
		return false;
	*ret_value = elfcore_load(p->core, bytes, sizeof(bytes));
	return true;
}

/* Only a thread that is being terminated for it has one that nobody caught. */
static bool is_terminating(const struct walk_process *p, const struct walk *walk)
{
	for (size_t i = 0; i < walk->kept && i < 16; i++) {
		uint64_t address = walk->frame[i].pc - walk->frame[i].is_call;
		struct module *m = modules_find(p->modules, address);
		struct symbol symbol;

		if (m && m->is_elf &&
		    symbols_find(m, p->core, p->memory, address, &symbol) &&
		    (strcmp(symbol.name, "_ZSt9terminatev") == 0 ||
		     strncmp(symbol.name, "__cxa_throw", 11) == 0 ||
		     strncmp(symbol.name, "__cxa_rethrow", 13) == 0))
			return true;
	}
	return false;
}

static bool find_object(const struct walk_process *p, uint64_t sp, uint64_t *ret_object)
{
	for (unsigned int i = 0; i < SEARCH_WORDS; i++) {
		uint64_t pointer, value;

		if (!read_word(p, sp + i * 8ULL, &pointer))
			return false;
		if (pointer % 16 != 0 || !space_writable(p->space, pointer) ||
		    !read_word(p, pointer, &value) || value != EXCEPTION_CLASS)
			continue;
		*ret_object = pointer + OBJECT_AT;
		return true;
	}
	return false;
}

/* Types that keep what() in a string right behind their table of functions. */
static bool has_message(const char *mangled)
{
	static const char *const type[] = {
		"St11logic_error",  "St12domain_error",	  "St16invalid_argument",
		"St12length_error", "St12out_of_range",	  "St13runtime_error",
		"St11range_error",  "St14overflow_error", "St15underflow_error",
		"St12system_error",
	};

	for (size_t i = 0; i < ARRAY_SIZE(type); i++)
		if (strcmp(mangled, type[i]) == 0)
			return true;
	return false;
}

bool exception_find(const struct walk_process *process, const struct walk *walk,
		    struct exception *ret_exception)
{
	char mangled[EXCEPTION_TYPE], message[EXCEPTION_MESSAGE / 4];
	struct exception e = { 0 };
	uint64_t object, type, text;

	if (process->core->elf_class != ELFCLASS64 || walk->kept == 0 ||
	    !is_terminating(process, walk) ||
	    !find_object(process, walk->frame[0].sp, &object))
		return false;
	if (!read_word(process, object - TYPE_BEFORE, &type) ||
	    !read_word(process, type + 8, &text) ||
	    !memory_read_string(process->memory, text, mangled, sizeof(mangled)) ||
	    mangled[0] == '\0')
		return false;
	demangle_type(mangled, e.type, sizeof(e.type));
	if (has_message(mangled) && read_word(process, object + 8, &text) &&
	    memory_read_string(process->memory, text, message, sizeof(message)))
		(void)name_escape(message, strlen(message), e.message, sizeof(e.message));
	*ret_exception = e;
	return true;
}
