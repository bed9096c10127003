/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Unclean shutdowns: boots that ended without saying so.
 *
 * `corefold tick --stopping` runs when the machine is shut down. A boot that follows one
 * without that mark was reset, lost its power, or panicked. A machine on which nobody
 * ever set the mark (cron alone) counts none, and says that it cannot know.
 */

#include <stdbool.h>
#include <stdint.h>

struct stops {
	uint64_t unclean;
	uint32_t known; /* bool: the mark has been set at least once */
	uint32_t marked; /* bool: this boot said that it is ending */
};

/* The first reading of a new boot. */
void stops_boot(struct stops *stops);

/* A tick. One that is not `stopping` takes the mark back: the machine runs on. */
void stops_tick(struct stops *stops, bool stopping);
