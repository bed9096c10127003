/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The files that settings of the kernel are applied from: at boot, and again whenever
 * somebody runs sysctl --system or upgrades a package that brings one of them.
 */

#include <limits.h>
#include <stdbool.h>

#define SYSCTLD_VALUE_SIZE 512

/* Behind systemd's 50-coredump.conf; gone with the boot, like the settings themselves. */
#define SYSCTLD_DIR "/run/sysctl.d"
#define SYSCTLD_FILE "90-corefold.conf"

struct sysctld_setting {
	char value[SYSCTLD_VALUE_SIZE]; /* "" and no path: no file sets it */
	char path[PATH_MAX]; /* the file whose word is the last */
};

/*
 * What the files below `root` ("" for the machine's own) would set `key` to, by the rule of
 * sysctl.d(5): of files with one name the first directory's counts, and then the last
 * in the order of names. -errno.
 */
int sysctld_find(const char *root, const char *key, struct sysctld_setting *ret_setting);

/* Is this unit of systemd going to be started at boot? As its files say. */
bool sysctld_unit_enabled(const char *root, const char *unit);

/* Writes our settings to SYSCTLD_FILE, whole or not at all; removes it. -errno. */
int sysctld_write(const char *text);
int sysctld_remove(void);
