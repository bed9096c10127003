/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the fuzz targets share. Each is one LLVMFuzzerTestOneInput(): bytes in, no crash. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that the code under test broke: as good a find as a bad access. */
#define must_hold(condition)                                                             \
	do {                                                                             \
		if (!(condition))                                                        \
			fuzz_broken(#condition);                                         \
	} while (0)
_Noreturn void fuzz_broken(const char *condition);

/* What the code under test prints goes nowhere; reports of libFuzzer and sanitizers do not. */
void fuzz_quiet(void);

/* A directory of this process, made once, removed when it ends. */
int fuzz_dir(void);
const char *fuzz_dir_path(void);
void fuzz_write(int dir_fd, const char *name, const void *bytes, size_t n);
int fuzz_memory_file(const void *bytes, size_t n);

/* A NUL behind it; freed by the caller. */
char *fuzz_text(const uint8_t *data, size_t size);
