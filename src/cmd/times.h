/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/*
 * A point in time from a person, in the words that coredumpctl takes (systemd.time(7)):
 * "now", "today", "yesterday", "tomorrow", "@SECONDS", "-2h", "+5min", "5 min ago",
 * "[Fri ]2012-10-30[ 18:17[:16[.5]]]", "18:17[:16]", with "T" for the blank, "UTC" or "Z"
 * behind it. -EINVAL, -ERANGE.
 */
int times_parse(const char *text, int64_t now_s, int64_t *ret_ns);
