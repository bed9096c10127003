/* SPDX-License-Identifier: GPL-2.0-or-later */

/* For mail and terminals: 80 columns, no colour. Names were escaped when they were stored. */

#include <inttypes.h>
#include <string.h>

#include "policy/units.h"
#include "summary/summary.h"

#define TOP 10
#define TOP_PROCESSES 10

/* A text of at most so many characters, cut with a ~. Returns how many it took. */
static int cut(FILE *out, const char *text, int width)
{
	int used = 0, characters = 0;

	for (const char *p = text; *p; p++)
		characters += (*p & 0xc0) != 0x80;
	for (const char *p = text; *p; p++) {
		if ((*p & 0xc0) != 0x80 && ++used == width && characters > width) {
			(void)fputc('~', out);
			return used;
		}
		(void)fputc(*p, out);
	}
	return used;
}

static void cell(FILE *out, const char *text, int width)
{
	int used = cut(out, text, width);

	(void)fprintf(out, "%*s", width - used, "");
}

/* ---- kinds ---- */

static void print_news(const struct summary_kind *kind, FILE *out)
{
	char absent[UNITS_SIZE];

	if (kind->news == KNOWN_BACK)
		(void)fprintf(out, "           back after %s without it\n",
			      units_format_span(kind->absent_s * NS_PER_SEC, absent));
	if (kind->news == KNOWN_BUILD)
		(void)fprintf(out, "           first time with build %.40s\n",
			      kind->build_id[0] ? kind->build_id : "(unknown)");
}

static void print_kind(const struct summary_kind *kind, FILE *out)
{
	char last[SUMMARY_TIME_SIZE], signal[SUMMARY_SIGNAL_SIZE];
	int used = fprintf(out, "  %7" PRIu64 "  ", kind->weight);

	cell(out, kind->process, 30 - used);
	(void)fprintf(out, " %-9s %s ", summary_format_signal(kind->signal, signal),
		      summary_format_time(kind->last_ns, last));
	(void)cut(out, kind->last_id, 22);
	(void)fputc('\n', out);
	if (kind->signature[0]) {
		(void)fputs("           ", out);
		(void)cut(out, kind->signature, 68);
		(void)fputc('\n', out);
	}
	print_news(kind, out);
}

static bool in_section(const struct summary_kind *kind, enum known_news section)
{
	if (section == KNOWN_OLD)
		return true; /* the top is the top, new or not */
	if (section == KNOWN_NEW)
		return kind->news == KNOWN_NEW;
	return kind->news == KNOWN_BACK || kind->news == KNOWN_BUILD;
}

/* The heaviest of the section not yet shown: the order of the array is by news. */
static const struct summary_kind *heaviest(const struct summary *summary,
					   enum known_news section,
					   const struct summary_kind *before)
{
	const struct summary_kind *best = NULL;

	for (size_t i = 0; i < summary->kinds; i++) {
		const struct summary_kind *k = &summary->kind[i];

		if (!in_section(k, section) ||
		    (before && (k->weight > before->weight ||
				(k->weight == before->weight && k <= before))))
			continue;
		if (!best || k->weight > best->weight)
			best = k;
	}
	return best;
}

/* Few enough that all of them stand in the sections above. */
static bool nothing_old(const struct summary *summary)
{
	for (size_t i = 0; i < summary->kinds; i++)
		if (summary->kind[i].news == KNOWN_OLD)
			return false;
	return summary->kinds <= TOP;
}

