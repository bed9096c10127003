/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The published vectors of the crash throttler, and novelty on top of it.
 *
 * Traces: a number is a crash at that second without a signature, "0x9" nine of them,
 * "0+60x20" twenty from 0 every 60 s; "@480" moves the clock; a letter is a crash whose
 * signature it is, "Ax9" nine of them. Verdicts: K<weight> kept, N novel, F folded.
 */

#include "policy/throttle.h"
#include "policy/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "throttle_random.h"
#include "unit.h"

static const struct throttle_limits defaults = THROTTLE_LIMITS_DEFAULT;

struct trace {
	struct throttle_limits limits;
	struct throttle_process process;
	struct unit_runs runs;
	struct unit_text loops; /* numbers of the crashes that started one */
	int64_t now_ns;
	uint64_t crashes;
	uint64_t kept_weight;
};

static void crash(struct trace *trace, uint64_t signature)
{
	struct throttle_verdict verdict =
		throttle_crash(&trace->process, &trace->limits, trace->now_ns, signature);
	char word[32];

	(void)snprintf(word, sizeof(word), "K%llu", (unsigned long long)verdict.weight);
	if (verdict.decision == THROTTLE_FOLD) {
		ck_assert_uint_eq(verdict.weight, 0);
		(void)snprintf(word, sizeof(word), "F");
	} else if (verdict.decision == THROTTLE_NOVEL) {
		ck_assert_uint_eq(verdict.weight, 1);
		(void)snprintf(word, sizeof(word), "N");
	}
	unit_run(&trace->runs, word);
	trace->crashes++;
	trace->kept_weight += verdict.weight;
	ck_assert_uint_eq(trace->crashes, trace->kept_weight + trace->process.pending);
	if (verdict.loop_started)
		unit_append(&trace->loops, "%s%llu", trace->loops.n ? " " : "",
			    (unsigned long long)trace->crashes);
}

static int64_t seconds(const char *text)
{
	int64_t ns = 0;

	ck_assert_msg(units_parse_seconds(text, &ns) == 0, "not seconds: %s", text);
	return ns;
}

/* One word of a trace: [@]TIME, LETTER or TIME+STEP, and how often. */
static void play_word(struct trace *trace, char *word)
{
	char *times = strchr(word, 'x'), *step = strchr(word, '+');
	long n = times ? strtol(times + 1, NULL, 10) : 1;
	uint64_t signature = 0;
	int64_t step_ns = 0;

	if (times)
		*times = '\0';
	if (step) {
		*step = '\0';
		step_ns = seconds(step + 1);
	}
	if (word[0] == '@') {
		trace->now_ns = seconds(word + 1);
		return;
	}
	if (word[0] >= 'A' && word[0] <= 'Z')
		signature = (uint64_t)word[0] << 40 | 1;
	else
		trace->now_ns = seconds(word);
	for (; n > 0; n--) {
		crash(trace, signature);
		trace->now_ns += n > 1 ? step_ns : 0;
	}
}

static void play(struct trace *trace, const char *words)
{
	char copy[1024], *save = NULL;

	(void)snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		play_word(trace, word);
}

/* ---- the vectors ---- */

static const struct {
	const char *claim;
	const char *trace;
	const char *verdicts;
	int64_t age_out_ns;
} vectors[] = {
	{ "the first crash is kept", "0", "K1" },
	{ "the ninth at once is folded", "0x9", "K1x8 F" },
	{ "after the age-out the folded one is owed", "0x9 480", "K1x8 F K2" },
	{ "one second before the age-out still folds", "0x9 479 480", "K1x8 Fx2 K3" },
	{ "a crash that ages out with the loop", "0x8 479 480", "K1x8 F K2" },
	{ "the tenth since the last kept is kept", "0x18", "K1x8 Fx9 K10" },
	{ "a loop keeps 1-8, 18, 28, 38 of 40", "0x40",
	  "K1x8 Fx9 K10 Fx9 K10 Fx9 K10 Fx2" },
	{ "an age-out of 200 ms", "0x9 0.25", "K1x8 F K2", 200000000 },
	{ "one a minute is no loop", "0+60x20", "K1x20" },
	{ "one every 59 s is a loop", "0+59x40", "K1x8 Fx9 K10 Fx9 K10 Fx9 K10 Fx2" },
	{ "nine folded and three days of peace", "0x17 259200", "K1x8 Fx9 K10" },
	{ "a nanosecond before the age-out still folds", "0x9 479.999999999", "K1x8 Fx2" },
	{ "before the machine's first second", "-900x9 -421 -420", "K1x8 Fx2 K3" },
};

