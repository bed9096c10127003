/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One file that needs nothing else: no script, no font, no address to load from. Read on
 * a phone, in the dark, by a screen reader. Everything that was not written here is
 * escaped: names are the crashing programs' to choose.
 */

#include <inttypes.h>
#include <string.h>

#include "core/frames.h"
#include "io/store.h"
#include "policy/units.h"
#include "summary/summary.h"
#include "summary/svg.h"

#define KINDS_MAX 50
#define PROCESSES_MAX 50
#define THREADS_MAX 4
#define LINES_MAX 40 /* of a thread */

static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1a1c1f;--dim:#5a6169;--line:#d5d9de;"
	"--card:#f5f6f8;--warn:#b42318;--good:#2e7d4f;--part:#c77700;"
	"--c0:#2f6fdb;--c1:#c2410c;--c2:#0f8a6d;--c3:#8b3fc4;--c4:#b7860b;--c5:#c02670;--c6:#8a929b}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#15171a;--fg:#e7e9ec;--dim:#a3abb5;"
	"--line:#363b42;--card:#1f2328;--warn:#ff8a80;--good:#56c48a;--part:#f0a94a;"
	"--c0:#7aa7ff;--c1:#ff9166;--c2:#4fd1b0;--c3:#c79bff;--c4:#e6c04d;--c5:#ff85bd;--c6:#858d97}}\n"
	"*{box-sizing:border-box}body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--bg);"
	"color:var(--fg);font:16px/1.5 system-ui,sans-serif}h1{font-size:1.5rem;margin:.2rem 0}"
	"h2{font-size:1.15rem;margin:2rem 0 .6rem}p{margin:.4rem 0}.dim{color:var(--dim)}"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(max(8.6rem,22%),1fr));gap:.6rem;"
	"margin:1rem 0;padding:0;list-style:none}.tiles li{background:var(--card);border-radius:.5rem;"
	"padding:.6rem .8rem}.tiles b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}"
	".tiles span{color:var(--dim);font-size:.85rem}.warn{color:var(--warn)}"
	"svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font:11px system-ui,sans-serif}"
	"svg .row{fill:var(--fg)}.grid{stroke:var(--line)}figure{margin:1rem 0}"
	"figcaption{font-weight:600}.scroll{overflow-x:auto}"
	"table{border-collapse:collapse;width:100%;font-size:.9rem}"
	"th,td{text-align:left;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line);"
	"vertical-align:top}th{color:var(--dim);font-weight:600}"
	".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
	"code,pre{font:.82rem/1.45 ui-monospace,monospace;overflow-wrap:anywhere}"
	"pre{background:var(--card);border-radius:.4rem;padding:.6rem;overflow-x:auto;"
	"white-space:pre-wrap;margin:.4rem 0}summary{cursor:pointer}"
	".tag{border:1px solid;border-radius:1rem;padding:0 .5rem;font-size:.75rem;white-space:nowrap}"
	".key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.4rem 0;list-style:none;"
	"font-size:.85rem}.key i{display:inline-block;width:.7rem;height:.7rem;line-height:.7rem;border-radius:.15rem;"
	"margin-right:.35rem}.good{fill:var(--good)}.part{fill:var(--part)}.loop{fill:var(--warn)}"
	".c0{fill:var(--c0);background:var(--c0)}.c1{fill:var(--c1);background:var(--c1)}"
	".c2{fill:var(--c2);background:var(--c2)}.c3{fill:var(--c3);background:var(--c3)}"
	".c4{fill:var(--c4);background:var(--c4)}.c5{fill:var(--c5);background:var(--c5)}"
	".c6{fill:var(--c6);background:var(--c6)}.of td{border-bottom:0;padding-bottom:0}"
	".t{white-space:nowrap}.p{overflow-wrap:anywhere;min-width:8rem}"
	"@media (max-width:40rem){svg text{font-size:19px}body{padding:.7rem}"
	/* A row of numbers has no room beside its name here: it goes below, each with its label. */
	"table,tbody{display:block}thead{position:absolute;clip-path:inset(50%)}"
	"tr{display:flex;flex-wrap:wrap;padding:.4rem 0;border-bottom:1px solid var(--line)}"
	"td,th{border:0;padding:0 .7rem 0 0;text-align:left}.of{border:0;padding-bottom:0}"
	".p{order:-1;width:100%}"
	"td[data-l]::before{content:attr(data-l) \" \";color:var(--dim)}}";

