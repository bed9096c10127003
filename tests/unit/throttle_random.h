/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <check.h>

/* Random traces, against an unbounded list. */
void throttle_random_cases(Suite *suite);
