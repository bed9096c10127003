/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A guess at "this bug again" that costs no unwinding: where the program counter was and
 * which code addresses lie near the top of the stack. The same bug has the same few
 * return addresses there, whatever the address space was randomised to.
 *
 * A wrong "new" costs one unwinding, which is bounded. A wrong "known" folds a new bug, so
 * what is taken is enough to tell the callers of abort() apart: addresses in the libraries
 * that bugs only pass through are not taken, they say the same for every bug.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Enough to reach the caller behind a language's machinery of panics, linked in: a dozen. */
#define CHEAPHASH_ADDRESSES 24

struct cheaphash_place {
	const char *module; /* file name; NULL: memory of no file */
	uint64_t offset; /* in the file */
	bool null; /* memory of no file: address 0, where a call of a null pointer goes */
};

struct cheaphash_crash {
	int signal;
	int si_code;
	struct cheaphash_place pc;
	struct cheaphash_place address[CHEAPHASH_ADDRESSES];
	size_t addresses;
};

/* Never 0, so that 0 can mean "none". */
uint64_t cheaphash(const struct cheaphash_crash *crash);
