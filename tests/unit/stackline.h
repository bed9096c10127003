/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/signature.h"

#define FRAMES 200

/*
 * A stack as a line, the innermost frame first:
 *
 *   app!main   symbol main in module app, at an offset that comes from its name
 *   app+18     module app at 0x18, no symbol
 *   libc!abort*  an exported symbol; libc stands for libc.so.6, ld for the loader
 *   0  ?  anon  vdso    pc 0, a pc that is nowhere, memory of no file, the vdso
 *   ^app!f     found by scanning
 *   ~app+18    that place is data
 *   @SEGV      a signal trampoline, called for a fault; @USR1 for another signal
 *   x50(...)   repeats what is in the brackets
 *
 * The build-id of app is app0000000000000; the module nobuild has none.
 */
struct stack {
	struct signature_frame frame[FRAMES];
	char module[FRAMES][32];
	char build_id[FRAMES][20];
	char symbol[FRAMES][64];
	size_t n;
};

/* The frames point into the stack. */
void stackline_parse(struct stack *stack, const char *line);
