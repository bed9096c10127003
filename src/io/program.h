/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>

/*
 * Where another program of ours is: beside this one while it is not installed, else where
 * it was installed to.
 */
void program_find(const char *name, char ret_path[static PATH_MAX]);
