/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <check.h>

/* Changes cut off at every write, and damage. */
void state_torn_cases(Suite *suite);
/* Other processes: locks, keeps in flight, many at once. */
void state_others_cases(Suite *suite);
