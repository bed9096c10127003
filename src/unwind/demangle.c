/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/demangle.h"

#include <stdlib.h>
#include <string.h>

#include "io/cleanup.h"
#include "policy/name.h"

#ifdef HAVE_LIBIBERTY
#include <libiberty/demangle.h>

static char *readable(const char *name)
{
	char *text = NULL;

	if (strncmp(name, "_R", 2) == 0 || strncmp(name, "_ZN", 3) == 0)
		text = rust_demangle(name, DMGL_PARAMS);
	if (!text && strncmp(name, "_Z", 2) == 0)
		text = cplus_demangle_v3(name, DMGL_PARAMS | DMGL_ANSI);
	return text;
}

static char *readable_type(const char *name)
{
	return cplus_demangle_v3(name, DMGL_PARAMS | DMGL_ANSI | DMGL_TYPES);
}
#else
static char *readable(const char *name)
{
	(void)name;
	return NULL;
}

static char *readable_type(const char *name)
{
	return readable(name);
}
#endif

void demangle(const char *name, char *text, size_t size)
{
	_cleanup_free_ char *nice = readable(name);
	const char *from = nice ?: name;

	(void)name_escape(from, strlen(from), text, size);
}

void demangle_type(const char *name, char *text, size_t size)
{
	_cleanup_free_ char *nice = readable_type(name);
	const char *from = nice ?: name;

	(void)name_escape(from, strlen(from), text, size);
}
