/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A damaged throttle file is seldom damaged all over: after a power cut some of its pages
 * are newer than others, and each slot is a good one of its time.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "io/state_format.h"

#define SET_ASIDE STATE_FILE ".bad"
/* Pages are written back within half a minute; a slot this far ahead belongs to no such file. */
#define AHEAD_NS (3600LL * 1000000000)

static bool can_be_of(const struct state_slot *slot, const struct state_header *header)
{
	return state_slot_good(slot) && slot->last_ns >= 0 &&
	       slot->last_ns <= header->clock.on_time_ns + AHEAD_NS;
}

static bool read_header(int fd, struct state_header *header)
{
	return state_read_at(fd, header, sizeof(*header), 0) == 0 && state_header_good(header) &&
	       header->complete && clock_possible(&header->clock);
}

/* As much of the slots as there is; what is not stays zero, which is no good slot. */
static void read_slots(int fd, char *bytes)
{
	size_t used = 0;

	while (used < SLOTS_BYTES) {
		ssize_t n = pread(fd, bytes + used, SLOTS_BYTES - used, (off_t)(SLOTS_AT + used));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		used += (size_t)n;
	}
}

int state_salvage(int dir_fd, struct state_salvage *ret_salvage)
{
	struct state_salvage salvage = { 0 };
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *bytes = NULL;

	*ret_salvage = salvage;
	if (dir_open_file(dir_fd, SET_ASIDE, O_RDONLY, &fd) != 0 ||
	    !read_header(fd, &salvage.header))
		return 0;
	bytes = calloc(1, SLOTS_BYTES);
	salvage.slot = bytes ? calloc(STATE_SLOTS, sizeof(*salvage.slot)) : NULL;
	if (!salvage.slot)
		return -ENOMEM;
	read_slots(fd, bytes);
	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		struct state_slot *slot = &salvage.slot[salvage.slots];

		memcpy(slot, bytes + (SLOT_AT(i) - SLOTS_AT), sizeof(*slot));
		if (can_be_of(slot, &salvage.header))
			salvage.slots++;
	}
	*ret_salvage = salvage;
	return 0;
}

void state_salvage_done(struct state_salvage *salvage)
{
	free(salvage->slot);
	*salvage = (struct state_salvage){ 0 };
}
