/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the files of the modules share. */

#include "unwind/module.h"

#define MODULE_PHDRS_MAX 128u
#define MODULE_NOTES_MAX 4096u /* bytes of one note segment or section */

/* Reads what the image at module->base says; is_elf is false when none is mapped there. */
void module_examine(struct module *module, const struct elfcore *core,
		    struct memory *memory);

/* Takes the build-id from n bytes of notes, if it is among them. */
void module_scan_notes(struct module *module, const struct elfcore *core,
		       const unsigned char *p, size_t n);
