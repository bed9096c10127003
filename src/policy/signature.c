/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/signature.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "policy/runtime.h"
#include "policy/signature_internal.h"

#define PERIOD_MAX 4
/* An overflow shows its cycle many times; a short recursion at the top is no such thing. */
#define OVERFLOW_REPEATS 4
#define OVERFLOW_START_MAX 64

/* ---- rule 3: what bugs pass through ---- */

static bool is_runtime(const struct signature_view *v, size_t i)
{
	return runtime_module(at(v, i)->module);
}

static bool is_panic(const struct signature_view *v, size_t i)
{
	return runtime_name(at(v, i)->symbol);
}

/* ---- rule 5: where to begin and to stop ---- */

static bool is_fault(int signal, int si_code)
{
	return si_code > 0 && (signal == SIGSEGV || signal == SIGBUS ||
			       signal == SIGILL || signal == SIGFPE || signal == SIGTRAP);
}

/*
 * A handler that was called for a fault and then sent itself a signal only passes it on:
 * the crash is what it was called for.
 */
static void restart_below_handler(struct signature_view *v)
{
	const struct signature_crash *crash = v->crash;

	if (crash->si_code > 0 || crash->by_other)
		return;
	for (size_t i = 0; i + 1 < v->end; i++) {
		const struct signature_frame *f = at(v, i);

		if (!f->trampoline || !is_fault(f->signal, f->si_code))
			continue;
		v->first = i + 1;
		v->signal_name = f->signal_name;
		return;
	}
}

/* Below main, and below a thread's entry, there is only what every program has. */
static void stop_at_entry(struct signature_view *v)
{
	size_t end = v->end;

	for (size_t i = v->first; i < v->end; i++) {
		if (at(v, i)->symbol && strcmp(at(v, i)->symbol, "main") == 0) {
			v->end = i + 1;
			return;
		}
	}
	/* _start of the executable, called by nobody and below libc's own part of the start */
	if (end - v->first > 2 && !is_runtime(v, end - 1) && is_runtime(v, end - 2) &&
	    v->crash->executable && at(v, end - 1)->module &&
	    strcmp(at(v, end - 1)->module, v->crash->executable) == 0)
		end--;
	while (end > v->first && is_runtime(v, end - 1))
		end--;
	if (end > v->first)
		v->end = end;
}

/* ---- rule 4: a call to nowhere ---- */

static void skip_nowhere(struct signature_view *v)
{
	const struct signature_frame *f = at(v, v->first);

	if (v->first == v->end || (f->module && !f->no_code))
		return;
	(void)snprintf(v->via, sizeof(v->via), "%s", f->pc == 0 ? "nullcall" : "badjump");
	if (v->end - v->first > 1)
		v->first++;
}

static void skip_runtime(struct signature_view *v)
{
	const char *via = NULL;
	size_t i = v->first;
	bool panic = false;

	for (; i < v->end && (is_runtime(v, i) || is_panic(v, i)); i++) {
		panic = panic || is_panic(v, i);
		if (is_runtime(v, i) && at(v, i)->exported && at(v, i)->symbol)
			via = at(v, i)->symbol;
	}
	if (i == v->end)
		return; /* nothing but runtime: then it says something */
	v->first = i;
	if (panic)
		via = "panic";
	if (via && v->via[0] == '\0')
		(void)snprintf(v->via, sizeof(v->via), "%s", via);
}

/*
 * A stripped program that was linked statically, or one of Rust: what aborts and panics go
 * through has neither names nor a module, and all of them would share their frames.
 */
static void look_deeper(struct signature_view *v)
{
	const struct signature_crash *crash = v->crash;
	const struct signature_frame *f = at(v, v->first);

	if (crash->runtime_within && crash->si_code <= 0 && !crash->by_other &&
	    v->signal_name == crash->signal_name && f->module && !f->symbol &&
	    (v->via[0] == '\0' || strcmp(v->via, "abort") == 0))
		v->most = SIGNATURE_FRAMES_DEEP;
}

/* ---- rule 6: recursion ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same(const struct signature_view *v, size_t a, size_t b)
{
	const struct signature_frame *x = at(v, a), *y = at(v, b);

	return x->offset == y->offset && x->is_call == y->is_call &&
	       same_text(x->module, y->module) && same_text(x->build_id, y->build_id) &&
	       (x->module || x->pc == y->pc);
}

/* How many frames from i on repeat the period before them, the last time perhaps in part. */
static size_t run_length(const struct signature_view *v, size_t i, size_t period)
{
	size_t n = 0;

	while (i + period + n < v->end && same(v, i + n, i + period + n))
		n++;
	return n;
}

static bool in_cycle(const struct signature_view *v, size_t cycle, size_t period, size_t i)
{
	for (size_t j = 0; j < period; j++)
		if (same(v, cycle + j, i))
			return true;
	return false;
}

