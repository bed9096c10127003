/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A change cut off by SIGKILL: of the images of the file before and after a change the
 * torn ones are built, one for each prefix of the writes that made it, cuts inside a
 * write included. Each must open as the state before or after, balanced.
 */

#include "state_more.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stateutil.h"
#include "unit.h"

/* The parts of the file, in the order in which a change writes them. */
#define PAGES(bytes) (((bytes) + 4095) / 4096 * 4096)
#define PLACES_AT PAGES(sizeof(struct state_header))
#define INFLIGHT_AT (PLACES_AT + PAGES(sizeof(struct state_place) * STATE_SLOTS))
#define JOURNAL_AT (INFLIGHT_AT + PAGES(sizeof(struct state_inflight) * STATE_INFLIGHT))
#define SLOTS_PER_PAGE (4096 / sizeof(struct state_slot))
#define SLOTS_BYTES ((STATE_SLOTS + SLOTS_PER_PAGE - 1) / SLOTS_PER_PAGE * 4096)
/* Behind them: a counter and a share for each hash, and a counter for each of a claim. */
#define TALLY_BYTES ((8 + 16) * STATE_HASHES * STATE_SLOTS + 8 * STATE_HASHES * STATE_INFLIGHT)

enum part { JOURNAL, SLOTS, PLACES, INFLIGHT, HEADER, PARTS };

struct image {
	char *bytes;
	size_t n;
};

static struct image read_image(int dir_fd)
{
	struct image image;

	image.bytes = unit_read_file(dir_fd, STATE_FILE, &image.n);
	return image;
}

static size_t part_at(enum part part, size_t file_bytes)
{
	const size_t slots_end = file_bytes - TALLY_BYTES;
	const size_t at[] = { JOURNAL_AT, slots_end - SLOTS_BYTES, PLACES_AT, INFLIGHT_AT, 0 };

	return at[part];
}

static size_t part_end(enum part part, size_t file_bytes)
{
	const size_t slots_end = file_bytes - TALLY_BYTES;
	const size_t end[] = { slots_end - SLOTS_BYTES, slots_end, INFLIGHT_AT, JOURNAL_AT,
			       PLACES_AT };

	return end[part];
}

/* ---- changes ---- */

enum change { FIRST_CRASH, NEXT_CRASH, EVICTION, KEEP_BEGINS, KEEP_ENDS, HEADER_ONLY };

static const struct {
	const char *claim;
	enum change change;
} changes[] = {
	{ "the first change of a new file", FIRST_CRASH },
	{ "a crash of a known process", NEXT_CRASH },
	{ "a crash that takes another's place", EVICTION },
	{ "a keep that begins", KEEP_BEGINS },
	{ "a keep that ends", KEEP_ENDS },
	{ "a tick: the header alone", HEADER_ONLY },
};

static void change_keep(struct state *state, bool begins)
{
	struct state_slot slot;
	uint32_t index, entry;

	ck_assert_int_eq(state_claim(state, 1, "p", &index, &slot), 0);
	if (begins) {
		ck_assert_int_eq(state_inflight_take(state, &entry), 0);
		account_enter(&slot.account, 1);
		(void)snprintf(state->inflight[entry].id, STATE_ID_SIZE, "id-%u", entry);
		state->inflight[entry].weight = 1;
		state->inflight[entry].slot = index;
		state->header.inflight_used++;
	} else {
		for (entry = 0; !state->inflight[entry].id[0]; entry++)
			ck_assert_uint_lt(entry, STATE_INFLIGHT - 1);
		account_commit(&slot.account, state->inflight[entry].weight);
		memset(&state->inflight[entry], 0, sizeof(state->inflight[entry]));
		state->header.inflight_used--;
	}
	ck_assert_int_eq(state_write(state, index, &slot, entry, false), 0);
}

static void prepare(struct state *state, enum change change)
{
	char name[NAME_SIZE];

	if (change == FIRST_CRASH)
		return;
	for (int i = 0; change == EVICTION && i < STATE_SLOTS; i++) {
		(void)snprintf(name, sizeof(name), "flood-%d", i);
		crash_times(state, 666, name, 9);
	}
	if (change != EVICTION)
		crash_times(state, 1, "p", 10);
	crash_times(state, 2, "bystander", 9);
	if (change == KEEP_ENDS)
		change_keep(state, true);
}

static void apply(struct state *state, enum change change)
{
	switch (change) {
	case KEEP_BEGINS:
	case KEEP_ENDS:
		change_keep(state, change == KEEP_BEGINS);
		break;
	case HEADER_ONLY:
		state->header.hours.operational++;
		ck_assert_int_eq(state_write(state, 0, NULL, STATE_INFLIGHT, false), 0);
		break;
	default:
		crash_times(state, 1, "p", 1);
		break;
	}
}

/* ---- cutting ---- */

struct tear {
	const char *claim;
	int dir_fd;
	struct image before;
	struct image after;
	struct state_header old;
	struct state_header new;
};

