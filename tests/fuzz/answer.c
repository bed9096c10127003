/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What corefold-unwind answers: the sandbox holds a program that a crash may have taken over. */

#include "unwind/client.c"

#include "fuzz.h"
#include "unwind/sign.h"

static void sign(const json_t *answer, const char *executable)
{
	struct signature signature;
	json_t *json;

	sign_answer(answer, executable, &signature);
	json = sign_to_json(&signature);
	must_hold(json && json_is_string(json_object_get(json, "exact")));
	must_hold(!signature.loose[0] || json_is_string(json_object_get(json, "loose_text")));
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct answer_text text = { .bytes = (char *)(uintptr_t)data, .n = size };
	json_t *answer;

	if (parse(&text, &answer) != 0)
		return 0;
	sign(answer, NULL);
	sign(answer, "/usr/bin/sleep");
	json_decref(answer);
	return 0;
}
