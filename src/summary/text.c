/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <time.h>

#include "policy/units.h"
#include "summary/summary.h"

#define TOP 10

static const char *format_time(int64_t ns, char out[static UNITS_SIZE])
{
	time_t seconds = ns / NS_PER_SEC;
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || strftime(out, UNITS_SIZE, "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(out, UNITS_SIZE, "@%lld", (long long)seconds);
	return out;
}

static void print_kind(const struct summary_kind *kind, FILE *out)
{
	char last[UNITS_SIZE];

	(void)fprintf(out, "  %7" PRIu64 "  %-24.24s sig %-2d  uid %-6u last %s  %s\n",
		      kind->weight, kind->process, kind->signal, kind->uid,
		      format_time(kind->last_ns, last), kind->signature);
}

static void print_kinds(const struct summary *summary, bool new, FILE *out)
{
	size_t shown = 0, hidden = 0;

	for (size_t i = 0; i < summary->kinds; i++) {
		const struct summary_kind *kind = &summary->kind[i];

		if (kind->records == 0 || (new && !summary_is_new(summary, kind)))
			continue;
		if (shown == TOP) {
			hidden++;
			continue;
		}
		if (shown++ == 0)
			(void)fprintf(out, "%s\n", new ? "New since then:" : "Most crashes:");
		print_kind(kind, out);
	}
	if (hidden > 0)
		(void)fprintf(out, "  and %zu more\n", hidden);
	if (shown > 0)
		(void)fputc('\n', out);
}

static void print_ledger(const struct totals *t, FILE *out)
{
	(void)fprintf(out,
		      "Crashes: %" PRIu64 " = %" PRIu64 " kept (in %" PRIu64
		      " records) + %" PRIu64 " pending + %" PRIu64 " in flight + %" PRIu64
		      " evicted\n",
		      t->crashes, t->kept_weight, t->kept, t->pending, t->in_flight, t->evicted);
	if (t->unseen)
		(void)fprintf(out, "At least %" PRIu64 " more were never delivered to corefold.\n",
			      t->unseen);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 100.0;
}

static void print_hours(const struct summary *summary, FILE *out)
{
	const struct hours *h = &summary->hours;
	int64_t covered_ns = clock_covered_ns(&summary->clock);
	uint64_t crashes = summary->totals.crashes;
	char uncovered[UNITS_SIZE], between[UNITS_SIZE];

	(void)fprintf(out, "Hours: %" PRIu64 " operational\n", h->operational);
	(void)fprintf(out,
		      "  %7" PRIu64 " crash-free (rolling: an unbroken hour since start or the "
		      "last crash), %.1f %%\n",
		      h->crashfree, percent(h->crashfree, h->operational));
	(void)fprintf(out,
		      "  %7" PRIu64 " crash-free (slots: fixed hours without a crash), %.1f %%\n",
		      h->crashfree_slots, percent(h->crashfree_slots, h->operational));
	if (summary->clock.uncovered_ns > 0)
		(void)fprintf(out, "  %s uncovered: crashes did not come to corefold\n",
			      units_format_span(summary->clock.uncovered_ns, uncovered));
	if (crashes > 0 && covered_ns > 0)
		(void)fprintf(out,
			      "  %.1f crashes per 1000 hours, mean time between crashes %s\n",
			      (double)crashes * 1000.0 * 3600.0 * NS_PER_SEC / (double)covered_ns,
			      units_format_span(covered_ns / (int64_t)crashes, between));
}

void summary_text(const struct summary *summary, FILE *out)
{
	if (summary->window.since_ns != INT64_MIN)
		print_kinds(summary, true, out);
	print_kinds(summary, false, out);
	print_ledger(&summary->totals, out);
	print_hours(summary, out);
	if (summary->unreadable)
		(void)fprintf(out, "%" PRIu64 " records could not be read and are left out.\n",
			      summary->unreadable);
}
