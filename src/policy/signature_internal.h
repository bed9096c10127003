/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Shared by the two halves of the signature: which frames make it, and how they are written. */

#include "policy/signature.h"

#define SIGNATURE_TOKEN 384
#define SIGNATURE_VIA 64

/* Frames that are looked at: all indices are into crash->frame. */
struct signature_view {
	const struct signature_crash *crash;
	size_t first;
	size_t end;
	const char *signal_name;
	char via[SIGNATURE_VIA];
	/* Frames of the key: indices, in order. */
	size_t chosen[SIGNATURE_FRAMES_DEEP];
	size_t n;
	size_t most; /* of them */
};

static inline const struct signature_frame *at(const struct signature_view *v, size_t i)
{
	return &v->crash->frame[i];
}

/* A frame as the exact key has it. */
void signature_token(const struct signature_frame *f, char token[static SIGNATURE_TOKEN]);

/* The texts of the chosen frames, their keys, and what is shown. */
void signature_write(const struct signature_view *v, struct signature *s);
