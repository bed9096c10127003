/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "summary/svg.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define WIDTH 720
#define HEIGHT 190
#define LEFT 72
#define RIGHT 8
#define TOP 20
#define BOTTOM 24
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)
#define LOOP_ROWS 10
#define LOOP_ROW 30
/* Of a name beside a chart; the description and the tables have it whole. */
#define NAME_CHARACTERS 36

void svg_escape(FILE *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '&':
			(void)fputs("&amp;", out);
			break;
		case '<':
			(void)fputs("&lt;", out);
			break;
		case '>':
			(void)fputs("&gt;", out);
			break;
		case '"':
			(void)fputs("&quot;", out);
			break;
		case '\'':
			(void)fputs("&#39;", out);
			break;
		default:
			(void)fputc(*p, out);
		}
	}
}

/* The beginning of a name, cut between characters. */
static void escape_short(FILE *out, const char *text)
{
	char part[NAME_SIZE];
	size_t bytes = 0;

	for (int characters = 0; text[bytes] && bytes < sizeof(part) - 1; bytes++)
		if ((text[bytes] & 0xc0) != 0x80 && ++characters > NAME_CHARACTERS)
			break;
	memcpy(part, text, bytes);
	part[bytes] = '\0';
	svg_escape(out, part);
	if (text[bytes])
		(void)fputs("&#8230;", out);
}

/* ---- frame and axes ---- */

static const char *format_day(int64_t seconds, char out[static 16])
{
	time_t t = seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, 16, "%Y-%m-%d", &tm) == 0)
		(void)snprintf(out, 16, "?");
	return out;
}

/* The description is open afterwards. */
static void begin(FILE *out, int height, const char *title)
{
	(void)fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\"><title>%s</title><desc>", WIDTH,
		      height, title);
}

static void x_axis(const struct summary_bins *bins, int height, FILE *out)
{
	char day[16];
	int64_t last_s = bins->start_s + (int64_t)(bins->n - 1) * bins->width_s;

	(void)fprintf(out, "<text class=\"ax\" x=\"%d\" y=\"%d\">%s</text>", LEFT, height - 6,
		      format_day(bins->start_s, day));
	if (bins->n > 1)
		(void)fprintf(out,
			      "<text class=\"ax\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>",
			      WIDTH - RIGHT, height - 6, format_day(last_s, day));
}

static void y_line(double y, const char *text, FILE *out)
{
	(void)fprintf(out,
		      "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
		      "<text class=\"ax\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
		      LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, text);
}

static double x_of(const struct summary_bins *bins, double bin)
{
	return LEFT + PLOT_WIDTH * bin / (double)bins->n;
}

/* The next 1, 2 or 5 times a power of ten. */
static uint64_t nice(uint64_t value)
{
	for (uint64_t step = 1;; step *= 10) {
		if (value <= step || step > UINT64_MAX / 100)
			return step;
		if (value <= 2 * step)
			return 2 * step;
		if (value <= 5 * step)
			return 5 * step;
	}
}

/* 5, 200, 10k, 2M: a nice number ends in zeros. */
static const char *format_top(uint64_t top, char out[static 24])
{
	static const char *const scales[] = { "", "k", "M", "G", "T", "P", "E" };
	size_t scale = 0;

	for (; top >= 1000 && top % 1000 == 0; scale++)
		top /= 1000;
	(void)snprintf(out, 24, "%" PRIu64 "%s", top, scales[scale]);
	return out;
}

/* ---- stacked by process ---- */

static uint64_t value_at(const struct summary *summary, size_t process, bool folded, size_t bin)
{
	const struct summary_series *series = summary->process[process].series;
	uint64_t sum = 0;

	if (!series)
		return 0;
	if (!folded)
		return series->crashes[bin];
	for (size_t i = 0; i < SUMMARY_FINE; i++)
		sum += series->folded[bin * SUMMARY_FINE + i];
	return sum;
}

/* Layer SVG_COLOURS is all that have no colour; not all of them have a name. */
static uint64_t layer_at(const struct summary *summary, size_t layer, bool folded, size_t bin)
{
	uint64_t sum = 0, named = 0;

	if (layer < SVG_COLOURS)
		return layer < summary->processes ? value_at(summary, layer, folded, bin) : 0;
	for (size_t i = 0; i < summary->processes; i++) {
		uint64_t value = value_at(summary, i, folded, bin);

		named += value;
		sum += i >= SVG_COLOURS ? value : 0;
	}
	if (!folded && summary->bins.crashes[bin] > named)
		sum += summary->bins.crashes[bin] - named;
	return sum;
}

struct stack {
	uint64_t layer[SUMMARY_BINS][SVG_COLOURS + 1];
	uint64_t total[SUMMARY_BINS];
	uint64_t sum;
	size_t busiest;
};

static void fill(const struct summary *summary, bool folded, struct stack *stack)
{
	*stack = (struct stack){ 0 };
	for (size_t bin = 0; bin < summary->bins.n; bin++) {
		for (size_t layer = 0; layer <= SVG_COLOURS; layer++) {
			uint64_t value = layer_at(summary, layer, folded, bin);

			stack->layer[bin][layer] = value;
			stack->total[bin] += value;
		}
		stack->sum += stack->total[bin];
		if (stack->total[bin] > stack->total[stack->busiest])
			stack->busiest = bin;
	}
}

