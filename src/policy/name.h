/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Names that a crashing program chose, made harmless.
 *
 * Everything here maps hostile bytes to printable UTF-8 in a way that keeps different
 * inputs different: bytes that are control characters, invalid UTF-8, format or bidi
 * controls become \xNN, and a backslash becomes \x5c, so no two names collide.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for a process name with its NUL; longer ones end in ~ and a hash of the whole. */
#define NAME_SIZE 64

/*
 * The name a process is known by: the last component of argv[0], without the title that
 * daemons write over it ("sshd: root@pts/0" is sshd); else that of the executable; else
 * the comm; else "(unnamed)". Any of the three may be NULL or empty. `argv0_bytes` is a
 * length because argv[0] may hold anything.
 */
void name_of_process(const char *argv0, size_t argv0_bytes, const char *executable,
		     const char *comm, char ret_name[static NAME_SIZE]);

/* The same for a name given by a person or a trace: escaped and capped, kept as it is otherwise. */
void name_clean(const char *raw, size_t raw_bytes, char ret_name[static NAME_SIZE]);

/*
 * Escapes `raw` into `out` (NUL-terminated, cut between characters when it does not fit).
 * Returns the bytes of `raw` that went in.
 */
size_t name_escape(const char *raw, size_t raw_bytes, char *out, size_t out_size);

/* Would all of it draw as it stands: valid UTF-8 without controls? (Backslashes do.) */
bool name_draws(const char *text, size_t bytes);

/* FNV-1a, 64 bits: tells names apart inside the state; not a defence against collisions. */
uint64_t name_hash(const void *bytes, size_t n);
