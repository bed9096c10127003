/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Signals in words, for records and for the unwinder's answer. */

#include <stdbool.h>
#include <stddef.h>

#define SIGNALS_NAME_SIZE 16

/* "SIGSEGV", "SIGRTMIN+3". */
void signals_name(int signal, char text[static SIGNALS_NAME_SIZE]);

/* "SEGV_MAPERR", "SI_USER", NULL when there is no name. */
const char *signals_code_name(int signal, int si_code);

/* Does the kernel give a fault address for this signal? */
bool signals_has_address(int signal, int si_code);
