/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A record of the kernel log, in which any process may have a say. */

#include "policy/kmsg.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Its own copy, so that a byte read behind it is seen. */
	char *bytes = malloc(size ? size : 1);
	struct kmsg_record record;
	struct kmsg_sighting sighting[2];

	must_hold(bytes);
	if (size > 0)
		memcpy(bytes, data, size);
	if (kmsg_parse(bytes, size, &record) == 0) {
		must_hold(record.text >= bytes);
		must_hold(record.text_bytes <= size - (size_t)(record.text - bytes));
		sighting[0] = sighting[1] = (struct kmsg_sighting){
			.sequence = record.sequence, .crashes = kmsg_crashes(&record)
		};
		/* The kernel's word or nobody's; sums do not wrap. */
		must_hold(record.from_kernel || sighting[0].crashes == 0);
		must_hold(kmsg_count(sighting, 2, 0) >= sighting[0].crashes);
	}
	free(bytes);
	return 0;
}