/* The first frame behind a cycle; what was left out there were more turns of it. */
static size_t behind_cycle(const struct signature_view *v, size_t cycle, size_t period, size_t i)
{
	if (v->crash->gap == 0 || i < v->crash->gap)
		return i;
	while (i < v->end && in_cycle(v, cycle, period, i))
		i++;
	return i;
}

/* The shortest period that repeats at least so many frames; 0: none. */
static size_t find_period(const struct signature_view *v, size_t i, size_t repeats,
			  size_t *ret_behind)
{
	for (size_t period = 1; period <= PERIOD_MAX; period++) {
		size_t n = run_length(v, i, period);

		if (n < repeats * period)
			continue;
		*ret_behind = behind_cycle(v, i, period, i + period + n);
		return period;
	}
	return 0;
}

static void choose(struct signature_view *v, size_t i)
{
	if (v->n < v->most)
		v->chosen[v->n++] = i;
}

static void choose_collapsed(struct signature_view *v)
{
	size_t i = v->first;

	while (i < v->end && v->n < v->most) {
		size_t behind, period = find_period(v, i, 1, &behind);

		for (size_t j = 0; j < (period ?: 1); j++)
			choose(v, i + j);
		i = period ? behind : i + 1;
	}
}

/*
 * An overflow may hit any frame of its cycle, on top of whatever was called last: the key
 * is the cycle, begun at its least token, and who entered it.
 */
static void choose_overflow(struct signature_view *v)
{
	size_t behind = 0, period = 0, start = v->first, least = 0;
	char token[SIGNATURE_TOKEN], best[SIGNATURE_TOKEN];

	for (; start < v->end && start < v->first + OVERFLOW_START_MAX && period == 0;
	     start++)
		period = find_period(v, start, OVERFLOW_REPEATS, &behind);
	if (period == 0)
		return;
	start--; /* the loop had moved on */
	for (size_t j = 0; j < period; j++) {
		signature_token(at(v, start + j), token);
		if (j > 0 && strcmp(token, best) >= 0)
			continue;
		least = j;
		memcpy(best, token, sizeof(best));
	}
	for (size_t j = 0; j < period; j++)
		choose(v, start + (least + j) % period);
	if (behind < v->end)
		choose(v, behind);
}

/* ---- rule 9: can it be relied on ---- */

static bool is_resolved(const struct signature_frame *f)
{
	return f->module && !f->guessed && strcmp(f->module, "[anon]") != 0;
}

/* Judged by the frames down to the last one of the key: what lies below changes nothing. */
static bool is_low(const struct signature_view *v, size_t first, size_t end)
{
	size_t last = v->n > 0 ? v->chosen[0] + SIGNATURE_FRAMES : end;
	size_t resolved = 0, all = 0, places = 0;

	for (size_t i = 0; i < v->n; i++) /* nowhere is where every lost stack ends */
		places += at(v, v->chosen[i])->module != NULL;
	for (size_t i = first; i < end && (i < last || all < 3); i++, all++)
		resolved += is_resolved(at(v, i));
	return resolved < 3 || (all - resolved) * 5 > all || places == 0;
}

/*
 * A guess may be what an earlier call left behind, the same for two bugs: where the process
 * was is known for certain, and comes before it. innermost: the frame that says it.
 */
static void narrow_to_first(struct signature_view *v, size_t innermost)
{
	const struct signature_frame *f = v->n > 0 ? at(v, v->chosen[0]) : NULL;

	if (strcmp(v->via, "nullcall") != 0 && strcmp(v->via, "badjump") != 0)
		v->via[0] = '\0';
	if (!f)
		return;
	v->n = 1;
	if (!f->guessed || v->chosen[0] == innermost || !at(v, innermost)->module)
		return;
	v->chosen[1] = v->chosen[0];
	v->chosen[0] = innermost;
	v->n = 2;
}

static void choose_frames(struct signature_view *v)
{
	skip_runtime(v);
	look_deeper(v);
	if (v->crash->stack_overflow) {
		(void)snprintf(v->via, sizeof(v->via), "stackoverflow");
		choose_overflow(v);
	}
	if (v->n == 0)
		choose_collapsed(v);
}

void signature_make(const struct signature_crash *crash, struct signature *ret_signature)
{
	struct signature_view v = { .crash = crash,
			  .end = crash->frames,
			  .signal_name = crash->signal_name,
			  .most = SIGNATURE_FRAMES };
	struct signature s = { .sent = crash->by_other };
	size_t all_first, all_end, innermost = 0;

	if (v.end > SIGNATURE_FRAMES_MAX)
		v.end = SIGNATURE_FRAMES_MAX;
	if (v.end > 0) {
		restart_below_handler(&v);
		innermost = v.first;
		skip_nowhere(&v);
		all_first = v.first;
		all_end = v.end;
		stop_at_entry(&v);
		choose_frames(&v);
		s.low = is_low(&v, all_first, all_end);
	} else {
		s.low = true;
	}
	if (s.low)
		narrow_to_first(&v, innermost);
	signature_write(&v, &s);
	*ret_signature = s;
}