START_TEST(test_vector)
{
	struct trace trace = { .limits = defaults };

	if (vectors[_i].age_out_ns)
		trace.limits.age_out_ns = vectors[_i].age_out_ns;
	play(&trace, vectors[_i].trace);
	claim_str_eq(vectors[_i].claim, unit_runs_end(&trace.runs), vectors[_i].verdicts);
}
END_TEST

static const struct {
	const char *claim;
	int64_t asked_ns;
	bool over;
} raw[] = {
	{ "throttled when asked at the oldest of nine", 0, true },
	{ "throttled when asked in between", 25, true },
	{ "throttled a nanosecond before the oldest leaves", 480 * SEC - 1, true },
	{ "not throttled at the age-out", 480 * SEC, false },
	{ "not throttled at the end of time", INT64_MAX, false },
};

START_TEST(test_raw_window)
{
	struct trace trace = { .limits = defaults };

	play(&trace, "0 0.00000005x8");
	claim_int_eq(raw[_i].claim,
		     throttle_window_over(&trace.process.window, &defaults, raw[_i].asked_ns),
		     raw[_i].over);
}
END_TEST

/* ---- other limits, old times ---- */

static const struct {
	const char *claim;
	uint32_t limit;
	uint32_t every;
	const char *trace;
	const char *verdicts;
} other[] = {
	{ "limit 1 folds the second", 1, 10, "0x2 480", "K1 F K2" },
	{ "limit 1, one second apart", 1, 3, "0+1x7", "K1 Fx2 K3 Fx2 K3" },
	{ "limit 63 keeps 63", 63, 10, "0x64", "K1x63 F" },
	{ "limit 63 turns the ring over", 63, 10, "0x85", "K1x63 Fx9 K10 Fx9 K10 Fx2" },
	{ "limit 63, the 64th newest has aged out", 63, 10, "0 1x63", "K1x63 F" },
	{ "limit 63, the 64th newest just aged out", 63, 10, "0 480x63", "K1x64" },
	{ "every 1 keeps a whole loop", 8, 1, "0x12", "K1x12" },
	{ "every 2 folds each other one", 8, 2, "0x12", "K1x8 F K2 F K2" },
	{ "an older time counts as the newest", 8, 10, "100x8 0", "K1x8 F" },
	{ "older times age out with the newest", 8, 10, "100x8 0 579 580", "K1x8 Fx2 K3" },
	{ "older times do not end a loop", 8, 10, "100x9 -99999x3", "K1x8 Fx4" },
};

START_TEST(test_other)
{
	struct trace trace = { .limits = defaults };

	trace.limits.limit = other[_i].limit;
	trace.limits.report_every = other[_i].every;
	play(&trace, other[_i].trace);
	claim_str_eq(other[_i].claim, unit_runs_end(&trace.runs), other[_i].verdicts);
}
END_TEST

static const struct {
	const char *claim;
	int64_t at_ns[4];
	const char *verdicts;
} extremes[] = {
	{ "from the first to the last instant", { INT64_MIN, INT64_MIN, INT64_MAX, INT64_MAX },
	  "K1 F K2 F" },
	{ "all at the last instant", { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX }, "K1 Fx3" },
	{ "all at the first instant", { INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN }, "K1 Fx3" },
	{ "backwards from the last", { INT64_MAX, INT64_MIN, 0, INT64_MIN }, "K1 Fx3" },
	{ "half of time is longer than an age-out", { -1, INT64_MAX, INT64_MAX, 0 }, "K1x2 Fx2" },
};

