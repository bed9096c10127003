/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The directory of cores and records: ID.core.gz and ID.json.
 *
 * A file appears under its name whole and durable, or not at all. The record is linked
 * after its core, so a core without a record is the remains of a killed handler and
 * nobody's property.
 */

#include <jansson.h>
#include <stdint.h>

#include "io/state.h"

#define STORE_DIR "cores"
#define STORE_CORE_SUFFIX ".core.gz"
#define STORE_RECORD_SUFFIX ".json"

/* A file being written, not yet visible. */
struct store_file {
	int fd;
	char temp[48]; /* name where the file system has no O_TMPFILE, else "" */
};
#define STORE_FILE_NULL { .fd = -1 }

/* Opens `cores` below the state directory, made if missing. */
int store_open(int state_fd, int *ret_store_fd);

int store_begin(int store_fd, struct store_file *file);
/* Durable, then visible as id + suffix. The file is closed and empty afterwards, failed or not. */
int store_finish(int store_fd, struct store_file *file, const char *id, const char *suffix);
void store_abort(int store_fd, struct store_file *file);

/* Makes what was linked survive a power cut. */
int store_sync(int store_fd);

int store_put_record(int store_fd, const char *id, const json_t *record);
/* In place of the one that is there: the old one or the new one, whatever happens. -ENOENT: none is. */
int store_replace_record(int store_fd, const char *id, const json_t *record);
int store_read_record(int store_fd, const char *id, json_t **ret_record);
int store_open_core(int store_fd, const char *id, int *ret_fd);
/* 1 or 0; -errno when it cannot be told, which nobody may take for 0. */
int store_has(int store_fd, const char *id, const char *suffix);
/* 0 also where it is gone already. What stays although -errno is found again by the next prune. */
int store_remove(int store_fd, const char *id, const char *suffix);

/* Ids that have a record, sorted by time. Freed with store_free_ids(). */
int store_list(int store_fd, char ***ret_ids, size_t *ret_n);
void store_free_ids(char **ids, size_t n);

/* Removes temporary files, and cores without a record, that are older than age_seconds. */
void store_clean(int store_fd, int64_t wall_seconds, int64_t age_seconds);

/* Is this text an id (and so a safe part of a file name)? */
bool store_is_id(const char *text);
