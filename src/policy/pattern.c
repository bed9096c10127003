/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/pattern.h"

#include <stdio.h>
#include <string.h>

const struct pattern_rival pattern_rivals[] = {
	{ "systemd-coredump (by its socket)", "/run/systemd/coredump",
	  "systemd-coredump-register.service" },
	{ "systemd-coredump", "/systemd-coredump ", NULL },
	{ "apport", "/apport ", "apport.service" },
	{ "ABRT", "/abrt-hook-ccpp ", "abrt-ccpp.service" },
	{ "minicoredumper", "/minicoredumper ", "minicoredumper.service" },
	{ "memfaultd", "/memfault-core-handler ", "memfaultd.service" },
	{ "crash-reporter", "/crash_reporter ", "crash-reporter.service" },
};
const size_t pattern_rivals_n = sizeof(pattern_rivals) / sizeof(*pattern_rivals);

bool pattern_is_ours(const char *pattern)
{
	const char *end, *name;

	if (pattern[0] != '|')
		return false;
	end = pattern + strcspn(pattern, " \n");
	name = memrchr(pattern, '/', (size_t)(end - pattern));
	name = name ? name + 1 : pattern + 1;
	return end - name == 8 && memcmp(name, "corefold", 8) == 0 &&
	       strncmp(end, " handle", 7) == 0;
}

enum pattern_kind pattern_kind(const char *pattern)
{
	if (pattern_is_ours(pattern))
		return PATTERN_OURS;
	if (!*pattern || strncmp(pattern, "|/bin/false", 11) == 0)
		return PATTERN_NOBODY; /* systemd writes it early in the boot */
	if (*pattern == '|')
		return PATTERN_PIPE;
	return *pattern == '@' ? PATTERN_SOCKET : PATTERN_FILE;
}

const char *pattern_program(const char *pattern, char *out, size_t size)
{
	size_t n;

	*out = '\0';
	if (pattern[0] != '|' || pattern[1] != '/')
		return out;
	n = strcspn(pattern + 1, " \n");
	if (n < size)
		(void)snprintf(out, size, "%.*s", (int)n, pattern + 1);
	return out;
}

int pattern_make(const char *program, const char *config, char *out, size_t size)
{
	return snprintf(out, size, "|%s handle%s%s %s", program, config ? " -C" : "",
			config ?: "", PATTERN_SPECIFIERS);
}

const char *pattern_owner(const char *pattern)
{
	for (size_t i = 0; i < pattern_rivals_n; i++)
		if (strstr(pattern, pattern_rivals[i].in_pattern))
			return pattern_rivals[i].name;
	switch (pattern_kind(pattern)) {
	case PATTERN_OURS:
		return "corefold";
	case PATTERN_NOBODY:
		return "nobody";
	case PATTERN_FILE:
		return "files that the kernel writes";
	case PATTERN_SOCKET:
		return "another program, through a socket";
	case PATTERN_PIPE:
		break;
	}
	return "another program";
}