START_TEST(test_extreme)
{
	struct trace trace = { .limits = defaults };

	trace.limits.limit = 1;
	for (size_t i = 0; i < 4; i++) {
		trace.now_ns = extremes[_i].at_ns[i];
		crash(&trace, 0);
	}
	claim_str_eq(extremes[_i].claim, unit_runs_end(&trace.runs), extremes[_i].verdicts);
}
END_TEST

/* More than 3 in 1000 s beside the usual window; every 4th is kept. */
static const struct {
	const char *claim;
	uint32_t limit;
	const char *trace;
	const char *verdicts;
	const char *starts;
} slow[] = {
	{ "off: one every 300 s is no loop", 0, "0+300x8", "K1x8", "" },
	{ "on: the fourth starts it", 3, "0+300x8", "K1x3 Fx3 K4 F", "4" },
	{ "just too slow for it", 3, "0+333.333333334x8", "K1x8", "" },
	{ "just not", 3, "0+333x5", "K1x3 Fx2", "4" },
	{ "it ends when the fourth newest has aged out", 3, "0+300x4 2000", "K1x3 F K2", "4" },
	{ "a fast loop counts in it as well", 3, "0x4 600", "K1x3 Fx2", "4" },
	{ "63 at most", 63, "0x64 999", "K1x8 Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 "
	  "Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 Fx3 K4 F", "9" },
};

START_TEST(test_slow)
{
	struct trace trace = { .limits = defaults };

	trace.limits.report_every = 4;
	trace.limits.slow_limit = slow[_i].limit;
	trace.limits.slow_window_ns = 1000 * SEC;
	play(&trace, slow[_i].trace);
	claim_str_eq(slow[_i].claim, unit_runs_end(&trace.runs), slow[_i].verdicts);
	claim_str_eq(slow[_i].claim, trace.loops.bytes, slow[_i].starts);
}
END_TEST

/* Nothing else moves, so that a throttle switched on again goes on where it was. */
START_TEST(test_disabled)
{
	struct trace trace = { .limits = defaults };
	struct throttle_process before;

	play(&trace, "0x12");
	before = trace.process;
	trace.limits.enabled = false;
	for (int i = 0; i < 20; i++) {
		struct throttle_verdict verdict =
			throttle_crash(&trace.process, &trace.limits, i, 0);

		ck_assert_int_eq(verdict.decision, THROTTLE_KEEP);
		ck_assert_uint_eq(verdict.weight, 1);
		ck_assert(!verdict.loop_started);
	}
	ck_assert_mem_eq(&trace.process, &before, sizeof(before));
	trace.limits.enabled = true;
	play(&trace, "0x6");
	ck_assert_str_eq(unit_runs_end(&trace.runs), "K1x8 Fx9 K10");
}
END_TEST

/* ---- what people are told ---- */

static const struct {
	const char *claim;
	const char *trace;
	int64_t end_ns; /* -1: none */
} ends[] = {
	{ "no end without a crash", "@0", -1 },
	{ "no end before the limit is reached", "0x7", -1 },
	{ "the age-out after the eighth newest", "0+1x8", 480 * SEC },
	{ "each crash moves it", "0+1x9", 481 * SEC },
	{ "all at once", "5x40", 485 * SEC },
	{ "at the end of time it stays there", "9223372036x9", INT64_MAX },
};

START_TEST(test_end)
{
	struct trace trace = { .limits = defaults };
	int64_t end_ns = -1;
	bool there;

	play(&trace, ends[_i].trace);
	there = throttle_window_end(&trace.process.window, &defaults, &end_ns);
	claim_int_eq(ends[_i].claim, there, ends[_i].end_ns != -1);
	claim_int_eq(ends[_i].claim, end_ns, ends[_i].end_ns);
}
END_TEST

