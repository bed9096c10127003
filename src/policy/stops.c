/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/stops.h"

void stops_boot(struct stops *stops)
{
	if (stops->known && !stops->marked)
		stops->unclean++;
	stops->marked = false;
}

void stops_tick(struct stops *stops, bool stopping)
{
	stops->marked = stopping;
	if (stopping)
		stops->known = true;
}
