/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a core_pattern says: whose it is, and who else there is that sets it. */

#include <stdbool.h>
#include <stddef.h>

/* The kernel cuts what is longer, silently. */
#define PATTERN_MAX 127

/* What the kernel fills in for us; `handle` takes it apart. */
#define PATTERN_SPECIFIERS "-P%P -I%I -u%u -g%g -s%s -t%t -c%c -d%d -F%F"

enum pattern_kind {
	PATTERN_OURS,
	PATTERN_NOBODY, /* empty, or a program that exits at once: dumps are lost */
	PATTERN_FILE, /* the kernel writes files */
	PATTERN_PIPE, /* another program's */
	PATTERN_SOCKET, /* another program's, through a socket (Linux 6.16) */
};

enum pattern_kind pattern_kind(const char *pattern);

/* Ours is whatever runs a program called corefold with `handle`. */
bool pattern_is_ours(const char *pattern);

/* The program of a pipe, as long as it is absolute and fits; else "". Returns out. */
const char *pattern_program(const char *pattern, char *out, size_t size);

/* Writes the pattern that runs this program (config NULL: its default). Its length. */
int pattern_make(const char *program, const char *config, char *out, size_t size);

/* Somebody else who takes core dumps. */
struct pattern_rival {
	const char *name;
	const char *in_pattern; /* in its pattern, and in no other's */
	const char *unit; /* puts it there at boot, after the sysctl files; NULL: those do */
};

extern const struct pattern_rival pattern_rivals[];
extern const size_t pattern_rivals_n;

/* Whose pattern it is: a name for people. Never NULL. */
const char *pattern_owner(const char *pattern);