static const struct {
	const char *claim;
	const char *trace;
	const char *starts; /* numbers of crashes */
} loops[] = {
	{ "eight crashes are no loop", "0x8", "" },
	{ "the ninth starts it, once", "0x40", "9" },
	{ "after the age-out a new one starts", "0x9 1000x9", "9 18" },
	{ "a loop that goes on is not a new one", "0+59x40", "9" },
	{ "a loop that pauses just too long", "0x9 480+1x8", "9" },
	{ "one a minute never starts one", "0+60x40", "" },
};

START_TEST(test_loop_started)
{
	struct trace trace = { .limits = defaults };

	play(&trace, loops[_i].trace);
	claim_str_eq(loops[_i].claim, trace.loops.bytes, loops[_i].starts);
}
END_TEST

/* The later of the two ends is told. */
START_TEST(test_slow_end)
{
	struct trace trace = { .limits = defaults };
	int64_t end_ns = -1;

	trace.limits.slow_limit = 3;
	trace.limits.slow_window_ns = 1000 * SEC;
	play(&trace, "0+10x4");
	ck_assert(throttle_window_end(&trace.process.window, &trace.limits, &end_ns));
	ck_assert_int_eq(end_ns, 1010 * SEC);
	ck_assert(throttle_window_over(&trace.process.window, &trace.limits, 1000 * SEC - 1));
	play(&trace, "900x8");
	ck_assert(throttle_window_end(&trace.process.window, &trace.limits, &end_ns));
	ck_assert_int_eq(end_ns, 1900 * SEC);
	trace.limits.slow_limit = 0;
	ck_assert(throttle_window_end(&trace.process.window, &trace.limits, &end_ns));
	ck_assert_int_eq(end_ns, 1380 * SEC);
}
END_TEST

START_TEST(test_decision_name)
{
	ck_assert_str_eq(throttle_decision_name(THROTTLE_KEEP), "keep");
	ck_assert_str_eq(throttle_decision_name(THROTTLE_NOVEL), "novel");
	ck_assert_str_eq(throttle_decision_name(THROTTLE_FOLD), "fold");
}
END_TEST

/* ---- novelty ---- */

static const struct {
	const char *claim;
	uint32_t limit;
	uint32_t every;
	uint32_t budget;
	int64_t age_out_s;
	const char *trace;
	const char *verdicts;
	uint64_t pending;
} novelty[] = {
	{ "outside a loop a new signature is kept as any", 8, 10, 8, 480, "A B C", "K1x3", 0 },
	{ "a new signature in a loop is kept once", 8, 10, 8, 480, "Ax9 B B", "K1x8 F N F", 2 },
	{ "a kept signature is known", 8, 10, 8, 480, "Ax8 A A", "K1x8 Fx2", 2 },
	{ "a novel one leaves the pending alone", 8, 10, 8, 480, "Ax12 B", "K1x8 Fx4 N", 4 },
	{ "the tenth is still the tenth folded", 8, 10, 8, 480, "Ax9 B Ax9",
	  "K1x8 F N Fx8 K10", 0 },
	{ "without a signature nothing is novel", 8, 10, 8, 480, "0x12", "K1x8 Fx4", 4 },
	{ "the budget ends it", 8, 10, 8, 480, "Ax9 B C D E F G H I J K", "K1x8 F Nx8 Fx2", 3 },
	{ "budget 0: never", 8, 10, 0, 480, "Ax9 B", "K1x8 Fx2", 2 },
	{ "budget 16", 8, 30, 16, 480, "Ax9 B C D E F G H I J K L M N O P Q R S",
	  "K1x8 F Nx16 Fx2", 3 },
	{ "the budget comes back with the age-out", 1, 100, 1, 10, "@0 Ax2 B @5 Cx2 @10 C",
	  "K1 F N Fx2 N", 3 },
	{ "a nanosecond before it has not", 1, 100, 1, 10, "@0 Ax2 B @5 Cx2 @9.999999999 C",
	  "K1 F N Fx3", 4 },
	{ "a due report counts before novelty", 8, 2, 8, 480, "Ax9 B B", "K1x8 F K2 F", 1 },
	{ "a kept report teaches its signature", 8, 2, 8, 480, "Ax9 B B Bx2", "K1x8 F K2 F K2 F", 1 },
};

