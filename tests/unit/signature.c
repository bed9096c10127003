/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which frames make the key that groups crashes; rows are stacks as lines. */

#include "policy/signature.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/runtime.h"
#include "stackline.h"
#include "unit.h"


static const struct {
	const char *claim;
	int signal;
	const char *stack;
	const char *exact; /* behind cf1|app| */
	const char *loose; /* NULL: none */
} texts[] = {
	{ "five frames, callers one byte back", SIGSEGV,
	  "app+10 app+20 app+30 app+40 app+50 app+60 app+70",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f|app0000000000000+0x2f|"
	  "app0000000000000+0x3f|app0000000000000+0x4f",
	  NULL },
	{ "what libc did is passed through, and named", SIGABRT,
	  "libc+8aeec libc!raise* libc!abort* app+30 app+40 app!main libc+1 app!_start",
	  "SIGABRT|abort|app0000000000000+0x2f|app0000000000000+0x3f|app0000000000000+0x6190",
	  NULL },
	{ "the outermost exported name counts", SIGABRT,
	  "libc!raise* libc!abort* libc+100 libc+200 libc!free* app+30 app+40",
	  "SIGABRT|free|app0000000000000+0x2f|app0000000000000+0x3f", NULL },
	{ "a name that is not exported is no via", SIGSEGV,
	  "libc!memcpy_avx app+30 app+40 app+50",
	  "SIGSEGV||app0000000000000+0x2f|app0000000000000+0x3f|app0000000000000+0x4f",
	  NULL },
	{ "nothing but runtime is kept", SIGSEGV, "ld+10 ld+20 ld+30",
	  "SIGSEGV||ld00000000000000+0x10|ld00000000000000+0x1f|ld00000000000000+0x2f",
	  NULL },
	{ "names survive a rebuild", SIGSEGV,
	  "app!crash app!ns::f(int) lib!g.constprop.0 app!main libc+1",
	  "SIGSEGV||app0000000000000+0x2383|app0000000000000+0x4874|lib0000000000000+0xb48c|"
	  "app0000000000000+0x6190",
	  "SIGSEGV||app!crash|app!ns::f(int)|lib!g|app!main" },
	{ "a frame without a name: no loose key", SIGSEGV, "app!a app+20 app!main libc+1",
	  "SIGSEGV||app0000000000000+0x361|app0000000000000+0x1f|app0000000000000+0x6190",
	  NULL },
	{ "nothing below main", SIGSEGV, "app!f app!main libc!x libc!y libc!z app!_start",
	  "SIGSEGV||app0000000000000+0x366|app0000000000000+0x6190",
	  "SIGSEGV||app!f|app!main" },
	{ "a stripped main ends at libc", SIGSEGV, "app+10 app+20 libc+1 libc+2 app+3",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f", NULL },
	{ "a thread ends at libc", SIGSEGV, "app+10 app+20 libc+1 libc+2",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f", NULL },
	{ "libc between two of ours stays", SIGSEGV,
	  "app+10 libc+100 app+20 app+30 libc+1 app+3",
	  "SIGSEGV||app0000000000000+0x10|libc000000000000+0xff|app0000000000000+0x1f|"
	  "app0000000000000+0x2f",
	  NULL },
	{ "a call through null", SIGSEGV, "0 app+20 app+30 app+40",
	  "SIGSEGV|nullcall|app0000000000000+0x1f|app0000000000000+0x2f|app0000000000000+0x3f",
	  NULL },
	{ "a jump to nowhere", SIGSEGV, "? app+20 app+30 app+40",
	  "SIGSEGV|badjump|app0000000000000+0x1f|app0000000000000+0x2f|app0000000000000+0x3f",
	  NULL },
	{ "a handler that passes a fault on", SIGABRT,
	  "libc!raise* app+900 @SEGV app+10 app+20 app+30",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f|app0000000000000+0x2f",
	  NULL },
	{ "any other handler keeps its frames", SIGSEGV,
	  "app+900 app+910 @USR1 app+10 app+20 app+30",
	  "SIGSEGV||app0000000000000+0x900|app0000000000000+0x90f|libc000000000000+0x0|"
	  "app0000000000000+0x10|app0000000000000+0x1f",
	  NULL },
	{ "recursion counts once", SIGSEGV, "app+10 x20(app+20) app+30 app+40",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f|app0000000000000+0x2f|"
	  "app0000000000000+0x3f",
	  NULL },
	{ "in turns of four too", SIGSEGV,
	  "app+10 x9(app+20 app+21 app+22 app+23) app+30",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f|app0000000000000+0x20|"
	  "app0000000000000+0x21|app0000000000000+0x22",
	  NULL },
	{ "and a last turn in part", SIGSEGV,
	  "app+10 x9(app+20 app+21) app+20 app+30 app+40",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f|app0000000000000+0x20|"
	  "app0000000000000+0x2f|app0000000000000+0x3f",
	  NULL },
	{ "generated code is anonymous", SIGSEGV,
	  "app+10 app+20 app+30 app+40 anon app+50",
	  "SIGSEGV||app0000000000000+0x10|app0000000000000+0x1f|app0000000000000+0x2f|"
	  "app0000000000000+0x3f|anon",
	  NULL },
	{ "without a build-id, name and size", SIGSEGV, "nobuild+10 app+20 app+30",
	  "SIGSEGV||nobuild:4096+0x10|app0000000000000+0x1f|app0000000000000+0x2f",
	  NULL },
	{ "two frames are not enough to tell", SIGSEGV, "app+10 app+20",
	  "SIGSEGV||app0000000000000+0x10", NULL },
	{ "guesses are no frames", SIGSEGV, "app+10 ^app+20 ^app+30 ^app+40",
	  "SIGSEGV||app0000000000000+0x10", NULL },
	{ "mostly generated code", SIGSEGV, "app+10 anon app+30 anon app+50 app+60",
	  "SIGSEGV||app0000000000000+0x10", NULL },
	{ "no frames at all", SIGSEGV, "", "SIGSEGV|", NULL },
	{ "nowhere, called by nobody", SIGSEGV, "?", "SIGSEGV|badjump|nowhere", NULL },
	{ "null, called by nobody: not the same", SIGSEGV, "0", "SIGSEGV|nullcall|nowhere", NULL },
	{ "null, called by a guess", SIGSEGV, "0 ^app+20 ^app+30",
	  "SIGSEGV|nullcall|app0000000000000+0x1f", NULL },
	{ "nowhere, called by that guess: not the same", SIGSEGV, "? ^app+20 ^app+30",
	  "SIGSEGV|badjump|app0000000000000+0x1f", NULL },
	{ "a jump into data", SIGSEGV, "~app+4018 app+20 app+30 app+40",
	  "SIGSEGV|badjump|app0000000000000+0x1f|app0000000000000+0x2f|app0000000000000+0x3f",
	  NULL },
	{ "a jump into data from a guess", SIGSEGV, "~app+4018 ^app+20 ^app+30",
	  "SIGSEGV|badjump|app0000000000000+0x4018|app0000000000000+0x1f", NULL },
	{ "a guess below libc does not stand alone", SIGSEGV, "libc+10 ^app+20 ^app+30",
	  "SIGSEGV||libc000000000000+0x10|app0000000000000+0x1f", NULL },
	{ "elsewhere in libc: not the same", SIGSEGV, "libc+18 ^app+20 ^app+30",
	  "SIGSEGV||libc000000000000+0x18|app0000000000000+0x1f", NULL },
};

#define GO_PANIC "go!runtime.raise go!runtime.crash go!runtime.fatalpanic go!runtime.gopanic"

static struct stack stack;

static struct signature sign(int signal, const char *line)
{
	struct signature s;

	stackline_parse(&stack, line);
	signature_make(
		&(struct signature_crash){
			.executable = "app",
			.signal = signal,
			.signal_name = signal == SIGABRT ? "SIGABRT" : "SIGSEGV",
			.si_code = signal == SIGABRT ? SI_TKILL : 1,
			.frame = stack.frame,
			.frames = stack.n,
		},
		&s);
	return s;
}

START_TEST(test_text)
{
	struct signature s = sign(texts[_i].signal, texts[_i].stack);
	char wanted[SIGNATURE_TEXT];

	(void)snprintf(wanted, sizeof(wanted), "cf1|app|%s", texts[_i].exact);
	ck_assert_msg(strcmp(s.exact_text, wanted) == 0, "%s:\n got %s\n not %s",
		      texts[_i].claim, s.exact_text, wanted);
	(void)snprintf(wanted, sizeof(wanted), "cf1|app|%s", texts[_i].loose ?: "");
	if (!texts[_i].loose)
		wanted[0] = '\0';
	ck_assert_msg(strcmp(s.loose_text, wanted) == 0, "%s:\n got %s\n not %s",
		      texts[_i].claim, s.loose_text, wanted);
	ck_assert_int_eq(s.loose[0] != '\0', texts[_i].loose != NULL);
	ck_assert_uint_eq(strlen(s.exact), 16);
}
END_TEST

START_TEST(test_lost)
{
	struct signature lost = sign(SIGABRT, GO_PANIC " ?");
	struct signature known = sign(SIGABRT, GO_PANIC " go!main.f go!main.main");

	ck_assert_msg(strstr(lost.exact_text, "|nowhere"), "%s", lost.exact_text);
	ck_assert_msg(lost.low, "a stack that got lost in the runtime is relied on");
	ck_assert_msg(!known.low, "%s", known.exact_text);
}
END_TEST

/* How many frames the key of an abort has. */
#define LONG "app+1 app+2 app+3 app+4 app+5 app+6 app+7 app+8 app+9 app+a app+b app+c app+d app+e app+f"
static const struct {
	const char *claim;
	const char *modules[4];
	int si_code;
	const char *stack;
	size_t frames;
} depths[] = {
	{ "linked statically: any of them may be runtime", { "app", "[vdso]" }, SI_TKILL, LONG, 15 },
	{ "... but a fault is where it is", { "app", "[vdso]" }, 1, LONG, 5 },
	{ "... and a named one is known", { "app" }, SI_TKILL, "app!f " LONG, 5 },
	{ "Rust: libc is apart, its own runtime is not",
	  { "app", "libc.so.6", "libgcc_s.so.1" }, SI_TKILL, "libc+1 libc!abort* " LONG, 15 },
	{ "C: libc is all there is", { "app", "libc.so.6" }, SI_TKILL, "libc+1 libc!abort* " LONG, 5 },
	{ "musl's, too", { "app", "ld-musl-x86_64.so.1" }, SI_TKILL, LONG, 5 },
	{ "C++ has its runtime apart", { "app", "libc.so.6", "libstdc++.so.6", "libgcc_s.so.1" },
	  SI_TKILL, "libc+1 libc!abort* " LONG, 5 },
	{ "what libc itself complains of is told by its callers",
	  { "app", "libc.so.6", "libgcc_s.so.1" }, SI_TKILL, "libc!abort* libc!free* " LONG, 5 },
};

START_TEST(test_depth)
{
	struct runtime_seen seen = { 0 };
	struct signature s;
	size_t bars = 0;

	for (size_t i = 0; i < 4 && depths[_i].modules[i]; i++)
		runtime_see(&seen, depths[_i].modules[i]);
	stackline_parse(&stack, depths[_i].stack);
	signature_make(
		&(struct signature_crash){
			.executable = "app",
			.signal = SIGABRT,
			.signal_name = "SIGABRT",
			.si_code = depths[_i].si_code,
			.runtime_within = runtime_within(&seen),
			.frame = stack.frame,
			.frames = stack.n,
		},
		&s);
	for (const char *p = s.exact_text; *p; p++)
		bars += *p == '|';
	ck_assert_msg(bars - 3 == depths[_i].frames, "%s: %s", depths[_i].claim, s.exact_text);
}
END_TEST

static const struct {
	const char *claim;
	const char *stack;
	size_t gap;
	const char *exact;
} overflows[] = {
	{ "the cycle and who entered it", "x60(app+20) app+30 app+40", 0,
	  "app0000000000000+0x1f|app0000000000000+0x2f" },
	{ "whatever was on top of it", "lib+10 lib+11 app+15 x60(app+20) app+30", 0,
	  "app0000000000000+0x1f|app0000000000000+0x2f" },
	{ "hit at its other frame", "app+21 x50(app+20 app+21) app+30", 0,
	  "app0000000000000+0x1f|app0000000000000+0x20|app0000000000000+0x2f" },
	{ "the same, hit at the first", "app+11 x50(app+20 app+21) app+20 app+30", 0,
	  "app0000000000000+0x1f|app0000000000000+0x20|app0000000000000+0x2f" },
	{ "turns left out begin anywhere",
	  "app+11 x2(app+21 app+20) x40(app+20 app+21) app+30", 0,
	  "app0000000000000+0x1f|app0000000000000+0x20|app0000000000000+0x2f" },
	{ "a gap is more of the cycle",
	  "app+11 x5(app+21 app+20) x5(app+20 app+21) app+30", 11,
	  "app0000000000000+0x1f|app0000000000000+0x20|app0000000000000+0x2f" },
};

START_TEST(test_overflow)
{
	struct signature s;
	char wanted[SIGNATURE_TEXT];

	stackline_parse(&stack, overflows[_i].stack);
	signature_make(
		&(struct signature_crash){
			.executable = "app",
			.signal = SIGSEGV,
			.signal_name = "SIGSEGV",
			.si_code = 1,
			.stack_overflow = true,
			.frame = stack.frame,
			.frames = stack.n,
			.gap = overflows[_i].gap,
		},
		&s);
	(void)snprintf(wanted, sizeof(wanted), "cf1|app|SIGSEGV|stackoverflow|%s",
		       overflows[_i].exact);
	ck_assert_msg(strcmp(s.exact_text, wanted) == 0, "%s:\n got %s\n not %s",
		      overflows[_i].claim, s.exact_text, wanted);
}
END_TEST

static const struct {
	const char *claim;
	const char *message;
	const char *masked;
} messages[] = {
	{ "numbers", "free(): double free detected in tcache 2",
	  "free(): double free detected in tcache #" },
	{ "lines", "app: a.c:123: f: Assertion `x > 7' failed.",
	  "app: a.c:#: f: Assertion `x > #' failed." },
	{ "addresses", "bad pointer 0x7ffd12345678 here", "bad pointer # here" },
	{ "addresses without 0x", "*** 00007f3e1a2b3c4d ***", "*** # ***" },
	{ "words of hexadecimal letters stay", "a bad face: decade",
	  "a bad face: decade" },
	{ "the separator is none", "a|b", "a/b" },
};

START_TEST(test_message)
{
	char wanted[SIGNATURE_TEXT];
	struct signature s;

	stackline_parse(&stack, "libc!abort* app+10 app+20 app+30");
	signature_make(
		&(struct signature_crash){
			.executable = "app",
			.signal = SIGABRT,
			.signal_name = "SIGABRT",
			.si_code = SI_TKILL,
			.abort_message = messages[_i].message,
			.frame = stack.frame,
			.frames = stack.n,
		},
		&s);
	(void)snprintf(wanted, sizeof(wanted),
		       "cf1|app|SIGABRT|abort|app0000000000000+0xf|app0000000000000+0x1f|"
		       "app0000000000000+0x2f|%s",
		       messages[_i].masked);
	ck_assert_msg(strcmp(s.exact_text, wanted) == 0, "%s:\n got %s\n not %s",
		      messages[_i].claim, s.exact_text, wanted);
}
END_TEST

START_TEST(test_sent)
{
	struct signature_crash crash = {
		.executable = "app",
		.signal = SIGABRT,
		.signal_name = "SIGABRT",
		.by_other = true,
		.frame = stack.frame,
	};
	struct signature sent, own;

	stackline_parse(&stack, "libc!pause* app+10 app+20 app+30");
	crash.frames = stack.n;
	signature_make(&crash, &sent);
	crash.by_other = false;
	signature_make(&crash, &own);
	ck_assert(sent.sent && !own.sent);
	ck_assert_str_ne(sent.exact, own.exact);
}
END_TEST

/* The hash is the text's, as anybody computes it: sha256sum of the text, sixteen digits. */
START_TEST(test_key)
{
	struct signature s = sign(SIGSEGV, "app!crash app!b app!c");

	ck_assert_str_eq(s.loose_text, "cf1|app|SIGSEGV||app!crash|app!b|app!c");
	ck_assert_str_eq(s.loose, "94e0d82dc91024cf");
	ck_assert_msg(strncmp(s.shown, "crash+0x0~", 10) == 0, "%s", s.shown);
	ck_assert_str_eq(s.shown + 10, s.exact);
}
END_TEST

/* Nothing a name can hold makes it long or lets it play another part. */
START_TEST(test_hostile)
{
	static char name[5000];
	struct signature_frame frame[3];
	struct signature s;

	memset(name, '|', sizeof(name) - 1);
	for (int i = 0; i < 3; i++)
		frame[i] = (struct signature_frame){ .pc = 1,
						     .module = name,
						     .build_id = name,
						     .symbol = name,
						     .exported = true,
						     .offset = UINT64_MAX };
	signature_make(&(struct signature_crash){ .executable = name,
						  .signal = SIGABRT,
						  .signal_name = "SIGABRT",
						  .abort_message = name,
						  .frame = frame,
						  .frames = 3 },
		       &s);
	ck_assert_uint_lt(strlen(s.loose_text), SIGNATURE_TEXT);
	ck_assert_uint_eq(strlen(s.exact), 16);
}
END_TEST

static const struct {
	const char *module;
	bool runtime;
} modules[] = {
	{ "libc.so.6", true },
	{ "libc-2.31.so", true },
	{ "ld-linux-x86-64.so.2", true },
	{ "libstdc++.so.6", true },
	{ "libgcc_s.so.1", true },
	{ "libasan.so.8", true },
	{ "libjemalloc.so.2", true },
	{ "[vdso]", true },
	{ "libtcmalloc_minimal.so.4", true },
	{ "libc++.so.1", true },
	{ "libpthread.so.0", true },
	{ "libcurl.so.4", false },
	{ "libcap.so.2", false },
	{ "app", false },
	{ "[anon]", false },
	{ "libm.so.6", false },
	{ "ldap", false },
	{ NULL, false },
};

START_TEST(test_runtime)
{
	ck_assert_msg(runtime_module(modules[_i].module) == modules[_i].runtime, "%s",
		      modules[_i].module ?: "none");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signature");
	TCase *tc = unit_case(suite, "cf1");

	tcase_add_loop_test(tc, test_text, 0, ROWS(texts));
	tcase_add_loop_test(tc, test_depth, 0, ROWS(depths));
	tcase_add_test(tc, test_lost);
	tcase_add_loop_test(tc, test_overflow, 0, ROWS(overflows));
	tcase_add_loop_test(tc, test_message, 0, ROWS(messages));
	tcase_add_loop_test(tc, test_runtime, 0, ROWS(modules));
	tcase_add_test(tc, test_sent);
	tcase_add_test(tc, test_key);
	tcase_add_test(tc, test_hostile);
	return unit_main(suite);
}
