/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "core/elfcore.h"

/*
 * Takes from n bytes of notes what a core tells: threads, process, signal, auxiliary vector,
 * mapped files. Class and byte order are known; pointers into p go into *core. What is wrong
 * with a note leaves it out. 0 or -ENOMEM.
 */
int elfnotes_parse(const unsigned char *p, size_t n, struct elfcore *core);
