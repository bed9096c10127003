/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/tar.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "io/dir.h"

#define BLOCK 512u
#define BUFFER (128u * 1024)
#define OCTAL_SIZE_MAX 077777777777ULL
#define LEVEL 3 /* programs shrink to a third with it, and nobody waits long */

struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[8]; /* "ustar", NUL, "00" */
	char user[32];
	char group[32];
	char device[16];
	char prefix[155];
	char padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

struct tar {
	gzFile gz;
	bool writes;
	uint64_t left; /* of the file being read */
	uint64_t pad; /* behind it */
	unsigned char buffer[BUFFER];
};

/* ---- opening and closing ---- */

static struct tar *tar_new(int fd, const char *mode)
{
	struct tar *tar = calloc(1, sizeof(*tar));
	int own_fd = dup(fd); /* gzclose() closes what it has */

	if (tar && own_fd >= 0)
		tar->gz = gzdopen(own_fd, mode);
	if (tar && tar->gz)
		return tar;
	if (own_fd >= 0)
		(void)close(own_fd);
	free(tar);
	return NULL;
}

struct tar *tar_new_writer(int fd)
{
	struct tar *tar = tar_new(fd, "wb");

	if (!tar)
		return NULL;
	tar->writes = true;
	(void)gzbuffer(tar->gz, BUFFER);
	(void)gzsetparams(tar->gz, LEVEL, Z_DEFAULT_STRATEGY);
	return tar;
}

struct tar *tar_new_reader(int fd)
{
	return tar_new(fd, "rb");
}

static int put(struct tar *tar, const void *bytes, size_t n)
{
	int error;

	if (n == 0 || gzwrite(tar->gz, bytes, (unsigned int)n) == (int)n)
		return 0;
	(void)gzerror(tar->gz, &error);
	return error == Z_ERRNO && errno ? -errno : -EIO;
}

int tar_close(struct tar *tar)
{
	static const char end[2 * BLOCK];
	int r = tar->writes ? put(tar, end, sizeof(end)) : 0;
	int closed;

	errno = 0;
	closed = gzclose(tar->gz);
	if (closed != Z_OK && r == 0 && tar->writes)
		r = closed == Z_ERRNO && errno ? -errno : -EIO;
	free(tar);
	return r;
}

/* ---- headers ---- */

static unsigned int checksum(const struct header *header)
{
	const unsigned char *p = (const unsigned char *)header;
	unsigned int sum = 0;

	for (size_t i = 0; i < BLOCK; i++) {
		bool own = i >= offsetof(struct header, checksum) &&
			   i < offsetof(struct header, type);

		sum += own ? ' ' : p[i];
	}
	return sum;
}

static void put_size(char out[static 12], uint64_t bytes)
{
	if (bytes <= OCTAL_SIZE_MAX) {
		(void)snprintf(out, 12, "%011llo", (unsigned long long)bytes);
		return;
	}
	memset(out, 0, 12);
	out[0] = (char)0x80; /* GNU: the number in base 256 */
	for (int i = 11; i > 3; i--, bytes >>= 8)
		out[i] = (char)(bytes & 0xff);
}

static int get_octal(const char *field, size_t n, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t i = 0;

	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		number = number << 3 | (uint64_t)(field[i] - '0');
	*ret_number = number;
	return i > 0 && (i == n || field[i] == '\0' || field[i] == ' ') ? 0 : TAR_E_BAD;
}

static int get_size(const char field[static 12], uint64_t *ret_bytes)
{
	if (!((unsigned char)field[0] & 0x80))
		return get_octal(field, 12, ret_bytes);
	if ((unsigned char)field[0] != 0x80 || field[1] || field[2] || field[3])
		return TAR_E_BAD;
	*ret_bytes = 0;
	for (int i = 4; i < 12; i++)
		*ret_bytes = *ret_bytes << 8 | (unsigned char)field[i];
	return *ret_bytes <= INT64_MAX ? 0 : TAR_E_BAD;
}

/* A name of more than a hundred bytes is parted at a slash. */
static int put_name(struct header *header, const char *name)
{
	size_t n = strlen(name);
	const char *slash = name;

	if (n <= sizeof(header->name)) {
		memcpy(header->name, name, n);
		return 0;
	}
	slash = strchr(name + n - sizeof(header->name) - 1, '/');
	if (!slash || !slash[1] || (size_t)(slash - name) > sizeof(header->prefix))
		return -ENAMETOOLONG;
	memcpy(header->prefix, name, (size_t)(slash - name));
	memcpy(header->name, slash + 1, n - (size_t)(slash - name) - 1);
	return 0;
}

