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

/* As an object: exact, exact_text, loose, loose_text, shown, confidence, class. New reference. */
json_t *sign_to_json(const struct signature *signature);