/* All parts before `part` as after, `part` up to `cut`, the rest as before. */
static void write_torn(const struct tear *tear, enum part part, size_t cut)
{
	size_t n = tear->before.n;
	char *torn = malloc(n);

	ck_assert_ptr_nonnull(torn);
	memcpy(torn, tear->before.bytes, n);
	for (enum part p = JOURNAL; p < part; p++)
		memcpy(torn + part_at(p, n), tear->after.bytes + part_at(p, n),
		       part_end(p, n) - part_at(p, n));
	memcpy(torn + part_at(part, n), tear->after.bytes + part_at(part, n),
	       cut - part_at(part, n));
	unit_write_file(tear->dir_fd, STATE_FILE, torn, n);
	free(torn);
}

/* Slots and places tell the same story as the header: compare them with that image. */
static void check_same(const struct tear *tear, const struct image *image)
{
	static const enum part parts[] = { SLOTS, PLACES, INFLIGHT, HEADER };
	struct image now = read_image(tear->dir_fd);

	for (int i = 0; i < ROWS(parts); i++) {
		size_t at = part_at(parts[i], now.n), n = part_end(parts[i], now.n) - at;

		ck_assert_msg(memcmp(now.bytes + at, image->bytes + at, n) == 0,
			      "%s: part %d is of neither state", tear->claim, (int)parts[i]);
	}
}

static void check_torn(const struct tear *tear, bool must_be_new)
{
	struct state state = STATE_NULL;

	claim_int_eq(tear->claim, state_lock(&state, tear->dir_fd, 0), 0);
	claim_int_eq(tear->claim, state_verify(&state), 0);
	if (must_be_new)
		claim_int_eq(tear->claim, state.header.change, tear->new.change);
	if (state.header.change == tear->new.change) {
		ck_assert_mem_eq(&state.header, &tear->new, sizeof(tear->new));
		check_same(tear, &tear->after);
	} else {
		ck_assert_mem_eq(&state.header, &tear->old, sizeof(tear->old));
		check_same(tear, &tear->before);
	}
	crash_times(&state, 3, "later", 1); /* and counting goes on */
	claim_int_eq(tear->claim, state_verify(&state), 0);
	state_done(&state);
}

static void tear_part(const struct tear *tear, enum part part)
{
	size_t at = part_at(part, tear->before.n), end = part_end(part, tear->before.n);
	size_t step;

	while (at < end && tear->before.bytes[at] == tear->after.bytes[at])
		at++;
	while (end > at && tear->before.bytes[end - 1] == tear->after.bytes[end - 1])
		end--;
	step = (end - at) / 24 + 1;
	for (size_t cut = at; cut < end; cut += step) {
		write_torn(tear, part, cut);
		check_torn(tear, part != JOURNAL);
	}
	write_torn(tear, part, end);
	check_torn(tear, true);
}

START_TEST(test_torn)
{
	struct tear tear = { .claim = changes[_i].claim, .dir_fd = unit_dir() };
	struct state state = STATE_NULL;

	ck_assert_int_eq(state_lock(&state, tear.dir_fd, 0), 0);
	prepare(&state, changes[_i].change);
	tear.before = read_image(tear.dir_fd);
	memcpy(&tear.old, tear.before.bytes, sizeof(tear.old));
	apply(&state, changes[_i].change);
	tear.after = read_image(tear.dir_fd);
	memcpy(&tear.new, tear.after.bytes, sizeof(tear.new));
	state_done(&state);
	ck_assert_uint_eq(tear.before.n, tear.after.n);
	ck_assert_uint_eq(tear.new.change, tear.old.change + 1);
	/* unit_read_file() keeps the last sixteen files only */
	tear.before.bytes = memcpy(malloc(tear.before.n), tear.before.bytes, tear.before.n);
	tear.after.bytes = memcpy(malloc(tear.after.n), tear.after.bytes, tear.after.n);
	for (enum part part = JOURNAL; part < PARTS; part++)
		tear_part(&tear, part);
	free(tear.before.bytes);
	free(tear.after.bytes);
}
END_TEST

/* ---- damage ---- */

static const struct {
	const char *claim;
	bool crashed; /* else a new file, without a journal */
	bool damaged[PARTS];
	int lock;
	int find;
	int verify;
} damages[] = {
	{ "no damage", true, { false }, 0, 0, 0 },
	{ "the header alone comes back from the journal", true, { [HEADER] = true }, 0, 0, 0 },
	{ "the journal alone is not needed", true, { [JOURNAL] = true }, 0, 0, 0 },
	{ "header and journal", true, { [HEADER] = true, [JOURNAL] = true }, STATE_E_BAD },
	{ "the header of a new file", false, { [HEADER] = true }, STATE_E_BAD },
	{ "a slot", true, { [SLOTS] = true }, 0, STATE_E_BAD, STATE_E_BAD },
	{ "a place", true, { [PLACES] = true }, 0, 0, STATE_E_BAD },
};

