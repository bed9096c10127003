/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/table.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "policy/units.h"

#define GAP 2 /* between columns */
#define ELASTIC_MIN 8 /* places an elastic column keeps */
#define WIDTH_UNKNOWN 80

/* ---- what the stream can show ---- */

/* No setlocale(): a static program would load what it finds, and needs one word of it. */
static bool locale_is_utf8(void)
{
	static const char *const variables[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		const char *value = getenv(variables[i]);

		if (value && *value)
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

static unsigned int terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t number;

	if (columns && units_parse_number(columns, 10000, &number) == 0 && number > 0)
		return (unsigned int)number;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col :
								      WIDTH_UNKNOWN;
}

struct screen screen_of(FILE *stream)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	struct screen screen = { .terminal = isatty(fileno(stream)) == 1 };

	if (!screen.terminal)
		return screen;
	screen.color = !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
	screen.unicode = locale_is_utf8();
	screen.width = terminal_width(fileno(stream));
	return screen;
}

const char *screen_begin(const struct screen *screen, enum table_style style)
{
	if (!screen->color)
		return "";
	switch (style) {
	case TABLE_PLAIN:
		return "";
	case TABLE_HEAD:
		return "\033[4m";
	case TABLE_GREY:
		return "\033[90m";
	case TABLE_ALARM:
		return "\033[31m";
	}
	return "";
}

const char *screen_end(const struct screen *screen, enum table_style style)
{
	return screen->color && style != TABLE_PLAIN ? "\033[0m" : "";
}

/* ---- widths ---- */

/* The next character of valid UTF-8, and how many bytes it has. */
static uint32_t next_character(const char *text, size_t *ret_bytes)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = *p < 0xc0 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? *p : *p & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			n = i;
			break;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*ret_bytes = n;
	return c;
}

/* Blocks of characters that terminals draw two places wide, and of marks that take none. */
static unsigned int width_of_character(uint32_t c)
{
	static const uint32_t wide[][2] = {
		{ 0x1100, 0x115f }, { 0x2e80, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
		{ 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff },
		{ 0x20000, 0x3fffd },
	};

	if ((c >= 0x300 && c <= 0x36f) || (c >= 0xfe00 && c <= 0xfe0f))
		return 0;
	for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++)
		if (c >= wide[i][0] && c <= wide[i][1])
			return 2;
	return 1;
}

unsigned int screen_width_of(const char *text)
{
	unsigned int width = 0;
	size_t n;

	for (; *text; text += n)
		width += width_of_character(next_character(text, &n));
	return width;
}

void screen_cut(const struct screen *screen, const char *text, unsigned int width, char *out,
		size_t out_size)
{
	const char *dots = screen->unicode ? "\xe2\x80\xa6" : "...";
	unsigned int room = screen_width_of(dots), used = 0;
	size_t at = 0, n;

	if (screen_width_of(text) <= width) {
		(void)snprintf(out, out_size, "%s", text);
		return;
	}
	for (room = width > room ? width - room : 0; text[at]; at += n) {
		used += width_of_character(next_character(text + at, &n));
		if (used > room)
			break;
	}
	(void)snprintf(out, out_size, "%.*s%s", (int)at, text, dots);
}

/* How many bytes of the word fit in so many places; one character at least. */
static size_t fitting(const char *word, size_t bytes, unsigned int room, unsigned int *ret_width)
{
	unsigned int width = 0;
	size_t at = 0, n;

	for (; at < bytes; at += n) {
		unsigned int w = width_of_character(next_character(word + at, &n));

		if (at > 0 && width + w > room)
			break;
		width += w;
	}
	*ret_width = width;
	return at;
}

void screen_wrap(const char *text, unsigned int used, unsigned int indent, unsigned int width,
		 FILE *out)
{
	unsigned int least = indent + 8, limit = !width ? UINT_MAX : width > least ? width : least;
	bool fresh = true; /* no word on this line yet */

	while (*(text += strspn(text, " "))) {
		size_t bytes = strcspn(text, " "), taken;
		unsigned int whole, places;

		(void)fitting(text, bytes, UINT_MAX, &whole);
		if (used + !fresh + whole > limit && !(fresh && used <= indent)) {
			(void)fprintf(out, "\n%*s", (int)indent, "");
			used = indent;
			fresh = true;
		}
		taken = fitting(text, bytes, limit - used - !fresh, &places);
		(void)fprintf(out, "%s%.*s", fresh ? "" : " ", (int)taken, text);
		used += !fresh + places;
		fresh = false;
		text += taken;
	}
	(void)fputc('\n', out);
}

/* ---- the table ---- */

struct cell {
	char *text;
	enum table_style style;
};

struct table {
	const struct table_column *column;
	size_t columns;
	struct cell *cell; /* rows of `columns` each */
	size_t rows;
	unsigned int width[TABLE_COLUMNS];
	bool dropped[TABLE_COLUMNS];
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *table = calloc(1, sizeof(*table));

