/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A damaged throttle file is seldom damaged all over: after a power cut some of its pages
 * are newer than others, and each slot is a good one of its time.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

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

int state_salvage(int dir_fd, struct state_salvage *ret_salvage)
{
	struct state_salvage salvage = { 0 };
	_cleanup_close_ int fd = -1;

	*ret_salvage = salvage;
	if (dir_open_file(dir_fd, SET_ASIDE, O_RDONLY, &fd) != 0 ||
	    !read_header(fd, &salvage.header))
		return 0;
	salvage.slot = calloc(STATE_SLOTS, sizeof(*salvage.slot));
	if (!salvage.slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < STATE_SLOTS; i++) {
		struct state_slot *slot = &salvage.slot[salvage.slots];

		if (state_read_at(fd, slot, sizeof(*slot), state_slot_at(i)) == 0 &&
		    can_be_of(slot, &salvage.header))
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