static void print_section(const struct summary *summary, enum known_news section,
			  const char *title, FILE *out)
{
	const struct summary_kind *kind = NULL;
	size_t all = 0, shown = 0;

	for (size_t i = 0; i < summary->kinds; i++)
		all += in_section(&summary->kind[i], section);
	if (all == 0 || (section == KNOWN_OLD && nothing_old(summary)))
		return;
	(void)fprintf(out, "%s (%zu)\n", title, all);
	(void)fprintf(out, "  %7s  %-19s %-9s %-16s %s\n", "CRASHES", "PROCESS", "SIGNAL",
		      "LAST", "RECORD");
	for (; shown < TOP && (kind = heaviest(summary, section, kind)); shown++)
		print_kind(kind, out);
	if (all > shown)
		(void)fprintf(out, "  and %zu more\n", all - shown);
	(void)fputc('\n', out);
}

/* ---- counts ---- */

static void print_ledger(const struct summary *summary, FILE *out)
{
	const struct totals *t = &summary->totals;
	const struct summary_tally *w = &summary->window_tally;

	(void)fprintf(out,
		      "Crashes: %" PRIu64 ", of them %" PRIu64 " folded;%s%" PRIu64
		      " record%s kept, for %" PRIu64 " crash%s.\n",
		      w->crashes, w->folded, w->crashes > 999999 ? "\n  " : " ", w->kept,
		      w->kept == 1 ? " was" : "s were", w->kept_weight,
		      w->kept_weight == 1 ? "" : "es");
	if (w->kept_weight > w->crashes)
		(void)fputs("Records kept now stand for crashes from before this time, too.\n",
			    out);
	if (t->pending || t->in_flight || t->evicted)
		(void)fprintf(out,
			      "Now %" PRIu64 " wait for a record (pending), %" PRIu64
			      " are in flight, %" PRIu64 " evicted.\n",
			      t->pending, t->in_flight, t->evicted);
	if (w->unseen)
		(void)fprintf(out,
			      "At least %" PRIu64 " more never reached corefold (kernel log).\n",
			      w->unseen);
	if (summary->suid_dumpable == 0)
		(void)fputs("Programs that change their user are not seen at all: "
			    "fs.suid_dumpable is 0.\n",
			    out);
}

/* In so many columns whatever it is. */
static void print_number(double value, int width, FILE *out)
{
	if (value < 1e8)
		(void)fprintf(out, "%*.*f", width, value < 99999 ? 1 : 0, value);
	else
		(void)fprintf(out, "%*.1e", width, value);
}

static void print_rate(uint64_t crashes, int64_t covered_ns, FILE *out)
{
	struct rate rate = rate_per_1000_hours(crashes, covered_ns);
	char between[UNITS_SIZE] = "-";

	if (crashes > 0)
		(void)units_format_span(covered_ns / (int64_t)crashes, between);
	(void)fputc(' ', out);
	print_number(rate.value, 9, out);
	(void)fputc(' ', out);
	print_number(rate.low, 8, out);
	(void)fputs(" -", out);
	print_number(rate.high, 8, out);
	(void)fprintf(out, " %11s", between);
}

static void print_processes(const struct summary *summary, FILE *out)
{
	int64_t covered_ns = summary_covered_ns(summary);
	uint64_t rest = summary->other_crashes;
	size_t shown = 0;

	if (summary->window_tally.crashes == 0 || covered_ns <= 0)
		return;
	(void)fprintf(out, "\n  %-24s %10s %9s %19s %11s\n", "", "CRASHES", "PER 1000H",
		      "95% INTERVAL", "MEAN BETW.");
	for (size_t i = 0; i < summary->processes; i++) {
		const struct summary_process *p = &summary->process[i];

		if (i >= TOP_PROCESSES || p->counts.crashes == 0) {
			rest += p->counts.crashes;
			continue;
		}
		(void)fputs("  ", out);
		cell(out, p->process, 24);
		(void)fprintf(out, " %10" PRIu64, p->counts.crashes);
		print_rate(p->counts.crashes, covered_ns, out);
		(void)fputc('\n', out);
		shown++;
	}
	if (rest > 0)
		(void)fprintf(out, "  %-24s %10" PRIu64 "\n", "other", rest);
	if (shown == 1 && rest == 0)
		return;
	(void)fprintf(out, "  %-24s %10" PRIu64, "all", summary->window_tally.crashes);
	print_rate(summary->window_tally.crashes, covered_ns, out);
	(void)fputc('\n', out);
}

