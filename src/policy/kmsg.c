/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/kmsg.h"

#include <errno.h>
#include <string.h>

#define COMM_BYTES 15
/* 6.18 escapes the name itself (%*pE): four characters a byte at most. */
#define COMM_ESCAPED_BYTES (4 * COMM_BYTES)
#define FACILITY_SHIFT 3

/* What is left of the text. */
struct cursor {
	const char *p;
	const char *end;
};

static bool skip(struct cursor *c, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
		return false;
	c->p += n;
	return true;
}

static bool cut_tail(struct cursor *c, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(c->end - c->p) < n || memcmp(c->end - n, word, n) != 0)
		return false;
	c->end -= n;
	return true;
}

/* A number that fits; false and nothing skipped otherwise. */
static bool number(struct cursor *c, uint64_t *ret_value)
{
	const char *p = c->p;
	uint64_t value = 0;

	for (; p < c->end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	if (p == c->p)
		return false;
	c->p = p;
	*ret_value = value;
	return true;
}

int kmsg_parse(const char *bytes, size_t n, struct kmsg_record *ret_record)
{
	const char *newline = memchr(bytes, '\n', n);
	struct cursor c = { bytes, newline ? newline : bytes + n };
	struct kmsg_record record = { 0 };
	uint64_t priority;

	if (!number(&c, &priority) || !skip(&c, ",") || !number(&c, &record.sequence) ||
	    !skip(&c, ","))
		return -EINVAL;
	record.text = memchr(c.p, ';', (size_t)(c.end - c.p));
	if (!record.text)
		return -EINVAL;
	record.text++;
	record.text_bytes = (size_t)(c.end - record.text);
	record.from_kernel = priority >> FACILITY_SHIFT == 0;
	*ret_record = record;
	return 0;
}

/* Bytes that \xNN stands for count as one. */
static size_t raw_length(const struct cursor *c)
{
	size_t n = 0;

	for (const char *p = c->p; p < c->end; n++)
		p += p + 3 < c->end && p[0] == '\\' && p[1] == 'x' ? 4 : 1;
	return n;
}

/* PID(NAME between the two: what is left must be a name and nothing else. */
static bool is_victim(struct cursor c, size_t name_max)
{
	uint64_t pid;

	return number(&c, &pid) && skip(&c, "(") && raw_length(&c) <= name_max;
}

static bool matches(struct cursor c, const char *head, const char *tail, size_t name_max)
{
	return skip(&c, head) && cut_tail(&c, tail) && is_victim(c, name_max);
}

/* The handler's command line follows the name: take the first place where a name can end. */
static bool handler_failed(struct cursor c)
{
	const char *bar;
	uint64_t pid;

	if (!cut_tail(&c, " pipe failed"))
		return false;
	if (skip(&c, "Core dump to |"))
		return true;
	if (!skip(&c, "coredump: ") || !number(&c, &pid) || !skip(&c, "("))
		return false;
	bar = memmem(c.p, (size_t)(c.end - c.p), "): |", 4);
	if (!bar)
		return false;
	c.end = bar;
	return raw_length(&c) <= COMM_ESCAPED_BYTES;
}

static bool is_unseen(struct cursor c)
{
	static const struct {
		const char *head;
		const char *tail;
		size_t name_max;
	} forms[] = {
		{ "Pid ", ") over core_pipe_limit", COMM_BYTES },
		{ "Process ", ") has RLIMIT_CORE set to 1", COMM_BYTES },
		{ "coredump: ", "): over core_pipe_limit, skipping core dump",
		  COMM_ESCAPED_BYTES },
		{ "coredump: ", "): RLIMIT_CORE is set to 1, aborting core",
		  COMM_ESCAPED_BYTES },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (matches(c, forms[i].head, forms[i].tail, forms[i].name_max))
			return true;
	return handler_failed(c);
}

/* "coredump_pipe: 189 callbacks suppressed"; the function's name changed with versions. */
static bool suppressed(struct cursor c, uint64_t *ret_crashes)
{
	static const char *const functions[] = { "coredump_pipe: ", "do_coredump: ",
						 "vfs_coredump: " };

	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		struct cursor rest = c;

		if (skip(&rest, functions[i]))
			return number(&rest, ret_crashes) &&
			       skip(&rest, " callbacks suppressed") && rest.p == rest.end;
	}
	return false;
}

uint64_t kmsg_crashes(const struct kmsg_record *record)
{
	const struct cursor c = { record->text, record->text + record->text_bytes };
	uint64_t crashes;

	if (!record->from_kernel)
		return 0;
	if (suppressed(c, &crashes))
		return crashes;
	return is_unseen(c) ? 1 : 0;
}

uint64_t kmsg_count(const struct kmsg_sighting *sightings, size_t n, uint64_t from_sequence)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (sightings[i].sequence >= from_sequence &&
		    __builtin_add_overflow(sum, sightings[i].crashes, &sum))
			sum = UINT64_MAX;
	return sum;
}
