/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * cf1: the key that groups crashes with one cause. The rules are numbered as in HACKING
 * ("The signature"); they never change silently: a new rule makes a cf2.
 *
 * The text is `cf1|executable|signal|via|frame|...`, five frames, or more where some of
 * them are runtime without a name, and for SIGABRT what was said last. `exact` is made of build-ids and offsets and works on binaries
 * stripped of everything; `loose` is made of names and survives a rebuild.
 *
 * Why modules are skipped and not names: a stripped libc exports none of the functions
 * between abort() and a bug, so a list of names ends at the first of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_FRAMES 5
/* Where runtime has no names and no module of its own: a panic of Rust is fourteen of it. */
#define SIGNATURE_FRAMES_DEEP 20
#define SIGNATURE_TEXT 2048
#define SIGNATURE_KEY 17 /* sixteen hexadecimal digits */
#define SIGNATURE_SHOWN 160
#define SIGNATURE_FRAMES_MAX 256 /* looked at */

struct signature_frame {
	uint64_t pc;
	const char *
		module; /* file name, "[vdso]", "[anon]" (no file); NULL: no code there */
	const char *build_id; /* hexadecimal; NULL or empty: none */
	uint64_t module_bytes; /* stands in for a missing build-id */
	uint64_t offset; /* of pc from the module's first byte */
	const char *symbol; /* readable; NULL: not known */
	uint64_t symbol_offset;
	bool exported; /* the symbol is one that any build of the module has */
	bool is_call; /* pc is a return address */
	bool guessed; /* found by scanning the stack, or as little proven */
	bool no_code; /* pc is in the module's data: somebody jumped there */
	/* A signal handler returns here: what it had been called for. */
	bool trampoline;
	int signal;
	int si_code;
	const char *signal_name;
};

/* All borrowed. */
struct signature_crash {
	const char *executable;
	int signal;
	const char *signal_name;
	int si_code;
	bool by_other; /* another process sent the signal */
	bool stack_overflow;
	bool runtime_within; /* the executable holds a runtime that no module tells apart */
	const char *abort_message; /* NULL: none */
	const struct signature_frame *frame; /* of the crashing thread, innermost first */
	size_t frames;
	size_t gap; /* frames were left out before this index; 0: none were */
};

struct signature {
	char exact[SIGNATURE_KEY];
	char exact_text[SIGNATURE_TEXT];
	char loose[SIGNATURE_KEY]; /* empty: a frame has no name */
	char loose_text[SIGNATURE_TEXT];
	char shown[SIGNATURE_SHOWN]; /* symbol+0xoffset~key */
	bool low; /* few frames could be resolved: the key is of the first one */
	bool sent; /* somebody's kill(), no crash */
};

void signature_make(const struct signature_crash *crash, struct signature *ret_signature);
