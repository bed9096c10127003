/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/signature.h"

#include <inttypes.h>
#include <sha2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/mask.h"
#include "policy/runtime.h"

#define BUILD_ID_CHARS 16
#define PERIOD_MAX 4
#define TOKEN 384
#define VIA 64
/* An overflow shows its cycle many times; a short recursion at the top is no such thing. */
#define OVERFLOW_REPEATS 4
#define OVERFLOW_START_MAX 64

/* Frames that are looked at: all indices are into crash->frame. */
struct view {
	const struct signature_crash *crash;
	size_t first;
	size_t end;
	const char *signal_name;
	char via[VIA];
	/* Frames of the key: indices, in order. */
	size_t chosen[SIGNATURE_FRAMES_DEEP];
	size_t n;
	size_t most; /* of them */
};

static const struct signature_frame *at(const struct view *v, size_t i)
{
	return &v->crash->frame[i];
}

/* ---- rule 3: what bugs pass through ---- */

static bool is_runtime(const struct view *v, size_t i)
{
	return runtime_module(at(v, i)->module);
}

static bool is_panic(const struct view *v, size_t i)
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
static void restart_below_handler(struct view *v)
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
static void stop_at_entry(struct view *v)
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

static void skip_nowhere(struct view *v)
{
	const struct signature_frame *f = at(v, v->first);

	if (v->first == v->end || (f->module && !f->no_code))
		return;
	(void)snprintf(v->via, sizeof(v->via), "%s", f->pc == 0 ? "nullcall" : "badjump");
	if (v->end - v->first > 1)
		v->first++;
}

static void skip_runtime(struct view *v)
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
static void look_deeper(struct view *v)
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

static bool same(const struct view *v, size_t a, size_t b)
{
	const struct signature_frame *x = at(v, a), *y = at(v, b);

	return x->offset == y->offset && x->is_call == y->is_call &&
	       same_text(x->module, y->module) && same_text(x->build_id, y->build_id) &&
	       (x->module || x->pc == y->pc);
}

/* How many frames from i on repeat the period before them, the last time perhaps in part. */
static size_t run_length(const struct view *v, size_t i, size_t period)
{
	size_t n = 0;

	while (i + period + n < v->end && same(v, i + n, i + period + n))
		n++;
	return n;
}

static bool in_cycle(const struct view *v, size_t cycle, size_t period, size_t i)
{
	for (size_t j = 0; j < period; j++)
		if (same(v, cycle + j, i))
			return true;
	return false;
}

/* The first frame behind a cycle; what was left out there were more turns of it. */
static size_t behind_cycle(const struct view *v, size_t cycle, size_t period, size_t i)
{
	if (v->crash->gap == 0 || i < v->crash->gap)
		return i;
	while (i < v->end && in_cycle(v, cycle, period, i))
		i++;
	return i;
}

/* The shortest period that repeats at least so many frames; 0: none. */
static size_t find_period(const struct view *v, size_t i, size_t repeats,
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

static void choose(struct view *v, size_t i)
{
	if (v->n < v->most)
		v->chosen[v->n++] = i;
}

static void choose_collapsed(struct view *v)
{
	size_t i = v->first;

	while (i < v->end && v->n < v->most) {
		size_t behind, period = find_period(v, i, 1, &behind);

		for (size_t j = 0; j < (period ?: 1); j++)
			choose(v, i + j);
		i = period ? behind : i + 1;
	}
}

/* ---- tokens: rule 2 ---- */

static uint64_t call_offset(const struct signature_frame *f)
{
	return f->offset - (f->is_call ? 1 : 0);
}

/* A separator inside a name would make two texts one. */
static void print_name(char *out, size_t size, const char *name)
{
	size_t n = 0;

	for (; name[n] != '\0' && n + 1 < size; n++)
		out[n] = name[n] == '|' || name[n] == '\n' ? '/' : name[n];
	out[n] = '\0';
}

static void exact_token(const struct signature_frame *f, char token[static TOKEN])
{
	char name[256];

	if (!f->module)
		(void)snprintf(token, TOKEN, "nowhere");
	else if (strcmp(f->module, "[anon]") == 0)
		(void)snprintf(token, TOKEN, "anon");
	else if (strcmp(f->module, "[vdso]") == 0)
		(void)snprintf(token, TOKEN, "vdso");
	else if (f->build_id && f->build_id[0])
		(void)snprintf(token, TOKEN, "%.*s+0x%" PRIx64, BUILD_ID_CHARS,
			       f->build_id, call_offset(f));
	else {
		print_name(name, sizeof(name), f->module);
		(void)snprintf(token, TOKEN, "%s:%" PRIu64 "+0x%" PRIx64, name,
			       f->module_bytes, call_offset(f));
	}
}

/* What compilers append to a part or a copy of a function: another build cuts elsewhere. */
static size_t plain_length(const char *symbol)
{
	static const char *const suffix[] = { ".cold",	 ".part.", ".constprop.",
					      ".isra.",	 ".llvm.", ".lto_priv.",
					      " [clone " };
	size_t n = strlen(symbol);

	for (size_t i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
		const char *found = strstr(symbol, suffix[i]);

		if (found && found > symbol && (size_t)(found - symbol) < n)
			n = (size_t)(found - symbol);
	}
	return n;
}

static bool loose_token(const struct signature_frame *f, char token[static TOKEN])
{
	char module[96], symbol[256];

	if (!f->module || strcmp(f->module, "[anon]") == 0 ||
	    strcmp(f->module, "[vdso]") == 0) {
		exact_token(f, token);
		return f->module != NULL;
	}
	if (!f->symbol)
		return false;
	print_name(module, sizeof(module), f->module);
	print_name(symbol, sizeof(symbol), f->symbol);
	(void)snprintf(token, TOKEN, "%s!%.*s", module, (int)plain_length(symbol),
		       symbol);
	return true;
}

/*
 * An overflow may hit any frame of its cycle, on top of whatever was called last: the key
 * is the cycle, begun at its least token, and who entered it.
 */
static void choose_overflow(struct view *v)
{
	size_t behind = 0, period = 0, start = v->first, least = 0;
	char token[TOKEN], best[TOKEN];

	for (; start < v->end && start < v->first + OVERFLOW_START_MAX && period == 0;
	     start++)
		period = find_period(v, start, OVERFLOW_REPEATS, &behind);
	if (period == 0)
		return;
	start--; /* the loop had moved on */
	for (size_t j = 0; j < period; j++) {
		exact_token(at(v, start + j), token);
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

/* ---- the keys ---- */

__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size,
						      const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text + used, size - used, format, arguments);
	va_end(arguments);
}

static void hash_text(const char *text, char key[static SIGNATURE_KEY])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX context;

	SHA256Init(&context);
	SHA256Update(&context, (const uint8_t *)text, strlen(text));
	SHA256Final(digest, &context);
	for (size_t i = 0; i < (SIGNATURE_KEY - 1) / 2; i++)
		(void)snprintf(key + 2 * i, 3, "%02x", digest[i]);
}

