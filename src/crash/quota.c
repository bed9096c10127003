/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/quota.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "core/record.h"
#include "io/cleanup.h"
#include "io/store.h"
#include "policy/quota.h"
#include "policy/units.h"

/* Records are small; this many are enough for any summary. */
#define RECORDS_MAX 10000

static uint64_t share_of(uint64_t whole, uint32_t basis_points)
{
	return whole / 10000 * basis_points;
}

static uint64_t core_disk_bytes(int store_fd, const char *id)
{
	char name[NAME_MAX];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", id, STORE_CORE_SUFFIX);
	if (fstatat(store_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t used_bytes(int store_fd, char **ids, size_t n)
{
	uint64_t used = 0;

	for (size_t i = 0; i < n; i++)
		used += core_disk_bytes(store_fd, ids[i]);
	return used;
}

uint64_t quota_keep_free(int store_fd, const struct config *config)
{
	struct statvfs fs;

	if (fstatvfs(store_fd, &fs) < 0)
		return 0;
	return share_of((uint64_t)fs.f_blocks * fs.f_frsize, config->keep_free);
}

/*
 * Old cores make room for new ones, so what is used already does not count against a new
 * core: only what one core may take at most does.
 */
void quota_budget(int store_fd, const struct config *config, struct capture_budget *budget)
{
	struct statvfs fs;

	budget->free_bytes = budget->free_inodes = budget->quota_bytes = UINT64_MAX;
	if (fstatvfs(store_fd, &fs) < 0)
		return;
	budget->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (fs.f_files > 0) /* file systems without inode limits say 0 */
		budget->free_inodes = fs.f_favail;
	budget->keep_free_bytes =
		share_of((uint64_t)fs.f_blocks * fs.f_frsize, config->keep_free);
	budget->quota_bytes = share_of((uint64_t)fs.f_blocks * fs.f_frsize, config->max_use);
}

/* ---- what has to go ---- */

static uint64_t group_of(const json_t *json, const struct record *record)
{
	const char *signature = json_string_value(json_object_get(json, "signature"));
	char text[256];

	(void)snprintf(text, sizeof(text), "%s|%d|%.128s", record->process, record->signal,
		       signature ? signature : "");
	return name_hash(text, strlen(text));
}

/* An imported crash is as old as its import: it would go as soon as it came. */
static int64_t age_of(int store_fd, const char *id, int64_t time_ns, int64_t wall_ns)
{
	char name[NAME_MAX];
	struct stat st;
	int64_t age_ns;

	(void)snprintf(name, sizeof(name), "%s%s", id, STORE_RECORD_SUFFIX);
	if (fstatat(store_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtim.tv_sec > time_ns / NS_PER_SEC)
		time_ns = st.st_mtim.tv_sec * NS_PER_SEC;
	if (__builtin_sub_overflow(wall_ns, time_ns, &age_ns))
		age_ns = time_ns < 0 ? INT64_MAX : INT64_MIN;
	return age_ns;
}

static void fill_item(int store_fd, const char *id, int64_t wall_ns, struct quota_item *item)
{
	struct record record = RECORD_NULL;
	json_t *json;

	item->bytes = core_disk_bytes(store_fd, id);
	if (store_read_record(store_fd, id, &json) < 0)
		return; /* unreadable: oldest of nobody */
	if (record_from_json(json, &record) == 0 && record_is_of(json, id)) {
		item->age_ns = age_of(store_fd, id, record.time_ns, wall_ns);
		item->uid = record.uid;
		item->group = group_of(json, &record);
	}
	json_decref(json);
}

static bool within_limits(const struct quota_limits *limits, uint64_t used, size_t n,
			  const struct config *config)
{
	return used <= limits->max_bytes && limits->must_free_bytes == 0 &&
	       (config->max_count == 0 || n <= config->max_count) && n <= RECORDS_MAX;
}

static unsigned int tell_marked(char **ids, const struct quota_item *items, size_t n,
				quota_goes *goes, void *userdata)
{
	unsigned int told = 0;

	for (size_t i = 0; i < n; i++) {
		if (!items[i].drop_core && !items[i].drop_record)
			continue;
		goes(userdata, ids[i], items[i].drop_core, items[i].drop_record);
		told++;
	}
	return told;
}

static struct quota_limits limits_now(int store_fd, const struct config *config)
{
	struct quota_limits limits = { .max_bytes = UINT64_MAX,
				       .max_count = config->max_count,
				       .max_records = RECORDS_MAX,
				       .max_age_ns = config->max_age_ns };
	struct statvfs fs;
	uint64_t free_bytes, keep_free;

	if (fstatvfs(store_fd, &fs) < 0)
		return limits;
	limits.max_bytes = share_of((uint64_t)fs.f_blocks * fs.f_frsize, config->max_use);
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	keep_free = share_of((uint64_t)fs.f_blocks * fs.f_frsize, config->keep_free);
	if (free_bytes < keep_free)
		limits.must_free_bytes = keep_free - free_bytes;
	return limits;
}

/* The id begins with the time, so the oldest can be told without opening anything. */
static bool maybe_too_old(const char *oldest_id, int64_t wall_ns, int64_t max_age_ns)
{
	struct tm tm = { 0 };

	if (max_age_ns <= 0 || !strptime(oldest_id, "%Y%m%dT%H%M%S", &tm))
		return max_age_ns > 0;
	return wall_ns - (int64_t)timegm(&tm) * NS_PER_SEC > max_age_ns;
}

unsigned int quota_each(int store_fd, const struct config *config, int64_t wall_ns,
			quota_goes *goes, void *userdata)
{
	struct quota_limits limits = limits_now(store_fd, config);
	_cleanup_free_ struct quota_item *items = NULL;
	unsigned int told = 0;
	char **ids;
	size_t n;

	if (store_list(store_fd, &ids, &n) < 0)
		return 0;
	if (n > 0 && (!within_limits(&limits, used_bytes(store_fd, ids, n), n, config) ||
		      maybe_too_old(ids[0], wall_ns, config->max_age_ns))) {
		items = calloc(n, sizeof(*items));
		for (size_t i = 0; items && i < n; i++)
			fill_item(store_fd, ids[i], wall_ns, &items[i]);
		if (items) {
			quota_plan(items, n, &limits);
			told = tell_marked(ids, items, n, goes, userdata);
		}
	}
	store_free_ids(ids, n);
	return told;
}

/* The record goes first: a core without one is litter, a record without a core is not. */
static void remove_files(void *userdata, const char *id, bool core, bool record)
{
	const int *store_fd = userdata;

	if (record)
		(void)store_remove(*store_fd, id, STORE_RECORD_SUFFIX);
	if (core)
		(void)store_remove(*store_fd, id, STORE_CORE_SUFFIX);
}

unsigned int quota_apply(int store_fd, const struct config *config, int64_t wall_ns)
{
	return quota_each(store_fd, config, wall_ns, remove_files, &store_fd);
}
