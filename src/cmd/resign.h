/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "cmd/cmd.h"
#include "core/buildfiles.h"

/*
 * Recomputes the signatures of the store, for `replay --resign`: an update may sign by newer
 * rules, and signatures of two rules do not group. files: of modules that were not there
 * when the crash came; NULL: none.
 */
int resign_store(struct cmd *cmd, const struct buildfiles *files);

/* A bar on stderr, if that is a terminal and there is more than one to do. */
void resign_progress(size_t done, size_t all);
