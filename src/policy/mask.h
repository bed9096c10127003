/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What abort() was told, without what differs from crash to crash: numbers and addresses
 * are "#" (cf1, rule 8). "|" divides the parts of a signature and becomes "/".
 */

#define MASK_SIZE 200 /* what is longer is cut */

void mask_numbers(const char *text, char out[static MASK_SIZE]);
