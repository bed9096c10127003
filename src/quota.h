/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The store's limits: what may still be written, and what has to go. */

#include <stdint.h>

#include "io/config.h"
#include "policy/capture.h"

/* Fills in what the file system and MaxUse leave for another core. */
void quota_budget(int store_fd, const struct config *config, struct capture_budget *budget);

/* Bytes of the file system that must stay free. */
uint64_t quota_keep_free(int store_fd, const struct config *config);

/* Removes what is beyond the limits. Returns how many files went. Best effort. */
unsigned int quota_apply(int store_fd, const struct config *config, int64_t wall_ns);
