/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The longest chain in a list: as many items as can be picked, in their order, so that each
 * fits the one picked before it.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * May `to` come next after `from`? Items are given by their place in the list. It must hold
 * over two steps when it holds for each: from a to b and b to c, so from a to c.
 */
typedef bool chain_fits(const void *userdata, size_t from, size_t to);

/*
 * Sets ret_picked[i] for each of the n items. Of chains as long it is the one whose end
 * comes first. May be shorter than the longest where the list falls into many stretches
 * that do not fit each other (see chain.c). -ENOMEM.
 */
int chain_find(size_t n, chain_fits *fits, const void *userdata, bool *ret_picked);
