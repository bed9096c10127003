/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The head of a dump as the pipe gives it: a hostile process may have shaped all of it. */

#include "core/elfcore.h"

#include <string.h>

#include "fuzz.h"

static uint64_t touch(const void *p, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += ((const unsigned char *)p)[i];
	return sum;
}

/* Everything that the parser hands out lies in the head and can be read. */
static uint64_t look(const struct elfcore *core)
{
	uint64_t sum = strlen(core->comm) + strlen(core->psargs), value;

	for (size_t i = 0; i < core->threads; i++)
		sum += touch(core->thread[i].prstatus, core->thread[i].prstatus_bytes);
	for (size_t i = 0; i < core->mappings; i++)
		sum += strlen(core->mapping[i].path);
	sum += touch(core->auxv, core->auxv_bytes);
	for (uint64_t type = 0; type < 40; type++)
		sum += elfcore_auxv(core, type, &value);
	for (size_t i = 0; i < core->segments; i++)
		must_hold(core->segment[i].offset + core->segment[i].file_bytes <= core->end);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elfcore core;
	uint64_t needed;
	volatile uint64_t sum = 0;
	void *exact = malloc(size ? size : 1); /* so that one byte too far is seen */

	must_hold(exact);
	memcpy(exact, data, size);
	if (elfcore_head_size(exact, size, &needed) == 0)
		must_hold(needed >= 52);
	if (elfcore_parse(exact, size, &core) == 0) {
		sum = look(&core);
		elfcore_done(&core);
	}
	(void)sum;
	free(exact);
	return 0;
}
