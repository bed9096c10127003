/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/mask.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of the number that begins here, 0 for none: 0x..., an address, or digits. */
static size_t number_length(const char *text)
{
	size_t n = 0, digits = 0;

	if (text[0] == '0' && text[1] == 'x' && is_hex(text[2])) {
		for (n = 2; is_hex(text[n]); n++)
			;
		return n;
	}
	while (is_hex(text[n]))
		digits += text[n] >= '0' && text[n] <= '9', n++;
	if (n >= 8 && digits > 0)
		return n;
	for (n = 0; text[n] >= '0' && text[n] <= '9'; n++)
		;
	return n;
}

void mask_numbers(const char *text, char out[static MASK_SIZE])
{
	size_t used = 0;

	while (*text != '\0' && used + 1 < MASK_SIZE) {
		size_t n = number_length(text);

		out[used++] = n > 0 ? '#' : (*text == '|' ? '/' : *text);
		text += n > 0 ? n : 1;
	}
	out[used] = '\0';
}
