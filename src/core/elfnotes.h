/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "core/elfcore.h"

/*
 * Takes from core->note_bytes of notes what a core tells: threads, process, signal, auxiliary
 * vector, mapped files. Class and byte order are known; pointers into p go into *core. What
 * is wrong with a note leaves it out. Called again with more of the same notes it goes on
 * behind the last whole one. 0 or -ENOMEM.
 */
int elfnotes_parse(const unsigned char *p, struct elfcore *core);