START_TEST(test_novelty)
{
	struct trace trace = { .limits = {
				       .enabled = true,
				       .limit = novelty[_i].limit,
				       .report_every = novelty[_i].every,
				       .novel_per_window = novelty[_i].budget,
				       .age_out_ns = novelty[_i].age_out_s * SEC,
			       } };

	play(&trace, novelty[_i].trace);
	claim_str_eq(novelty[_i].claim, unit_runs_end(&trace.runs), novelty[_i].verdicts);
	claim_int_eq(novelty[_i].claim, trace.process.pending, novelty[_i].pending);
}
END_TEST

/* The handler decides without a signature first and asks again when it has one. */
START_TEST(test_novel_afterwards)
{
	struct trace trace = { .limits = defaults };
	struct throttle_process *process = &trace.process;

	play(&trace, "0x10");
	ck_assert(throttle_novel_budget(process, &defaults, 0));
	ck_assert(!throttle_novel(process, &defaults, 0, 0));
	ck_assert_uint_eq(process->pending, 2);
	ck_assert(throttle_novel(process, &defaults, 0, 77));
	ck_assert_uint_eq(process->pending, 1);
	ck_assert(!throttle_novel(process, &defaults, 0, 77));
	ck_assert(throttle_novel(process, &defaults, 0, 78));
	ck_assert_uint_eq(process->pending, 0);
	ck_assert(!throttle_novel(process, &defaults, 0, 79)); /* nothing pending to take it from */
	ck_assert(!throttle_knows(process, 79));
}
END_TEST

START_TEST(test_signature_memory)
{
	struct throttle_process process = { 0 };

	throttle_learn(&process, 0);
	ck_assert_uint_eq(process.novelty.signature_next, 0);
	for (uint64_t s = 1; s <= THROTTLE_SIGNATURES; s++)
		throttle_learn(&process, s);
	throttle_learn(&process, 1); /* known: not learned again, nor made younger */
	for (uint64_t s = 1; s <= THROTTLE_SIGNATURES; s++)
		ck_assert(throttle_knows(&process, s));
	throttle_learn(&process, 1000);
	ck_assert(!throttle_knows(&process, 1));
	ck_assert(throttle_knows(&process, 2));
	ck_assert(throttle_knows(&process, 1000));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("throttle");
	TCase *vector_case = unit_case(suite, "vectors");
	TCase *told = unit_case(suite, "told");
	TCase *novel = unit_case(suite, "novelty");

	tcase_add_loop_test(vector_case, test_vector, 0, ROWS(vectors));
	tcase_add_loop_test(vector_case, test_raw_window, 0, ROWS(raw));
	tcase_add_loop_test(vector_case, test_other, 0, ROWS(other));
	tcase_add_loop_test(vector_case, test_extreme, 0, ROWS(extremes));
	tcase_add_test(vector_case, test_disabled);
	tcase_add_loop_test(vector_case, test_slow, 0, ROWS(slow));
	tcase_add_test(told, test_slow_end);
	tcase_add_loop_test(told, test_end, 0, ROWS(ends));
	tcase_add_loop_test(told, test_loop_started, 0, ROWS(loops));
	tcase_add_test(told, test_decision_name);
	tcase_add_loop_test(novel, test_novelty, 0, ROWS(novelty));
	tcase_add_test(novel, test_novel_afterwards);
	tcase_add_test(novel, test_signature_memory);
	throttle_random_cases(suite);
	return unit_main(suite);
}
