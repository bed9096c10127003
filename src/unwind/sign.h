/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The signature of an answer. */

#include <jansson.h>

#include "policy/signature.h"

/*
 * `executable` NULL: as the answer names it. Missing and strange fields are as unknown
 * ones: there is always a signature.
 */
void sign_answer(const json_t *answer, const char *executable,
		 struct signature *ret_signature);

/*
 * Text of a signature for JSON, which takes UTF-8 only: a name that was cut within a
 * character is none any more. New reference.
 */
json_t *sign_text(const char *text);

/* As an object: exact, exact_text, loose, loose_text, shown, confidence, class. New reference. */
json_t *sign_to_json(const struct signature *signature);
