/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel's own limit for a record with all its escapes (CONSOLE_EXT_LOG_MAX). */
#define RECORD_BYTES 8192
/* Somebody may write as fast as we read. */
#define RECORDS_MAX 1000000
#define SIGHTINGS_MAX 65536

int kmsg_open(int *ret_fd)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int add(struct kmsg *kmsg, uint64_t sequence, uint64_t crashes)
{
	struct kmsg_sighting *larger;

	if (kmsg->sightings == SIGHTINGS_MAX)
		return 0; /* a lower bound it is anyway */
	larger = reallocarray(kmsg->sighting, kmsg->sightings + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	kmsg->sighting = larger;
	larger[kmsg->sightings++] =
		(struct kmsg_sighting){ .sequence = sequence, .crashes = crashes };
	return 0;
}

static int take(struct kmsg *kmsg, const char *bytes, size_t n)
{
	struct kmsg_record record;
	uint64_t crashes;

	if (kmsg_parse(bytes, n, &record) < 0)
		return 0;
	if (record.sequence >= kmsg->next_sequence)
		kmsg->next_sequence = record.sequence + 1;
	crashes = kmsg_crashes(&record);
	return crashes > 0 ? add(kmsg, record.sequence, crashes) : 0;
}

int kmsg_read(int fd, struct kmsg *kmsg)
{
	char bytes[RECORD_BYTES];
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < RECORDS_MAX; i++) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n > 0)
			r = take(kmsg, bytes, (size_t)n);
		else if (n == 0 || errno == EAGAIN)
			break;
		else if (errno != EPIPE && errno != EINTR && errno != EINVAL)
			/* EPIPE: overwritten under us. EINVAL: longer than any; the next may do. */
			return -errno;
	}
	return r;
}

void kmsg_done(struct kmsg *kmsg)
{
	free(kmsg->sighting);
	*kmsg = (struct kmsg)KMSG_NULL;
}
