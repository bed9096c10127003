/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The answer: what was found, as one JSON object whose size is bounded whatever came in. */

#include <jansson.h>

#include "unwind/walk.h"

#define ANSWER_THREADS_MAX 4096
#define ANSWER_FRAMES_MAX 32768 /* of all threads together */
#define ANSWER_MODULES_MAX 1024

/* Walks up to threads_max threads, the crashing one first. New reference or NULL. */
json_t *answer_make(const struct walk_process *process, size_t threads_max);