	assert(n <= TABLE_COLUMNS);
	if (table) {
		table->column = columns;
		table->columns = n;
	}
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cell[i].text);
	free(table->cell);
	free(table);
}

int table_add(struct table *table, const char *const *cells)
{
	size_t first = table->rows * table->columns;
	struct cell *grown;

	grown = reallocarray(table->cell, first + table->columns, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->cell = grown;
	for (size_t i = 0; i < table->columns; i++)
		grown[first + i] = (struct cell){ .text = strdup(cells[i]) };
	table->rows++;
	for (size_t i = 0; i < table->columns; i++)
		if (!grown[first + i].text)
			return -ENOMEM;
	return 0;
}

void table_mark(struct table *table, size_t column, enum table_style style)
{
	table->cell[(table->rows - 1) * table->columns + column].style = style;
}

static void natural_widths(struct table *table)
{
	for (size_t c = 0; c < table->columns; c++) {
		unsigned int width = screen_width_of(table->column[c].name);

		if (width < table->column[c].min)
			width = table->column[c].min;
		for (size_t r = 0; r < table->rows; r++) {
			const char *text = table->cell[r * table->columns + c].text;
			unsigned int w = text ? screen_width_of(text) : 0;

			width = w > width ? w : width;
		}
		table->width[c] = width;
	}
}

/* Places that all columns take; elastic ones no more than their least if `least`. */
static unsigned int total_width(const struct table *table, bool least)
{
	unsigned int total = 0, shown = 0;

	for (size_t c = 0; c < table->columns; c++) {
		unsigned int width = table->width[c];

		if (table->dropped[c])
			continue;
		if (least && table->column[c].elastic && width > ELASTIC_MIN)
			width = ELASTIC_MIN;
		total += width;
		shown++;
	}
	return total + (shown ? (shown - 1) * GAP : 0);
}

static bool drop_one(struct table *table)
{
	size_t worst = table->columns;

	for (size_t c = 0; c < table->columns; c++)
		if (!table->dropped[c] && table->column[c].drop > 0 &&
		    (worst == table->columns ||
		     table->column[c].drop > table->column[worst].drop))
			worst = c;
	if (worst == table->columns)
		return false;
	table->dropped[worst] = true;
	return true;
}

/* Of the elastic columns the widest gives first, so that a short name is not cut for a long one. */
static void squeeze(struct table *table, unsigned int width)
{
	for (unsigned int total = total_width(table, false); total > width; total--) {
		size_t widest = table->columns;

		for (size_t c = 0; c < table->columns; c++)
			if (!table->dropped[c] && table->column[c].elastic &&
			    table->width[c] > ELASTIC_MIN &&
			    (widest == table->columns || table->width[c] > table->width[widest]))
				widest = c;
		if (widest == table->columns)
			return;
		table->width[widest]--;
	}
}

static void fit(struct table *table, const struct screen *screen)
{
	natural_widths(table);
	if (screen->width == 0)
		return;
	while (total_width(table, true) > screen->width)
		if (!drop_one(table))
			break;
	squeeze(table, screen->width);
}

static void print_cell(const struct table *table, const struct screen *screen, size_t column,
		       const struct cell *cell, bool last, FILE *out)
{
	unsigned int width = table->width[column], used;
	char text[4096];

	screen_cut(screen, cell->text ? cell->text : "?", screen->width ? width : UINT32_MAX,
		   text, sizeof(text));
	used = screen_width_of(text);
	if (table->column[column].right && used < width)
		(void)fprintf(out, "%*s", (int)(width - used), "");
	(void)fprintf(out, "%s%s%s", screen_begin(screen, cell->style), text,
		      screen_end(screen, cell->style));
	if (!table->column[column].right && used < width && !last)
		(void)fprintf(out, "%*s", (int)(width - used), "");
	(void)fprintf(out, last ? "\n" : "%*s", GAP, "");
}

static void print_row(const struct table *table, const struct screen *screen,
		      const struct cell *cells, FILE *out)
{
	size_t last = table->columns;

	while (last > 1 && table->dropped[last - 1])
		last--;
	for (size_t c = 0; c < last; c++)
		if (!table->dropped[c])
			print_cell(table, screen, c, &cells[c], c + 1 == last, out);
}

void table_print(struct table *table, const struct screen *screen, bool legend, FILE *out)
{
	struct cell head[TABLE_COLUMNS];

	fit(table, screen);
	for (size_t c = 0; c < table->columns; c++)
		head[c] = (struct cell){ (char *)table->column[c].name, TABLE_HEAD };
	if (legend)
		print_row(table, screen, head, out);
	for (size_t r = 0; r < table->rows; r++)
		print_row(table, screen, &table->cell[r * table->columns], out);
}
