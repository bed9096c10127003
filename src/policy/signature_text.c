/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Rule 2: what the chosen frames are called, and the two keys of that. */

#include <inttypes.h>
#include <sha2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/mask.h"
#include "policy/signature_internal.h"

#define BUILD_ID_CHARS 16

/* ---- tokens ---- */

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

void signature_token(const struct signature_frame *f, char token[static SIGNATURE_TOKEN])
{
	char name[256];

	if (!f->module)
		(void)snprintf(token, SIGNATURE_TOKEN, "nowhere");
	else if (strcmp(f->module, "[anon]") == 0)
		(void)snprintf(token, SIGNATURE_TOKEN, "anon");
	else if (strcmp(f->module, "[vdso]") == 0)
		(void)snprintf(token, SIGNATURE_TOKEN, "vdso");
	else if (f->build_id && f->build_id[0])
		(void)snprintf(token, SIGNATURE_TOKEN, "%.*s+0x%" PRIx64, BUILD_ID_CHARS,
			       f->build_id, call_offset(f));
	else {
		print_name(name, sizeof(name), f->module);
		(void)snprintf(token, SIGNATURE_TOKEN, "%s:%" PRIu64 "+0x%" PRIx64, name,
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

static bool loose_token(const struct signature_frame *f, char token[static SIGNATURE_TOKEN])
{
	char module[96], symbol[256];

	if (!f->module || strcmp(f->module, "[anon]") == 0 ||
	    strcmp(f->module, "[vdso]") == 0) {
		signature_token(f, token);
		return f->module != NULL;
	}
	if (!f->symbol)
		return false;
	print_name(module, sizeof(module), f->module);
	print_name(symbol, sizeof(symbol), f->symbol);
	(void)snprintf(token, SIGNATURE_TOKEN, "%s!%.*s", module, (int)plain_length(symbol),
		       symbol);
	return true;
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

static void begin_text(const struct signature_view *v, bool sent, char text[static SIGNATURE_TEXT])
{
	char executable[128], via[SIGNATURE_VIA];
	const char *name = v->crash->executable;

	print_name(executable, sizeof(executable), name && name[0] ? name : "(unknown)");
	print_name(via, sizeof(via), v->via);
	(void)snprintf(text, SIGNATURE_TEXT, "cf1|%s|%s%s|%s", executable,
		       sent ? "sent:" : "", v->signal_name ?: "", via);
}

static void end_text(const struct signature_view *v, char text[static SIGNATURE_TEXT])
{
	char message[MASK_SIZE];

	if (v->crash->signal != SIGABRT || !v->crash->abort_message ||
	    v->signal_name != v->crash->signal_name)
		return;
	mask_numbers(v->crash->abort_message, message);
	add(text, SIGNATURE_TEXT, "|%s", message);
}

static void make_keys(const struct signature_view *v, struct signature *s)
{
	bool loose = v->n > 0;
	char token[SIGNATURE_TOKEN];

	begin_text(v, s->sent, s->exact_text);
	begin_text(v, s->sent, s->loose_text);
	for (size_t i = 0; i < v->n; i++) {
		signature_token(at(v, v->chosen[i]), token);
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

static void make_shown(const struct signature_view *v, struct signature *s)
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

void signature_write(const struct signature_view *v, struct signature *s)
{
	make_keys(v, s);
	make_shown(v, s);
}