/* ---- head ---- */

static void print_period(const struct summary *summary, FILE *out)
{
	char from[SUMMARY_TIME_SIZE], to[SUMMARY_TIME_SIZE];

	summary_format_window(summary, from, to);
	(void)fprintf(out, "<p class=\"dim\">From %s to %s</p>\n", from, to);
}

/* Decimals of what is measured; what is counted has none. */
static void tile(FILE *out, const char *what, int decimals, const char *unit, double value)
{
	(void)fputs("<li><b>", out);
	if (value < 0)
		(void)fputs("&#8211;", out); /* of nothing */
	else
		(void)fprintf(out, "%.*f%s", decimals, value, unit);
	(void)fprintf(out, "</b><span>%s</span></li>\n", what);
}

static size_t count_news(const struct summary *summary, bool new)
{
	size_t n = 0;

	for (size_t i = 0; i < summary->kinds; i++) {
		enum known_news news = summary->kind[i].news;

		n += new ? news == KNOWN_NEW : news == KNOWN_BACK || news == KNOWN_BUILD;
	}
	return n;
}

static void print_tiles(const struct summary *summary, FILE *out)
{
	const struct summary_tally *w = &summary->window_tally;
	int64_t covered_ns = summary_covered_ns(summary);

	(void)fputs("<ul class=\"tiles\">\n", out);
	tile(out, "new signatures", 0, "", (double)count_news(summary, true));
	tile(out, "regressions", 0, "", (double)count_news(summary, false));
	tile(out, "crashes", 0, "", (double)w->crashes);
	tile(out, "of them folded", 0, "", (double)w->folded);
	tile(out, "per 1000 hours", 1, "",
	     covered_ns > 0 ? rate_per_1000_hours(w->crashes, covered_ns).value : -1);
	tile(out, "operational hours", 0, "", (double)w->operational);
	tile(out, "crash-free, rolling", 1, " %", summary_percent(w->crashfree, w->operational));
	tile(out, "crash-free, slots", 1, " %",
	     summary_percent(w->crashfree_slots, w->operational));
	(void)fputs("</ul>\n", out);
	if (w->unseen)
		(void)fprintf(out,
			      "<p class=\"warn\">At least %" PRIu64
			      " more crashes never reached corefold (kernel log).</p>\n",
			      w->unseen);
	if (summary->suid_dumpable == 0)
		(void)fputs("<p class=\"warn\">Programs that change their user are not seen at "
			    "all: fs.suid_dumpable is 0.</p>\n",
			    out);
}

/* ---- signatures ---- */

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

static void print_place(const json_t *frame, FILE *out)
{
	const char *symbol = text_of(frame, "symbol"), *module = text_of(frame, "module");
	const json_t *offset = json_object_get(frame, "offset");

	svg_escape(out, *symbol ? symbol : text_of(frame, "pc"));
	if (*module) {
		(void)fputs("  ", out);
		svg_escape(out, module);
	}
	if (json_is_string(offset)) {
		(void)fputc('+', out);
		svg_escape(out, json_string_value(offset));
	} else if (json_is_integer(offset)) {
		(void)fprintf(out, "+0x%" PRIx64, (uint64_t)json_integer_value(offset));
	}
}

static void print_line(const struct frames_line *line, FILE *out)
{
	char number[FRAMES_NUMBER], times[FRAMES_TIMES];

	if (!line->frame) {
		(void)fprintf(out, "(%" PRIu64 " frames left out)\n", line->count);
		return;
	}
	(void)fputs(frames_number(line, number), out);
	if (line->again == 0 && frames_is_signal(line->frame))
		(void)fputs("signal handler called", out);
	else if (line->again == 0)
		print_place(line->frame, out);
	(void)fprintf(out, "%s\n", frames_times(line, times));
}