static void draw_bar(const struct summary_bins *bins, const struct stack *stack, size_t bin,
		     uint64_t top, FILE *out)
{
	double width = PLOT_WIDTH / (double)bins->n, y = TOP + PLOT_HEIGHT;

	for (size_t layer = 0; layer <= SVG_COLOURS; layer++) {
		double height = PLOT_HEIGHT * (double)stack->layer[bin][layer] / (double)top;

		if (stack->layer[bin][layer] == 0)
			continue;
		if (height < 0.5)
			height = 0.5; /* little is not nothing */
		y -= height;
		(void)fprintf(out,
			      "<rect class=\"c%zu\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
			      "height=\"%.2f\"/>",
			      layer, x_of(bins, (double)bin) + width * 0.06, y, width * 0.88,
			      height);
	}
}

void svg_stacked(const struct summary *summary, bool folded, FILE *out)
{
	const struct summary_bins *bins = &summary->bins;
	struct stack stack;
	char text[24], day[16];
	uint64_t top;

	fill(summary, folded, &stack);
	top = nice(stack.total[stack.busiest]);
	begin(out, HEIGHT,
	      folded ? "Folded crashes per day by process" : "Crashes per day by process");
	(void)fprintf(out, "%" PRIu64 " %scrashes", stack.sum, folded ? "folded " : "");
	if (stack.sum > 0)
		(void)fprintf(out, "; most, %" PRIu64 ", from %s on", stack.total[stack.busiest],
			      format_day(bins->start_s + (int64_t)stack.busiest * bins->width_s,
					 day));
	(void)fputs(".</desc>", out);
	y_line(TOP, format_top(top, text), out);
	y_line(TOP + PLOT_HEIGHT, "0", out);
	for (size_t bin = 0; bin < bins->n; bin++)
		draw_bar(bins, &stack, bin, top, out);
	x_axis(bins, HEIGHT, out);
	(void)fputs("</svg>\n", out);
}

/* ---- the ratio ---- */

static void describe_ratio(const struct summary *summary, FILE *out)
{
	const struct summary_tally *w = &summary->window_tally;

	(void)fprintf(out, "%" PRIu64 " of %" PRIu64 " hours were free of crashes (slots).</desc>",
		      w->crashfree_slots, w->operational);
}

void svg_ratio(const struct summary *summary, FILE *out)
{
	const struct summary_bins *bins = &summary->bins;
	double width = PLOT_WIDTH / (double)bins->n;

	begin(out, HEIGHT, "Share of crash-free hours per day");
	describe_ratio(summary, out);
	y_line(TOP, "100%", out);
	y_line(TOP + PLOT_HEIGHT / 2.0, "50%", out);
	y_line(TOP + PLOT_HEIGHT, "0%", out);
	for (size_t bin = 0; bin < bins->n; bin++) {
		double share, height;

		if (bins->operational[bin] == 0)
			continue; /* off or uncovered: neither good nor bad */
		share = (double)bins->crashfree_slots[bin] / (double)bins->operational[bin];
		height = PLOT_HEIGHT * (share > 1 ? 1 : share);
		(void)fprintf(out,
			      "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
			      "height=\"%.2f\"/>",
			      share >= 0.9 ? "good" : "part", x_of(bins, (double)bin) + width * 0.06,
			      TOP + PLOT_HEIGHT - height, width * 0.88, height > 1 ? height : 1);
	}
	x_axis(bins, HEIGHT, out);
	(void)fputs("</svg>\n", out);
}

/* ---- loops ---- */

static bool looped(const struct summary_process *p, size_t cells)
{
	for (size_t i = 0; p->series && i < cells; i++)
		if (p->series->folded[i] > 0)
			return true;
	return false;
}

/* Neighbouring cells are one bar. */
static void draw_loops(const struct summary_bins *bins, const struct summary_process *p, int row,
		       FILE *out)
{
	size_t cells = bins->n * SUMMARY_FINE;

	(void)fprintf(out, "<text class=\"row\" x=\"%d\" y=\"%d\">", LEFT,
		      TOP + row * LOOP_ROW + 11);
	escape_short(out, p->process);
	(void)fputs("</text>", out);
	for (size_t i = 0; i < cells; i++) {
		size_t from = i;
		double x, width;

		while (i < cells && p->series->folded[i] > 0)
			i++;
		if (i == from)
			continue;
		x = x_of(bins, (double)from / SUMMARY_FINE);
		width = x_of(bins, (double)i / SUMMARY_FINE) - x;
		(void)fprintf(out,
			      "<rect class=\"loop\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" "
			      "height=\"8\"/>",
			      x, TOP + row * LOOP_ROW + 16, width > 2 ? width : 2);
	}
}

void svg_loops(const struct summary *summary, FILE *out)
{
	const struct summary_bins *bins = &summary->bins;
	size_t cells = bins->n * SUMMARY_FINE;
	int rows = 0, drawn = 0, height;

	for (size_t i = 0; i < summary->processes; i++)
		rows += looped(&summary->process[i], cells);
	height = TOP + (rows < LOOP_ROWS ? rows : LOOP_ROWS) * LOOP_ROW + BOTTOM;
	begin(out, height, "When processes were in a crash loop");
	(void)fprintf(out, "%d %s crashed so often that crashes were folded:", rows,
		      rows == 1 ? "process" : "processes");
	for (size_t i = 0, told = 0; i < summary->processes && told < LOOP_ROWS; i++) {
		if (!looped(&summary->process[i], cells))
			continue;
		(void)fputs(told++ ? ", " : " ", out);
		svg_escape(out, summary->process[i].process);
	}
	(void)fputs(rows > LOOP_ROWS ? " and more.</desc>" : ".</desc>", out);
	for (size_t i = 0; i < summary->processes && drawn < LOOP_ROWS; i++)
		if (looped(&summary->process[i], cells))
			draw_loops(bins, &summary->process[i], drawn++, out);
	x_axis(bins, height, out);
	(void)fputs("</svg>\n", out);
}
