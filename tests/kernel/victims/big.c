/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A process of so many MiB that do not compress: its capture takes a while. */

#include <stdint.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	size_t words = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 17;
	uint64_t *memory = malloc(words * sizeof(*memory)), x = 88172645463325252u;

	if (!memory)
		return 1;
	for (size_t i = 0; i < words; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memory[i] = x;
	}
	abort();
}