static void print_thread(const json_t *thread, bool crashed, FILE *out)
{
	struct frames frames = { .thread = thread };
	struct frames_line line;
	unsigned int lines = 0;
	uint64_t more = 0;

	(void)fprintf(out, "<pre>thread %" JSON_INTEGER_FORMAT "%s\n",
		      json_integer_value(json_object_get(thread, "tid")),
		      crashed ? " (crashed)" : "");
	while (frames_next(&frames, &line))
		if (lines++ < LINES_MAX)
			print_line(&line, out);
		else
			more += line.count;
	if (more > 0)
		(void)fprintf(out, "(and %" PRIu64 " more frames)\n", more);
	(void)fputs("</pre>\n", out);
}

static void print_threads(const json_t *record, FILE *out)
{
	const json_t *threads = json_object_get(record, "threads");
	size_t n = json_array_size(threads);

	if (n == 0)
		(void)fputs("<p class=\"dim\">No backtrace was recorded.</p>\n", out);
	for (size_t i = 0; i < n && i < THREADS_MAX; i++)
		print_thread(json_array_get(threads, i), i == 0, out);
	if (n > THREADS_MAX)
		(void)fprintf(out, "<p class=\"dim\">and %zu more threads</p>\n", n - THREADS_MAX);
}

static void print_details(const struct summary_kind *kind, int store_fd, FILE *out)
{
	json_t *record = NULL;

	(void)fputs("<details><summary>", out);
	if (kind->signature[0]) {
		(void)fputs("<code>", out);
		svg_escape(out, kind->signature);
		(void)fputs("</code>", out);
	} else {
		(void)fputs("no signature", out);
	}
	(void)fputs("</summary>\n<p>Newest record <code>", out);
	svg_escape(out, kind->last_id);
	(void)fputs("</code>", out);
	if (kind->build_id[0]) {
		(void)fputs(", build <code>", out);
		svg_escape(out, kind->build_id);
		(void)fputs("</code>", out);
	}
	(void)fputs("</p>\n", out);
	if (store_read_record(store_fd, kind->last_id, &record) == 0)
		print_threads(record, out);
	json_decref(record);
	(void)fputs("</details>", out);
}

static void print_news(const struct summary_kind *kind, FILE *out)
{
	char absent[UNITS_SIZE];

	switch (kind->news) {
	case KNOWN_NEW:
		(void)fputs(" <span class=\"tag warn\">new</span>", out);
		break;
	case KNOWN_BACK:
		(void)fprintf(out, " <span class=\"tag warn\">back after %s</span>",
			      units_format_span(kind->absent_s * NS_PER_SEC, absent));
		break;
	case KNOWN_BUILD:
		(void)fputs(" <span class=\"tag warn\">new build</span>", out);
		break;
	case KNOWN_OLD:
		break;
	}
}

static void print_kind(const struct summary_kind *kind, int store_fd, FILE *out)
{
	char last[SUMMARY_TIME_SIZE], signal[SUMMARY_SIGNAL_SIZE];

	(void)fprintf(out, "<tr class=\"of\"><td class=\"n\" data-l=\"crashes\">%" PRIu64 "</td><td class=\"p\">",
		      kind->weight);
	svg_escape(out, kind->process);
	print_news(kind, out);
	(void)fprintf(out, "</td><td>%s</td><td class=\"t\">%s</td></tr>\n<tr><td colspan=\"4\">",
		      summary_format_signal(kind->signal, signal),
		      summary_format_time(kind->last_ns, last));
	print_details(kind, store_fd, out);
	(void)fputs("</td></tr>\n", out);
}

static void print_kinds(const struct summary *summary, int store_fd, FILE *out)
{
	if (summary->kinds == 0) {
		(void)fputs(summary->window_tally.crashes > 0 ?
				    "<p>No record of these crashes is stored any more.</p>\n" :
				    "<p>Nothing crashed.</p>\n",
			    out);
		return;
	}
	(void)fputs("<div class=\"scroll\"><table>\n<thead><tr><th class=\"n\" scope=\"col\">Crashes"
		    "</th><th scope=\"col\">Process</th><th scope=\"col\">Signal</th>"
		    "<th scope=\"col\">Last</th></tr></thead>\n<tbody>\n",
		    out);
	for (size_t i = 0; i < summary->kinds && i < KINDS_MAX; i++)
		print_kind(&summary->kind[i], store_fd, out);
	(void)fputs("</tbody></table></div>\n", out);
	if (summary->kinds > KINDS_MAX)
		(void)fprintf(out, "<p class=\"dim\">and %zu more</p>\n", summary->kinds - KINDS_MAX);
}

