/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/name.h"

#include <stdio.h>
#include <string.h>

#define HASH_SUFFIX 9 /* "~" and eight hex digits */

uint64_t name_hash(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return hash;
}

/* Bytes in the sequence that this lead byte opens, 0 when it opens none. */
static size_t sequence_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead < 0xe0)
		return 2;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	if (lead >= 0xf0 && lead < 0xf5)
		return 4;
	return 0;
}

static uint32_t sequence_value(const unsigned char *p, size_t length)
{
	static const unsigned char lead_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t value = p[0] & lead_bits[length];

	for (size_t i = 1; i < length; i++)
		value = value << 6 | (p[i] & 0x3f);
	return value;
}

/* Would a terminal, a mail reader or a browser do something with it other than draw it? */
static bool draws(uint32_t value)
{
	if (value < 0x20 || (value >= 0x7f && value < 0xa0))
		return false;
	if (value == 0xad || value == 0x61c || value == 0xfeff)
		return false; /* soft hyphen, Arabic letter mark, byte order mark */
	if (value >= 0x200b && value <= 0x200f)
		return false; /* zero width, direction marks */
	if (value >= 0x2028 && value <= 0x202e)
		return false; /* line separators, embeddings, overrides */
	if (value >= 0x2060 && value <= 0x206f)
		return false; /* invisible operators, isolates */
	if (value == 0x180e || (value >= 0xe0000 && value <= 0xe0fff))
		return false; /* Mongolian vowel separator, tags: formatting without a shape */
	return value < 0xfff0 || value > 0xffff;
}

/* Length of the drawable character at p, 0 when its first byte must be escaped. */
static size_t drawable(const unsigned char *p, size_t left)
{
	static const uint32_t shortest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = sequence_length(p[0]);
	uint32_t value;

	if (length == 0 || length > left || p[0] == '\\')
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	value = sequence_value(p, length);
	if (value < shortest[length] || value > 0x10ffff ||
	    (value >= 0xd800 && value < 0xe000))
		return 0;
	return draws(value) ? length : 0;
}

bool name_draws(const char *text, size_t bytes)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < bytes;) {
		size_t length = p[i] == '\\' ? 1 : drawable(p + i, bytes - i);

		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

size_t name_escape(const char *raw, size_t raw_bytes, char *out, size_t out_size)
{
	const unsigned char *p = (const unsigned char *)raw;
	size_t in = 0, used = 0;

	while (in < raw_bytes) {
		size_t length = drawable(p + in, raw_bytes - in);
		size_t need = length > 0 ? length : 4;

		if (used + need >= out_size)
			break;
		if (length > 0) {
			memcpy(out + used, p + in, length);
			in += length;
		} else {
			(void)snprintf(out + used, 5, "\\x%02x", p[in]);
			in++;
		}
		used += need;
	}
	if (out_size > 0)
		out[used] = '\0';
	return in;
}

void name_clean(const char *raw, size_t raw_bytes, char ret_name[static NAME_SIZE])
{
	char name[NAME_SIZE];

	if (raw_bytes == 0) {
		(void)snprintf(ret_name, NAME_SIZE, "(unnamed)");
		return;
	}
	if (name_escape(raw, raw_bytes, name, sizeof(name)) < raw_bytes) {
		(void)name_escape(raw, raw_bytes, name, sizeof(name) - HASH_SUFFIX);
		(void)snprintf(name + strlen(name), HASH_SUFFIX + 1, "~%08x",
			       (unsigned int)(name_hash(raw, raw_bytes) & 0xffffffff));
	}
	memcpy(ret_name, name, sizeof(name));
}

/* "sshd: root@pts/0" and "postgres: a b [local]" are titles; the program is what stands before. */
static size_t without_title(const char *argv0, size_t n)
{
	const char *title = memmem(argv0, n, ": ", 2);

	return title && title != argv0 ? (size_t)(title - argv0) : n;
}

static bool last_component(const char *path, size_t n, const char **ret_name, size_t *ret_bytes)
{
	const char *slash;

	while (n > 0 && path[n - 1] == '/')
		n--;
	if (n == 0)
		return false;
	slash = memrchr(path, '/', n);
	*ret_name = slash ? slash + 1 : path;
	*ret_bytes = n - (size_t)(*ret_name - path);
	return true;
}

void name_of_process(const char *argv0, size_t argv0_bytes, const char *executable,
		     const char *comm, char ret_name[static NAME_SIZE])
{
	const char *name = "";
	size_t bytes = 0;

	if (argv0 && last_component(argv0, without_title(argv0, argv0_bytes), &name, &bytes))
		;
	else if (executable && last_component(executable, strlen(executable), &name, &bytes))
		;
	else if (comm) {
		name = comm;
		bytes = strlen(comm);
	}
	name_clean(name, bytes, ret_name);
}
