/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/corefile_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "io/cleanup.h"
#include "io/dir.h"

/* A foreign gzip may claim anything; this much of it is unpacked. */
#define FOREIGN_MAX (64ULL << 30)

static ssize_t read_full(int fd, void *bytes, size_t n, uint64_t at)
{
	char *p = bytes;
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, p + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static void note_damage(struct corefile *file, uint64_t stored_at)
{
	if (!file->damaged)
		file->damaged_at = stored_at;
	file->damaged = true;
}

/* ---- opening ---- */

static int add_member(struct corefile *file, size_t *room, const struct member_place *place)
{
	if (file->members == *room) {
		struct member_place *larger;

		*room = *room ? *room * 2 : 256;
		larger = reallocarray(file->member, *room, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		file->member = larger;
	}
	file->member[file->members++] = *place;
	file->size = place->plain_at + place->size.plain_bytes;
	return 0;
}

/* Hops from header to header. A file cut off inside a member ends before that member. */
static int index_members(struct corefile *file, uint64_t file_bytes)
{
	struct member_place place = { 0 };
	size_t room = 0;

	while (place.stored_at < file_bytes) {
		unsigned char header[MEMBER_HEADER];
		ssize_t n = read_full(file->fd, header, sizeof(header), place.stored_at);
		int r;

		if (n < 0)
			return (int)n;
		r = member_read_size(header, (size_t)n, &place.size);
		if (r == MEMBER_E_FOREIGN && file->members == 0)
			return r;
		if (r != 0 || place.stored_at + place.size.stored_bytes > file_bytes) {
			note_damage(file, place.stored_at);
			break;
		}
		r = add_member(file, &room, &place);
		if (r < 0)
			return r;
		place.stored_at += place.size.stored_bytes;
		place.plain_at += place.size.plain_bytes;
	}
	return file->members > 0 ? 0 : MEMBER_E_FOREIGN;
}

static int gzerror_number(gzFile gz)
{
	int number = Z_OK;

	(void)gzerror(gz, &number);
	return number;
}

static int copy_gzip(struct corefile *file, gzFile gz, int to_fd)
{
	_cleanup_free_ unsigned char *buffer = malloc(MEMBER_PLAIN);
	uint64_t total = 0;

	if (!buffer)
		return -ENOMEM;
	while (total < FOREIGN_MAX) {
		int n = gzread(gz, buffer, MEMBER_PLAIN);
		int r;

		/* What came before damage stays usable. */
		if (n < 0 || (n == 0 && gzerror_number(gz) != Z_OK))
			note_damage(file, (uint64_t)gzoffset(gz));
		if (n <= 0)
			break;
		r = dir_write_all(to_fd, buffer, (size_t)n);
		if (r < 0)
			return r;
		total += (uint64_t)n;
	}
	file->size = total;
	return 0;
}

/* Any other gzip: unpacked once into a file without a name. */
static int unpack_foreign(struct corefile *file)
{
	_cleanup_close_ int out = open(getenv("TMPDIR") ?: "/var/tmp",
				       O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	gzFile gz;
	int in, r;

	if (out < 0)
		out = memfd_create("corefold", MFD_CLOEXEC);
	if (out < 0)
		return -errno;
	in = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
	if (in < 0 || lseek(in, 0, SEEK_SET) < 0)
		return -errno;
	gz = gzdopen(in, "rb");
	if (!gz) {
		(void)close(in);
		return -ENOMEM;
	}
	r = copy_gzip(file, gz, out);
	(void)gzclose_r(gz);
	if (r < 0)
		return r;
	close_fd(&file->fd);
	file->fd = take_fd(&out);
	return 0;
}

static int open_form(struct corefile *file)
{
	unsigned char magic[SELFMAG] = { 0 };
	struct stat st;
	ssize_t n;
	int r;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	n = read_full(file->fd, magic, sizeof(magic), 0);
	if (n < 0)
		return (int)n;
	if (magic[0] != 0x1f || magic[1] != 0x8b) {
		file->size = (uint64_t)st.st_size;
		file->noise = memcmp(magic, ELFMAG, SELFMAG) != 0;
		return 0;
	}
	r = index_members(file, (uint64_t)st.st_size);
	if (r == MEMBER_E_FOREIGN) {
		file->damaged = false; /* the chain of members is; gzip may not need it */
		return unpack_foreign(file);
	}
	if (r < 0)
		return r;
	file->plain = malloc(MEMBER_PLAIN);
	file->stored = malloc(MEMBER_BOUND);
	return file->plain && file->stored ? 0 : -ENOMEM;
}

int corefile_open(int fd, struct corefile **ret_file)
{
	struct corefile *file = calloc(1, sizeof(*file));
	int r;

	if (!file) {
		(void)close(fd);
		return -ENOMEM;
	}
	file->fd = fd;
	file->cached = SIZE_MAX;
	r = open_form(file);
	if (r != 0) {
		corefile_free(file);
		return r;
	}
	*ret_file = file;
	return 0;
}

void corefile_free(struct corefile *file)
{
	if (!file)
		return;
	elfcore_done(&file->core);
	free(file->by_address);
	free(file->head);
	free(file->member);
	free(file->plain);
	free(file->stored);
	(void)close(file->fd);
	free(file);
}

bool corefile_is_noise(const struct corefile *file)
{
	return file->noise;
}

int corefile_fd(const struct corefile *file)
{
	return file->fd;
}

uint64_t corefile_size(const struct corefile *file)
{
	return file->size;
}

/* ---- reading ---- */

/* The member that holds this plain offset; all but the last have the same size by custom only. */
static size_t member_of(const struct corefile *file, uint64_t offset)
{
	size_t low = 0, high = file->members;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (file->member[middle].plain_at <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int unpack_member(const struct corefile *file, size_t index, void *stored, void *plain)
{
	const struct member_place *place = &file->member[index];
	ssize_t n;

	n = read_full(file->fd, stored, place->size.stored_bytes, place->stored_at);
	if (n != (ssize_t)place->size.stored_bytes)
		return n < 0 ? (int)n : -EIO;
	return member_read(stored, &place->size, plain) == 0 ? 0 : -EIO;
}

ssize_t corefile_read_block(const struct corefile *file, size_t index, void *scratch,
			    void *block, uint64_t *ret_offset)
{
	int r;

	if (!file->member) {
		*ret_offset = (uint64_t)index * MEMBER_PLAIN;
		return read_full(file->fd, block, MEMBER_PLAIN, *ret_offset);
	}
	if (index >= file->members)
		return 0;
	*ret_offset = file->member[index].plain_at;
	r = unpack_member(file, index, scratch, block);
	return r < 0 ? r : (ssize_t)file->member[index].size.plain_bytes;
}

static int load_member(struct corefile *file, size_t index)
{
	int r;

	if (file->cached == index)
		return 0;
	file->cached = SIZE_MAX;
	r = unpack_member(file, index, file->stored, file->plain);
	if (r == 0)
		file->cached = index;
	else
		note_damage(file, file->member[index].stored_at);
	return r;
}

ssize_t corefile_read(struct corefile *file, void *bytes, size_t n, uint64_t offset)
{
	unsigned char *p = bytes;
	size_t done = 0;

	if (!file->member)
		return read_full(file->fd, bytes, n, offset);
	while (done < n && offset + done < file->size) {
		size_t index = member_of(file, offset + done);
		const struct member_place *place = &file->member[index];
		uint64_t skip = offset + done - place->plain_at;
		size_t part = place->size.plain_bytes - (size_t)skip;
		int r;

		if (part > n - done)
			part = n - done;
		r = load_member(file, index);
		if (r < 0)
			return done > 0 ? (ssize_t)done : r;
		memcpy(p + done, file->plain + skip, part);
		done += part;
	}
	return (ssize_t)done;
}