/* ---- charts ---- */

static void print_key(const struct summary *summary, FILE *out)
{
	if (summary->window_tally.crashes == 0)
		return;
	(void)fputs("<ul class=\"key\">", out);
	for (size_t i = 0; i < summary->processes && i < SVG_COLOURS; i++) {
		if (summary->process[i].counts.crashes == 0)
			break;
		(void)fprintf(out, "<li><i class=\"c%zu\">&#160;</i>", i);
		svg_escape(out, summary->process[i].process);
		(void)fputs("</li>", out);
	}
	(void)fprintf(out, "<li><i class=\"c%d\">&#160;</i>other</li></ul>\n", SVG_COLOURS);
}

/* Of nothing a sentence says more than an empty chart. */
static void print_stacked(const struct summary *summary, bool folded, const char *each, FILE *out)
{
	const struct summary_tally *w = &summary->window_tally;

	(void)fprintf(out, "<figure><figcaption>%s per %s</figcaption>\n",
		      folded ? "Folded crashes" : "Crashes", each);
	if ((folded ? w->folded : w->crashes) > 0)
		svg_stacked(summary, folded, out);
	else
		(void)fprintf(out, "<p class=\"dim\">No crash was %s.</p>\n",
			      folded ? "folded" : "counted");
	(void)fputs("</figure>\n", out);
}

static void print_charts(const struct summary *summary, FILE *out)
{
	const struct summary_bins *bins = &summary->bins;
	char each[40] = "day";

	if (bins->n == 0)
		return;
	if (bins->width_s > 86400)
		(void)snprintf(each, sizeof(each), "%lld days", (long long)(bins->width_s / 86400));
	(void)fputs("<h2>Over time</h2>\n", out);
	print_key(summary, out);
	print_stacked(summary, false, each, out);
	print_stacked(summary, true, each, out);
	(void)fprintf(out, "<figure><figcaption>Crash-free hours (slots) per %s</figcaption>\n",
		      each);
	svg_ratio(summary, out);
	(void)fputs("</figure>\n<figure><figcaption>Crash loops</figcaption>\n", out);
	if (summary->window_tally.folded > 0)
		svg_loops(summary, out);
	else
		(void)fputs("<p class=\"dim\">No process was in a crash loop.</p>\n", out);
	(void)fputs("</figure>\n", out);
}

/* ---- hours and processes ---- */

static void print_process_row(const char *name, uint64_t crashes, uint64_t folded,
			      int64_t covered_ns, FILE *out)
{
	struct rate rate = rate_per_1000_hours(crashes, covered_ns);
	char between[UNITS_SIZE] = "-";

	if (crashes > 0 && covered_ns > 0)
		(void)units_format_span(covered_ns / (int64_t)crashes, between);
	(void)fputs("<tr><td class=\"p\">", out);
	svg_escape(out, name);
	(void)fprintf(out,
		      "</td><td class=\"n\" data-l=\"crashes\">%" PRIu64
		      "</td><td class=\"n\" data-l=\"folded\">%" PRIu64 "</td>",
		      crashes, folded);
	if (covered_ns > 0)
		(void)fprintf(out,
			      "<td class=\"n\" data-l=\"per 1000 h\">%.1f</td>"
			      "<td class=\"n\" data-l=\"95 %%\">%.1f&#8211;%.1f</td>",
			      rate.value, rate.low, rate.high);
	else
		(void)fputs("<td class=\"n\">&#8211;</td><td class=\"n\">&#8211;</td>", out);
	(void)fprintf(out, "<td class=\"n\" data-l=\"mean between\">%s</td></tr>\n", between);
}