static int put_header(struct tar *tar, const char *name, uint64_t bytes)
{
	struct header header = { .type = '0' };
	int r;

	r = put_name(&header, name);
	if (r < 0)
		return r;
	memcpy(header.mode, "0000600", 8);
	memcpy(header.uid, "0000000", 8);
	memcpy(header.gid, "0000000", 8);
	put_size(header.size, bytes);
	(void)snprintf(header.mtime, sizeof(header.mtime), "%011llo",
		       (unsigned long long)time(NULL) & OCTAL_SIZE_MAX);
	memcpy(header.magic, "ustar\0"
			     "00",
	       8);
	(void)snprintf(header.checksum, sizeof(header.checksum), "%06o", checksum(&header));
	header.checksum[7] = ' ';
	return put(tar, &header, BLOCK);
}

/* ---- writing ---- */

static uint64_t padding_of(uint64_t bytes)
{
	return (BLOCK - bytes % BLOCK) % BLOCK;
}

static int put_padding(struct tar *tar, uint64_t bytes)
{
	static const char zeros[BLOCK];

	return put(tar, zeros, (size_t)padding_of(bytes));
}

static int copy_from(struct tar *tar, int fd, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes;) {
		size_t wanted = bytes - at < BUFFER ? (size_t)(bytes - at) : BUFFER;
		ssize_t n = pread(fd, tar->buffer, wanted, (off_t)at);
		int r;

		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* it was longer when it was looked at */
		r = put(tar, tar->buffer, (size_t)n);
		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	return put_padding(tar, bytes);
}

int tar_put_fd(struct tar *tar, const char *name, int fd, uint64_t bytes, bool packed)
{
	int r;

	r = put_header(tar, name, bytes);
	if (r == 0 && packed)
		(void)gzsetparams(tar->gz, Z_NO_COMPRESSION, Z_DEFAULT_STRATEGY);
	if (r == 0)
		r = copy_from(tar, fd, bytes);
	if (packed)
		(void)gzsetparams(tar->gz, LEVEL, Z_DEFAULT_STRATEGY);
	return r;
}

int tar_put_bytes(struct tar *tar, const char *name, const void *bytes, uint64_t n)
{
	int r;

	r = put_header(tar, name, n);
	if (r == 0)
		r = put(tar, bytes, (size_t)n);
	return r == 0 ? put_padding(tar, n) : r;
}

/* ---- reading ---- */

static int get(struct tar *tar, void *bytes, size_t n)
{
	return gzread(tar->gz, bytes, (unsigned int)n) == (int)n ? 0 : TAR_E_BAD;
}

static int skip(struct tar *tar, uint64_t bytes)
{
	while (bytes > 0) {
		size_t n = bytes < BUFFER ? (size_t)bytes : BUFFER;
		int r = get(tar, tar->buffer, n);

		if (r != 0)
			return r;
		bytes -= n;
	}
	return 0;
}

int tar_read_fd(struct tar *tar, int fd)
{
	while (tar->left > 0) {
		size_t n = tar->left < BUFFER ? (size_t)tar->left : BUFFER;
		int r = get(tar, tar->buffer, n);

		if (r == 0 && fd >= 0)
			r = dir_write_all(fd, tar->buffer, n);
		if (r != 0)
			return r;
		tar->left -= n;
	}
	return 0;
}

static int check(const struct header *header, uint64_t *ret_bytes)
{
	uint64_t sum;

	if (memcmp(header->magic, "ustar", 5) != 0 ||
	    get_octal(header->checksum, sizeof(header->checksum), &sum) != 0 ||
	    sum != checksum(header))
		return TAR_E_BAD;
	return get_size(header->size, ret_bytes);
}

static void get_name(const struct header *header, char name[static TAR_NAME_SIZE])
{
	(void)snprintf(name, TAR_NAME_SIZE, "%.155s%s%.100s", header->prefix,
		       header->prefix[0] ? "/" : "", header->name);
}

int tar_next(struct tar *tar, char ret_name[static TAR_NAME_SIZE], uint64_t *ret_bytes)
{
	static const struct header end;
	struct header header;
	int r;

	for (;;) {
		r = tar_read_fd(tar, -1);
		if (r == 0)
			r = skip(tar, tar->pad);
		tar->pad = 0;
		if (r == 0)
			r = get(tar, &header, BLOCK);
		if (r != 0)
			return r;
		if (memcmp(&header, &end, BLOCK) == 0)
			return TAR_E_END;
		r = check(&header, ret_bytes);
		if (r != 0)
			return r;
		tar->left = *ret_bytes;
		tar->pad = padding_of(*ret_bytes);
		if (header.type != '0' && header.type != '\0')
			continue;
		get_name(&header, ret_name);
		return 0;
	}
}
