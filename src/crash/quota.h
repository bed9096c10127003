/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The store's limits: what may still be written, and what has to go. */

#include <stdbool.h>
#include <stdint.h>

#include "io/config.h"
#include "policy/capture.h"

/* Fills in what the file system and MaxUse leave for another core. */
void quota_budget(int store_fd, const struct config *config, struct capture_budget *budget);

/* Bytes of the file system that must stay free. */
uint64_t quota_keep_free(int store_fd, const struct config *config);

/* Removes what is beyond the limits. Returns how many files went. Best effort. */
unsigned int quota_apply(int store_fd, const struct config *config, int64_t wall_ns);

/*
 * Tells what is beyond the limits and removes nothing: `goes` is called for each record
 * whose core, or core and record, would go. Returns how many.
 */
typedef void quota_goes(void *userdata, const char *id, bool core, bool record);
unsigned int quota_each(int store_fd, const struct config *config, int64_t wall_ns,
			quota_goes *goes, void *userdata);
