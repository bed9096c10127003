/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rows for people, aligned. On a terminal they fit its width: the elastic columns, whose
 * text a crashing program chose, are cut with an ellipsis, then the columns that can be
 * missed go. Into a file or a pipe everything is written as it is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 16

struct table_column {
	const char *name;
	bool right; /* align */
	bool elastic; /* may be cut on a terminal */
	unsigned int min; /* never narrower when not cut */
	unsigned int drop; /* on a narrow terminal the highest goes first; 0: stays */
};

enum table_style {
	TABLE_PLAIN,
	TABLE_HEAD,
	TABLE_GREY,
	TABLE_ALARM,
};

/* What a stream can show. Colours and Unicode on a terminal only; NO_COLOR is honoured. */
struct screen {
	bool terminal;
	bool color;
	bool unicode;
	unsigned int width; /* 0: no limit */
};

struct screen screen_of(FILE *stream);

/* Begin and end of a style; "" without colours. */
const char *screen_begin(const struct screen *screen, enum table_style style);
const char *screen_end(const struct screen *screen, enum table_style style);

/* Places that printable UTF-8 takes on a terminal. */
unsigned int screen_width_of(const char *text);

/* Copies text so that it takes `width` places at most; what is cut shows as an ellipsis. */
void screen_cut(const struct screen *screen, const char *text, unsigned int width, char *out,
		size_t out_size);

/*
 * A paragraph and its newline: lines of `width` places at most (0: one line), broken at
 * blanks, or where a word takes more than a line. Of the first line `used` places are taken,
 * the others begin behind `indent` blanks.
 */
void screen_wrap(const char *text, unsigned int used, unsigned int indent, unsigned int width,
		 FILE *out);

struct table;

/* columns is borrowed, n <= TABLE_COLUMNS. NULL: no memory. */
struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *table);

/* Copies one text for each column. -ENOMEM. */
int table_add(struct table *table, const char *const *cells);
/* The style of a cell of the row added last. */
void table_mark(struct table *table, size_t column, enum table_style style);

void table_print(struct table *table, const struct screen *screen, bool legend, FILE *out);
