/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/fulls.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "io/state.h"
#include "io/store.h"

#define BUCKETS 128u
#define WAYS 8u
/* A capture that has left no core after that was given up. */
#define UNDER_WAY_S 600
#define LOCK_TRIES 20u
#define LOCK_WAIT_NS 1000000

struct capture {
	char id[STATE_ID_SIZE];
	int64_t at_s; /* wall clock */
};

struct kind {
	uint64_t key; /* 0: free */
	int64_t last_s;
	struct capture capture[FULLS_IDS];
};

struct bucket {
	struct kind kind[WAYS];
};

/* The file under its lock, with the one bucket that matters. */
struct table {
	int fd;
	off_t at;
	struct bucket bucket;
};

static bool lock(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_WAIT_NS };

	for (unsigned int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* False when the table is not to be had: the file is closed by the caller all the same. */
static bool open_table(struct table *table, int dir_fd, uint64_t key)
{
	if (dir_open_file(dir_fd, FULLS_FILE, O_RDWR | O_CREAT, &table->fd) != 0 ||
	    !lock(table->fd))
		return false;
	table->at = (off_t)(key % BUCKETS * sizeof(table->bucket));
	memset(&table->bucket, 0, sizeof(table->bucket));
	if (pread(table->fd, &table->bucket, sizeof(table->bucket), table->at) < 0)
		return false;
	for (size_t i = 0; i < WAYS; i++)
		for (size_t j = 0; j < FULLS_IDS; j++)
			table->bucket.kind[i].capture[j].id[STATE_ID_SIZE - 1] = '\0';
	return true;
}

static void write_table(const struct table *table)
{
	/* Torn or not written, it answers wrong once: see above. */
	ssize_t n = pwrite(table->fd, &table->bucket, sizeof(table->bucket), table->at);

	(void)n;
}

/* The kind's place, or the one that has been quiet for longest. */
static struct kind *find_kind(struct bucket *bucket, uint64_t key)
{
	struct kind *oldest = &bucket->kind[0];

	for (size_t i = 0; i < WAYS; i++) {
		struct kind *kind = &bucket->kind[i];

		if (kind->key == key)
			return kind;
		if (kind->key == 0 || kind->last_s < oldest->last_s)
			oldest = kind;
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->key = key;
	return oldest;
}

static bool is_there(int store_fd, const struct capture *capture, int64_t wall_seconds)
{
	if (!store_is_id(capture->id))
		return false;
	if (store_has(store_fd, capture->id, STORE_CORE_SUFFIX))
		return true;
	return !store_has(store_fd, capture->id, STORE_RECORD_SUFFIX) &&
	       wall_seconds - capture->at_s < UNDER_WAY_S &&
	       capture->at_s - wall_seconds < UNDER_WAY_S;
}

static uint32_t drop_gone(struct kind *kind, int store_fd, int64_t wall_seconds)
{
	uint32_t n = 0;

	for (size_t i = 0; i < FULLS_IDS; i++) {
		if (is_there(store_fd, &kind->capture[i], wall_seconds))
			n++;
		else
			memset(&kind->capture[i], 0, sizeof(kind->capture[i]));
	}
	return n;
}

/* In a free place; if there is none the limit is beyond what is remembered. */
static void enter(struct kind *kind, const char *id, int64_t wall_seconds)
{
	kind->last_s = wall_seconds;
	for (size_t i = 0; i < FULLS_IDS; i++) {
		struct capture *capture = &kind->capture[i];

		if (capture->id[0] != '\0')
			continue;
		(void)snprintf(capture->id, sizeof(capture->id), "%s", id);
		capture->at_s = wall_seconds;
		return;
	}
}

uint32_t fulls_claim(int dir_fd, int store_fd, uint64_t key, const char *id, uint32_t limit,
		     int64_t wall_seconds)
{
	struct table table = { .fd = -1 };
	struct kind *kind;
	uint32_t n = 0;

	if (open_table(&table, dir_fd, key)) {
		kind = find_kind(&table.bucket, key);
		n = drop_gone(kind, store_fd, wall_seconds);
		if (n < limit)
			enter(kind, id, wall_seconds);
		write_table(&table);
	}
	close_fd(&table.fd);
	return n;
}

void fulls_forget(int dir_fd, uint64_t key, const char *id)
{
	struct table table = { .fd = -1 };
	struct kind *kind;

	if (open_table(&table, dir_fd, key)) {
		kind = find_kind(&table.bucket, key);
		for (size_t i = 0; i < FULLS_IDS; i++)
			if (strcmp(kind->capture[i].id, id) == 0)
				memset(&kind->capture[i], 0, sizeof(kind->capture[i]));
		write_table(&table);
	}
	close_fd(&table.fd);
}
