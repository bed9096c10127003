/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The throttle file. Random bytes do not get beyond its checksums, so the input is a list
 * of changes to a good file, whose checksums are then made right:
 *
 *   2 bytes what (part 0..4: header, place, in flight, slot, journal; + 8: leave the checksum;
 *           of the first + 16: leave the header's, + 32: without counters)
 *   2 bytes index, 2 bytes offset, 1 byte length, bytes
 */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/counters.h"
#include "io/state_format.h"
#include "state.h"

static unsigned char good[STATE_BYTES], bad[STATE_BYTES];
static char counters[1 << 16];
static size_t good_bytes, counters_bytes;

static size_t read_file(int dir_fd, const char *name, void *bytes, size_t max)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, bytes, max);

	must_hold(n > 0);
	(void)close(fd);
	return (size_t)n;
}

static void make_good(void)
{
	int dir_fd = fuzz_state();

	for (int i = 0; i < 12; i++)
		fuzz_use_state(dir_fd);
	good_bytes = read_file(dir_fd, STATE_FILE, good, sizeof(good));
	must_hold(good_bytes == sizeof(good));
	counters_bytes = read_file(dir_fd, COUNTERS_FILE, counters, sizeof(counters));
}

struct part {
	size_t at, bytes, count, crc_at;
};

static const struct part parts[] = {
	{ 0, sizeof(struct state_header), 1, offsetof(struct state_header, crc) },
	{ PLACES_AT, sizeof(struct state_place), STATE_SLOTS, offsetof(struct state_place, crc) },
	{ INFLIGHT_AT, sizeof(struct state_inflight), STATE_INFLIGHT,
	  offsetof(struct state_inflight, crc) },
	{ SLOTS_AT, sizeof(struct state_slot), STATE_SLOTS, offsetof(struct state_slot, crc) },
	{ JOURNAL_AT, sizeof(struct journal), 1, offsetof(struct journal, crc) },
};

static void change(const uint8_t *p, size_t n)
{
	const struct part *part = &parts[(p[0] & 7) % ARRAY_SIZE(parts)];
	size_t index = (size_t)(p[2] | p[3] << 8) % part->count;
	size_t offset = (size_t)(p[4] | p[5] << 8) % part->bytes;
	unsigned char *object = bad + (part->at == SLOTS_AT ? SLOT_AT(index) :
							      part->at + index * part->bytes);
	uint32_t crc;

	if (n > part->bytes - offset)
		n = part->bytes - offset;
	memcpy(object + offset, p + 7, n);
	if (p[0] & 8)
		return;
	crc = state_checksum(object, part->crc_at);
	memcpy(object + part->crc_at, &crc, sizeof(crc));
}

/* The sum over the places and the header's own checksum, unless the input cares. */
static void mend_header(void)
{
	struct state_header *header = (struct state_header *)bad;
	uint64_t sum = 0;

	for (size_t i = 0; i < STATE_SLOTS; i++)
		sum ^= ((const struct state_place *)(bad + PLACES_AT))[i].crc;
	header->places_sum = sum;
	header->crc = CRC_OF(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int dir_fd;

	if (good_bytes == 0)
		make_good();
	memcpy(bad, good, sizeof(bad));
	for (size_t at = 0; at + 7 <= size;) {
		size_t n = data[at + 6];

		if (n > size - at - 7)
			n = size - at - 7;
		change(data + at, n);
		at += 7 + n;
	}
	if (size == 0 || !(data[0] & 16))
		mend_header();
	dir_fd = fuzz_state();
	fuzz_write(dir_fd, STATE_FILE, bad, good_bytes);
	/* From them, and from what is good of the file, it is rebuilt. */
	if (size == 0 || !(data[0] & 32))
		fuzz_write(dir_fd, COUNTERS_FILE, counters, counters_bytes);
	fuzz_use_state(dir_fd);
	return 0;
}
