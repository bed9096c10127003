/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Charts of the HTML summary: SVG inside the page, coloured by its style sheet. Each has a
 * title and a description that says in words what it shows.
 */

#include "summary/summary.h"

/* Processes with a colour of their own; the rest is grey. */
#define SVG_COLOURS 6

/* Text as HTML: & < > " ' escaped. */
void svg_escape(FILE *out, const char *text);

/* Crashes per bin, or folded ones, stacked by process. */
void svg_stacked(const struct summary *summary, bool folded, FILE *out);

/* Share of crash-free slots per bin. */
void svg_ratio(const struct summary *summary, FILE *out);

/* When which process folded crashes, that is, was in a loop. */
void svg_loops(const struct summary *summary, FILE *out);
