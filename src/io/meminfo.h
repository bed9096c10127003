/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the machine has left, as the kernel estimates it. */

#include <stdint.h>

/* MemAvailable in bytes; UINT64_MAX when /proc/meminfo does not say. */
uint64_t meminfo_available(void);
