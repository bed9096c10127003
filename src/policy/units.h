/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Values with units as people write them in configuration, options and traces.
 * All parsers take the whole string or fail with -EINVAL (not such a value) or
 * -ERANGE (too large to hold); nothing is written on failure.
 */

#include <stddef.h>
#include <stdint.h>

#define NS_PER_SEC 1000000000LL
#define UNITS_YEAR_NS (31557600 * NS_PER_SEC) /* what "1y" is, the mean year */

/*
 * A span of time: "200ms", "8min", "1h 30min", "90" (seconds), "infinity" is not one.
 * Units ns us ms s sec min m h d w, decimals allowed. Nanoseconds, >= 0.
 */
int units_parse_span(const char *text, int64_t *ret_ns);

/* Bytes: "4096", "64K", "2G" (powers of 1024; K M G T, an optional B or iB). */
int units_parse_bytes(const char *text, uint64_t *ret_bytes);

/* A share: "10%", "0.5%"; hundredths of a percent, 0 to 10000; nothing finer. */
int units_parse_share(const char *text, uint32_t *ret_basis_points);

/* A whole number, decimal, no sign. */
int units_parse_number(const char *text, uint64_t max, uint64_t *ret_number);

/* yes/no, true/false, on/off, 1/0. */
int units_parse_bool(const char *text, int *ret_bool);

/* Seconds with up to nine decimals, exactly: "479.999999999". A sign is allowed. */
int units_parse_seconds(const char *text, int64_t *ret_ns);

/* Room for any formatted value. */
#define UNITS_SIZE 32

/* Seconds without needless decimals: 0, 0.25, 259200.00000005. Returns out. */
const char *units_format_seconds(int64_t ns, char out[static UNITS_SIZE]);

/* For people: 8min, 1h 30min, 250ms. Two units at most. Returns out. */
const char *units_format_span(int64_t ns, char out[static UNITS_SIZE]);

/* For people: 64K, 1.5M. Returns out. */
const char *units_format_bytes(uint64_t bytes, char out[static UNITS_SIZE]);
