/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Numbers and names in the lines of the counters and in records, where anything may stand. */

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "policy/name.h"

static inline uint64_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

static inline const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static inline void make_key(const json_t *object, char out[static NAME_SIZE + 24])
{
	(void)snprintf(out, NAME_SIZE + 24, "%" PRIu64 " %.*s", number(object, "uid"),
		       NAME_SIZE - 1, text(object, "process"));
}

static inline uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