static void print_crashfree(const struct summary_tally *w, double rolling, double slots,
			    FILE *out)
{
	(void)fprintf(out,
		      "%9" PRIu64 " %6.1f %% crash-free, rolling: unbroken hours since start or "
		      "last crash\n",
		      w->crashfree, rolling);
	(void)fprintf(out, "%9" PRIu64 " %6.1f %% crash-free, slots: fixed hours without a crash\n",
		      w->crashfree_slots, slots);
	if (rolling - slots >= 10)
		(void)fputs("          (rolling starts anew at each crash; flatters crashes over "
			    "1 h apart)\n",
			    out);
}

static void print_hours(const struct summary *summary, FILE *out)
{
	const struct summary_tally *w = &summary->window_tally;
	double rolling = summary_percent(w->crashfree, w->operational);
	double slots = summary_percent(w->crashfree_slots, w->operational);
	char uncovered[UNITS_SIZE], interval[UNITS_SIZE];

	if (summary->interval_ns != 3600 * NS_PER_SEC)
		(void)fprintf(out, "\nAn \"hour\" is %s here ([Hours] Interval=).",
			      units_format_span(summary->interval_ns, interval));
	(void)fprintf(out, "\n%9" PRIu64 "          operational hours\n", w->operational);
	if (w->operational > 0)
		print_crashfree(w, rolling, slots, out);
	if (w->uncovered_s > 0)
		(void)fprintf(out, "%9s          uncovered: core_pattern was not ours, not counted\n",
			      units_format_span(w->uncovered_s * NS_PER_SEC, uncovered));
	if (summary->stops_known && w->unclean > 0)
		(void)fprintf(out, "%9" PRIu64 "          unclean shutdowns\n", w->unclean);
	if (!summary->stops_known && w->boots > 1)
		(void)fputs("        ?          unclean shutdowns: nothing runs 'tick --stopping'\n",
			    out);
}

/* ---- around it ---- */

static void print_title(const struct summary *summary, FILE *out)
{
	char from[SUMMARY_TIME_SIZE], to[SUMMARY_TIME_SIZE];

	summary_format_window(summary, from, to);
	(void)fprintf(out, "Crashes from %s to %s\n\n", from, to);
}

static void print_skipped(const struct summary *summary, FILE *out)
{
	if (summary->unreadable)
		(void)fprintf(out, "\n%" PRIu64 " record%s could not be read: left out.\n",
			      summary->unreadable, summary_plural(summary->unreadable));
	if (summary->skipped_lines)
		(void)fputs("\nLeft out of the history:\n", out);
	for (size_t i = 0; i < summary->skipped_lines && i < SUMMARY_SKIPPED_MAX; i++)
		(void)fprintf(out, "  counters:%u: %.60s\n", summary->skipped[i].line,
			      summary->skipped[i].why);
	if (summary->skipped_lines > SUMMARY_SKIPPED_MAX)
		(void)fprintf(out, "  and %" PRIu64 " more line%s\n",
			      summary->skipped_lines - SUMMARY_SKIPPED_MAX,
			      summary_plural(summary->skipped_lines - SUMMARY_SKIPPED_MAX));
}

void summary_text(const struct summary *summary, FILE *out)
{
	print_title(summary, out);
	print_section(summary, KNOWN_NEW,
		      summary->window.since_ns == INT64_MIN ? "New in the last 24 hours" :
							      "New signatures",
		      out);
	print_section(summary, KNOWN_BACK, "Regressions", out);
	print_section(summary, KNOWN_OLD, "Most crashes", out);
	print_ledger(summary, out);
	print_processes(summary, out);
	print_hours(summary, out);
	print_skipped(summary, out);
}
