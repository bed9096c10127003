/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Why a crash was decided as it was: the window it fell into, who waits for a report,
 * whether it could have been something new, and how much of it is captured.
 */

#include <jansson.h>

#include "cmd/cmd.h"
#include "crash/handle.h"

/* For a crash that handle_crash() has decided on; it must not have been emptied yet. */
struct why {
	uint32_t in_window; /* this crash included */
	uint32_t in_slow_window;
	bool loop;
	uint64_t waiting; /* pending when it came */
	uint64_t hash; /* 0: none could be made */
	const char *novelty; /* in words */
	uint32_t budget_left; /* afterwards */
	const char *capture; /* kind, NULL: folded */
	char capture_reason[96];
};

/* CMD_DONE, or CMD_FAILED after saying why not. */
int why_find(struct cmd *cmd, struct crash *crash, struct why *ret_why);

void why_print(const struct config *config, const struct why *why);
json_t *why_to_json(const struct config *config, const struct why *why);