static void begin_text(const struct view *v, bool sent, char text[static SIGNATURE_TEXT])
{
	char executable[128], via[VIA];
	const char *name = v->crash->executable;

	print_name(executable, sizeof(executable), name && name[0] ? name : "(unknown)");
	print_name(via, sizeof(via), v->via);
	(void)snprintf(text, SIGNATURE_TEXT, "cf1|%s|%s%s|%s", executable,
		       sent ? "sent:" : "", v->signal_name ?: "", via);
}

static void end_text(const struct view *v, char text[static SIGNATURE_TEXT])
{
	char message[MASK_SIZE];

	if (v->crash->signal != SIGABRT || !v->crash->abort_message ||
	    v->signal_name != v->crash->signal_name)
		return;
	mask_numbers(v->crash->abort_message, message);
	add(text, SIGNATURE_TEXT, "|%s", message);
}

static void make_keys(const struct view *v, struct signature *s)
{
	bool loose = v->n > 0;
	char token[TOKEN];

	begin_text(v, s->sent, s->exact_text);
	begin_text(v, s->sent, s->loose_text);
	for (size_t i = 0; i < v->n; i++) {
		exact_token(at(v, v->chosen[i]), token);
		add(s->exact_text, SIGNATURE_TEXT, "|%s", token);
		if (loose && loose_token(at(v, v->chosen[i]), token))
			add(s->loose_text, SIGNATURE_TEXT, "|%s", token);
		else
			loose = false;
	}
	end_text(v, s->exact_text);
	hash_text(s->exact_text, s->exact);
	if (!loose) {
		s->loose_text[0] = '\0';
		return;
	}
	end_text(v, s->loose_text);
	hash_text(s->loose_text, s->loose);
}

static void make_shown(const struct view *v, struct signature *s)
{
	const struct signature_frame *f = v->n > 0 ? at(v, v->chosen[0]) : NULL;
	int room = SIGNATURE_SHOWN - 40;

	if (f && f->symbol)
		(void)snprintf(s->shown, sizeof(s->shown), "%.*s+0x%" PRIx64 "~%s", room,
			       f->symbol, f->symbol_offset, s->exact);
	else if (f && f->module && f->module[0] != '[')
		(void)snprintf(s->shown, sizeof(s->shown), "%.*s+0x%" PRIx64 "~%s", room,
			       f->module, f->offset, s->exact);
	else
		(void)snprintf(s->shown, sizeof(s->shown), "%.*s~%s", room,
			       f && f->module ? f->module : "?", s->exact);
}

/* ---- rule 9: can it be relied on ---- */

static bool is_resolved(const struct signature_frame *f)
{
	return f->module && !f->guessed && strcmp(f->module, "[anon]") != 0;
}

/* Judged by the frames down to the last one of the key: what lies below changes nothing. */
static bool is_low(const struct view *v, size_t first, size_t end)
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
static void narrow_to_first(struct view *v, size_t innermost)
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

static void choose_frames(struct view *v)
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
	struct view v = { .crash = crash,
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
	make_keys(&v, &s);
	make_shown(&v, &s);
	*ret_signature = s;
}
