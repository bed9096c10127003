/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/sign.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/signals.h"
#include "io/cleanup.h"
#include "policy/runtime.h"

static uint64_t number(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? strtoull(text, NULL, 16) : 0;
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int integer(const json_t *object, const char *key)
{
	return (int)json_integer_value(json_object_get(object, key));
}

/* By name from the table the names came from; only faults matter. */
static int signal_number(const char *name)
{
	static const int fault[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };

	char text[SIGNALS_NAME_SIZE];

	for (size_t i = 0; name && i < ARRAY_SIZE(fault); i++) {
		signals_name(fault[i], text);
		if (strcmp(name, text) == 0)
			return fault[i];
	}
	return 0;
}

/* Stands in for a build-id: the size of what was mapped of the file. */
static uint64_t module_bytes(const json_t *answer, uint64_t pc)
{
	const json_t *module;
	size_t i;

	json_array_foreach(json_object_get(answer, "modules"), i, module)
	{
		uint64_t start = number(module, "start"), end = number(module, "end");

		if (pc >= start && pc < end)
			return end - start;
	}
	return 0;
}

static struct signature_frame to_frame(const json_t *answer, const json_t *frame)
{
	const char *how = text(frame, "how"), *signal = text(frame, "signal");
	struct signature_frame f = {
		.pc = number(frame, "pc"),
		.module = text(frame, "module"),
		.build_id = text(frame, "build_id"),
		.offset = number(frame, "offset"),
		.symbol = text(frame, "symbol"),
		.symbol_offset = number(frame, "symbol_offset"),
		.exported = json_is_true(json_object_get(frame, "exported")),
		.is_call = json_is_true(json_object_get(frame, "call")),
		.guessed = how && strcmp(how, "scan") == 0,
		.no_code = json_is_false(json_object_get(frame, "code")),
		.trampoline = signal != NULL,
		.signal = signal_number(signal),
		.signal_name = signal,
		.si_code = integer(frame, "si_code"),
	};

	if (f.module && !f.build_id)
		f.module_bytes = module_bytes(answer, f.pc - f.is_call);
	return f;
}

/* kill(), sigqueue() or tgkill() by another process. */
static bool sent_by_other(const json_t *answer)
{
	const json_t *signal = json_object_get(answer, "signal");
	int code = integer(signal, "code");
	const json_t *sender = json_object_get(signal, "sender_pid");

	return (code == SI_USER || code == SI_QUEUE || code == SI_TKILL) && sender &&
	       json_integer_value(sender) !=
		       json_integer_value(json_object_get(answer, "pid"));
}

static bool has_runtime_within(const json_t *answer)
{
	const json_t *module;
	struct runtime_seen seen = { 0 };
	size_t i;

	json_array_foreach(json_object_get(answer, "modules"), i, module)
		runtime_see(&seen, text(module, "name") ?: "");
	return runtime_within(&seen);
}

void sign_answer(const json_t *answer, const char *executable,
		 struct signature *ret_signature)
{
	const json_t *signal = json_object_get(answer, "signal");
	const json_t *thread = json_array_get(json_object_get(answer, "threads"), 0);
	const json_t *frames = json_object_get(thread, "frames"), *frame;
	struct signature_frame list[SIGNATURE_FRAMES_MAX];
	size_t i, n = 0;

	json_array_foreach(frames, i, frame) if (n < SIGNATURE_FRAMES_MAX) list[n++] =
		to_frame(answer, frame);
	signature_make(
		&(struct signature_crash){
			.executable = executable ?: text(answer, "executable"),
			.signal = integer(signal, "number"),
			.signal_name = text(signal, "name"),
			.si_code = integer(signal, "code"),
			.by_other = sent_by_other(answer),
			.stack_overflow =
				json_is_true(json_object_get(answer, "stack_overflow")),
			.runtime_within = has_runtime_within(answer),
			.abort_message = text(answer, "abort_message"),
			.frame = list,
			.frames = n,
			.gap = (size_t)integer(thread, "elided_after"),
		},
		ret_signature);
}

json_t *sign_text(const char *text)
{
	json_t *string = json_string(text);
	_cleanup_free_ char *copy = string ? NULL : strdup(text);

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return string || !copy ? string : json_string(copy);
}

json_t *sign_to_json(const struct signature *signature)
{
	json_t *object =
		json_pack("{s:s, s:o, s:o, s:s, s:s}", "exact", signature->exact,
			  "exact_text", sign_text(signature->exact_text), "shown",
			  sign_text(signature->shown), "confidence", signature->low ? "low" : "high", "class",
			  signature->sent ? "sent" : "crash");

	if (object && signature->loose[0]) {
		(void)json_object_set_new(object, "loose", json_string(signature->loose));
		(void)json_object_set_new(object, "loose_text",
					  sign_text(signature->loose_text));
	}
	return object;
}