static void damage(int dir_fd, enum part part)
{
	struct image image = read_image(dir_fd);

	image.bytes[part_at(part, image.n) + 16] ^= 1; /* behind the version */
	unit_write_file(dir_fd, STATE_FILE, image.bytes, image.n);
}

START_TEST(test_damage)
{
	struct state state = STATE_NULL;
	struct state_slot slot;
	uint32_t index;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	if (damages[_i].crashed)
		crash_times(&state, 1, "p", 10);
	state_done(&state);
	for (enum part part = JOURNAL; part < PARTS; part++)
		if (damages[_i].damaged[part])
			damage(dir_fd, part);
	claim_int_eq(damages[_i].claim, state_lock(&state, dir_fd, 0), damages[_i].lock);
	claim_int_eq(damages[_i].claim, state.locked, damages[_i].lock == 0);
	if (state.locked) {
		claim_int_eq(damages[_i].claim, state_verify(&state), damages[_i].verify);
		if (!damages[_i].damaged[PLACES])
			claim_int_eq(damages[_i].claim,
				     state_find(&state, 1, "p", &index, &slot), damages[_i].find);
	}
	state_done(&state);
}
END_TEST

/* ---- other versions ---- */

static const struct {
	const char *claim;
	int add; /* to the version */
	int lock;
} versions[] = {
	{ "the next version is left alone", 1, STATE_E_NEWER },
	{ "a much later one is, too", 16, STATE_E_NEWER },
	{ "one beyond that is damage", 17, STATE_E_BAD },
	{ "an earlier one is set aside, and known as that", -1, STATE_E_BAD },
};

START_TEST(test_versions)
{
	struct state state = STATE_NULL;
	struct image before, after;
	uint32_t version;
	bool left_alone = versions[_i].lock == STATE_E_NEWER;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	state_done(&state);
	before = read_image(dir_fd);
	memcpy(&version, before.bytes + offsetof(struct state_header, version), sizeof(version));
	version += (uint32_t)versions[_i].add;
	memcpy(before.bytes + offsetof(struct state_header, version), &version, sizeof(version));
	unit_write_file(dir_fd, STATE_FILE, before.bytes, before.n);
	claim_int_eq(versions[_i].claim, state_lock(&state, dir_fd, 0), versions[_i].lock);
	claim_int_eq(versions[_i].claim, state.locked, false);
	claim_int_eq(versions[_i].claim, state.older_version,
		     versions[_i].add < 0 ? version : 0);
	claim_int_eq(versions[_i].claim, faccessat(dir_fd, STATE_FILE, F_OK, 0) == 0,
		     left_alone);
	if (left_alone) {
		after = read_image(dir_fd);
		ck_assert_mem_eq(before.bytes, after.bytes, before.n);
	}
	state_done(&state);
}
END_TEST

/* Whatever the bytes are: an answer, no accident. Most damage falls on what is in use. */
START_TEST(test_random_damage)
{
	struct unit_random random = unit_random(_i);
	struct state state = STATE_NULL;
	struct image image;
	char *good;
	int dir_fd = unit_dir();

	ck_assert_int_eq(state_lock(&state, dir_fd, 0), 0);
	crash_times(&state, 1, "p", 10);
	state_done(&state);
	image = read_image(dir_fd);
	good = memcpy(malloc(image.n), image.bytes, image.n);
	for (int round = 0; round < 100; round++) {
		struct state_slot slot;
		uint32_t index;
		int r;

		memcpy(image.bytes, good, image.n);
		for (uint64_t n = 1 + unit_below(&random, 8); n > 0; n--) {
			enum part part = (enum part)unit_below(&random, PARTS);

			image.bytes[part_at(part, image.n) + unit_below(&random, 1400)] =
				(char)unit_next(&random);
		}
		unit_write_file(dir_fd, STATE_FILE, image.bytes, image.n);
		r = state_lock(&state, dir_fd, 0);
		ck_assert(r == 0 || r == STATE_E_BAD || r == STATE_E_NEWER);
		if (r == 0) {
			r = state_verify(&state);
			ck_assert(r == 0 || r == STATE_E_BAD || r == STATE_E_NEWER);
			r = state_find(&state, 1, "p", &index, &slot);
			ck_assert(r == 0 || r == STATE_E_BAD || r == STATE_E_NONE);
		}
		state_done(&state);
	}
	free(good);
}
END_TEST

void state_torn_cases(Suite *suite)
{
	TCase *torn = unit_case(suite, "torn");

	tcase_add_loop_test(torn, test_torn, 0, ROWS(changes));
	tcase_add_loop_test(torn, test_damage, 0, ROWS(damages));
	tcase_add_loop_test(torn, test_versions, 0, ROWS(versions));
	tcase_add_loop_test(torn, test_random_damage, 0, 4);
}