static void print_processes(const struct summary *summary, FILE *out)
{
	int64_t covered_ns = summary_covered_ns(summary);

	(void)fputs("<h2>Processes</h2>\n<div class=\"scroll\"><table>\n<thead><tr>"
		    "<th scope=\"col\">Process</th><th class=\"n\" scope=\"col\">Crashes</th>"
		    "<th class=\"n\" scope=\"col\">Folded</th>"
		    "<th class=\"n\" scope=\"col\">Per 1000 h</th>"
		    "<th class=\"n\" scope=\"col\">95 %</th>"
		    "<th class=\"n\" scope=\"col\">Mean between</th></tr></thead>\n<tbody>\n",
		    out);
	for (size_t i = 0; i < summary->processes && i < PROCESSES_MAX; i++) {
		const struct summary_process *p = &summary->process[i];

		if (p->counts.crashes > 0)
			print_process_row(p->process, p->counts.crashes, p->counts.folded,
					  covered_ns, out);
	}
	print_process_row("all", summary->window_tally.crashes, summary->window_tally.folded,
			  covered_ns, out);
	(void)fputs("</tbody></table></div>\n", out);
}

static void hours_row(const char *name, uint64_t hours, uint64_t of, const char *definition,
		      FILE *out)
{
	(void)fprintf(out, "<tr><th scope=\"row\">%s</th><td class=\"n\">%" PRIu64 "</td>", name,
		      hours);
	if (of > 0)
		(void)fprintf(out, "<td class=\"n\">%.1f %%</td>", summary_percent(hours, of));
	else
		(void)fputs("<td></td>", out);
	(void)fprintf(out, "<td>%s</td></tr>\n", definition);
}

static void print_hours(const struct summary *summary, FILE *out)
{
	const struct summary_tally *w = &summary->window_tally;
	char uncovered[UNITS_SIZE];

	(void)fputs("<h2>Hours</h2>\n<div class=\"scroll\"><table><tbody>\n", out);
	hours_row("operational", w->operational, w->operational,
		  "the machine ran and crashes came to corefold", out);
	hours_row("crash-free, rolling", w->crashfree, w->operational,
		  "unbroken hours since the start or the last crash; flatters regular crashes", out);
	hours_row("crash-free, slots", w->crashfree_slots, w->operational,
		  "fixed hours without a crash", out);
	(void)fputs("</tbody></table></div>\n", out);
	if (w->uncovered_s > 0)
		(void)fprintf(out,
			      "<p>%s uncovered: core_pattern was not corefold's; in no count "
			      "above.</p>\n",
			      units_format_span(w->uncovered_s * NS_PER_SEC, uncovered));
	if (summary->stops_known && w->unclean > 0)
		(void)fprintf(out, "<p>%" PRIu64 " unclean shutdown%s.</p>\n", w->unclean,
			      summary_plural(w->unclean));
}

static void print_skipped(const struct summary *summary, FILE *out)
{
	if (summary->unreadable)
		(void)fprintf(out, "<p>%" PRIu64 " record%s could not be read.</p>\n",
			      summary->unreadable, summary_plural(summary->unreadable));
	if (summary->skipped_lines == 0)
		return;
	(void)fputs("<h2>Left out of the history</h2>\n<ul>\n", out);
	for (size_t i = 0; i < summary->skipped_lines && i < SUMMARY_SKIPPED_MAX; i++)
		(void)fprintf(out, "<li>counters, line %u: %s</li>\n", summary->skipped[i].line,
			      summary->skipped[i].why);
	(void)fputs("</ul>\n", out);
	if (summary->skipped_lines > SUMMARY_SKIPPED_MAX)
		(void)fprintf(out, "<p>and %" PRIu64 " more line%s</p>\n",
			      summary->skipped_lines - SUMMARY_SKIPPED_MAX,
			      summary_plural(summary->skipped_lines - SUMMARY_SKIPPED_MAX));
}

void summary_html(const struct summary *summary, int store_fd, FILE *out)
{
	(void)fprintf(out,
		      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		      "style-src 'unsafe-inline'\">\n"
		      "<title>Crashes</title>\n<style>\n%s\n</style>\n</head>\n<body>\n<main>\n"
		      "<h1>Crashes</h1>\n",
		      style);
	print_period(summary, out);
	print_tiles(summary, out);
	(void)fputs("<h2>What crashed</h2>\n", out);
	print_kinds(summary, store_fd, out);
	print_charts(summary, out);
	print_processes(summary, out);
	print_hours(summary, out);
	print_skipped(summary, out);
	(void)fputs("</main>\n<footer class=\"dim\"><p>corefold " COREFOLD_VERSION
		    "</p></footer>\n</body>\n</html>\n",
		    out);
}
