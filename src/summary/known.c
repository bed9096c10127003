/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "summary/known.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/dir.h"
#include "io/store.h"
#include "policy/units.h"

#define NEW_FILE ".signatures.new"
#define FILE_BYTES_MAX (8 << 20)
/* A record is linked after its time of writing: look a little further back. */
#define OVERLAP_S 600

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

static int64_t number_of(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

const char *known_signature_of(const json_t *json)
{
	return text_of(json, "signature");
}

const char *known_loose_of(const json_t *json)
{
	return text_of(json, "signature_loose");
}

const char *known_build_of(const json_t *json)
{
	const char *id = text_of(json, "executable_build_id");

	return *id ? id : text_of(json, "build_id");
}

/* A folded record stands for crashes of which nothing is known. */
static bool has_kind(const struct record *record)
{
	return record->decision != RECORD_FOLDED;
}

static void make_signature(const json_t *json, const struct record *record,
			   char out[static KNOWN_SIGNATURE_SIZE])
{
	const char *signature = known_signature_of(json);

	if (*signature)
		(void)snprintf(out, KNOWN_SIGNATURE_SIZE, "%s", signature);
	else
		(void)snprintf(out, KNOWN_SIGNATURE_SIZE, "signal %d", record->signal);
}

/* ---- looking up ---- */

static struct known_signature *find(const struct known *known, uint32_t uid,
				    const char *process, const char *signature)
{
	for (size_t i = 0; i < known->entries; i++) {
		struct known_signature *e = &known->entry[i];

		if (e->uid == uid && strcmp(e->signature, signature) == 0 &&
		    strcmp(e->process, process) == 0)
			return e;
	}
	return NULL;
}

/* Was the crash, under another exact signature, known before this one? */
static bool loose_was_known(const struct known *known, const struct known_signature *e)
{
	for (size_t i = 0; e->loose[0] && i < known->entries; i++) {
		const struct known_signature *o = &known->entry[i];

		if (o != e && o->uid == e->uid && o->first_s < e->first_s &&
		    strcmp(o->loose, e->loose) == 0 && strcmp(o->process, e->process) == 0)
			return true;
	}
	return false;
}

enum known_news known_news(const struct known *known, const json_t *json,
			   const struct record *record, int64_t since_s,
			   int64_t *ret_absent_s, int64_t *ret_first_ns)
{
	char signature[KNOWN_SIGNATURE_SIZE];
	const struct known_signature *e;

	*ret_absent_s = 0;
	if (!has_kind(record))
		return KNOWN_OLD;
	make_signature(json, record, signature);
	e = find(known, record->uid, record->process, signature);
	if (!e)
		return KNOWN_NEW;
	*ret_first_ns = e->first_s * NS_PER_SEC;
	if (e->first_s >= since_s)
		return loose_was_known(known, e) ? KNOWN_BUILD : KNOWN_NEW;
	if (e->back_s >= since_s) {
		*ret_absent_s = e->absent_s;
		return KNOWN_BACK;
	}
	for (size_t i = 1; i < e->builds; i++)
		if (e->build[i].first_s >= since_s)
			return KNOWN_BUILD;
	return KNOWN_OLD;
}

/* ---- merging ---- */

static void forget_oldest(struct known *known)
{
	size_t oldest = 0;

	for (size_t i = 1; i < known->entries; i++)
		if (known->entry[i].last_s < known->entry[oldest].last_s)
			oldest = i;
	known->entry[oldest] = known->entry[--known->entries];
}

static int add(struct known *known, const struct known_signature *entry)
{
	struct known_signature *larger;

	if (known->entries == KNOWN_MAX)
		forget_oldest(known);
	if (known->entries % 64 == 0) {
		larger = reallocarray(known->entry, known->entries + 64, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		known->entry = larger;
	}
	known->entry[known->entries++] = *entry;
	known->changed = true;
	return 0;
}

static void merge_build(struct known *known, struct known_signature *e, const char *build_id,
			int64_t time_s)
{
	if (!*build_id)
		return;
	for (size_t i = 0; i < e->builds; i++)
		if (strcmp(e->build[i].build_id, build_id) == 0)
			return;
	if (e->builds == KNOWN_BUILDS) {
		memmove(e->build, e->build + 1, sizeof(e->build) - sizeof(*e->build));
		e->builds--;
	}
	e->build[e->builds].first_s = time_s;
	(void)snprintf(e->build[e->builds].build_id, KNOWN_BUILD_SIZE, "%s", build_id);
	e->builds++;
	known->changed = true;
}

static void merge_time(struct known *known, struct known_signature *e,
		       const struct record *record, int64_t time_s)
{
	if (time_s >= e->first_s && time_s <= e->last_s)
		return;
	known->changed = true;
	if (time_s < e->first_s) {
		e->first_s = time_s;
		(void)snprintf(e->first_id, sizeof(e->first_id), "%s", record->id);
	}
	if (time_s <= e->last_s)
		return;
	if (time_s - e->last_s >= KNOWN_ABSENT_S) {
		e->back_s = time_s;
		e->absent_s = time_s - e->last_s;
	}
	e->last_s = time_s;
}

int known_merge(struct known *known, const json_t *json, const struct record *record)
{
	int64_t time_s = record->time_ns / NS_PER_SEC;
	struct known_signature fresh = { .uid = record->uid,
					 .first_s = time_s,
					 .last_s = time_s };
	struct known_signature *e;
	int r;

	if (!has_kind(record))
		return 0;
	make_signature(json, record, fresh.signature);
	e = find(known, record->uid, record->process, fresh.signature);
	if (!e) {
		(void)snprintf(fresh.first_id, sizeof(fresh.first_id), "%s", record->id);
		(void)snprintf(fresh.process, sizeof(fresh.process), "%s", record->process);
		(void)snprintf(fresh.loose, sizeof(fresh.loose), "%s", known_loose_of(json));
		r = add(known, &fresh);
		if (r < 0)
			return r;
		e = &known->entry[known->entries - 1];
	}
	merge_time(known, e, record, time_s);
	merge_build(known, e, known_build_of(json), time_s);
	return 0;
}

bool known_is_first(const struct known *known, const json_t *json,
		    const struct record *record)
{
	char signature[KNOWN_SIGNATURE_SIZE];
	const struct known_signature *e;

	if (!has_kind(record))
		return false;
	make_signature(json, record, signature);
	e = find(known, record->uid, record->process, signature);
	return e && strcmp(e->first_id, record->id) == 0;
}

/* ---- the file ---- */

static bool entry_of(const json_t *json, struct known_signature *ret_entry)
{
	struct known_signature e = { 0 };
	json_t *build;
	size_t i;

	if (!text_of(json, "signature")[0] || !json_is_integer(json_object_get(json, "first_time")))
		return false;
	e.uid = (uint32_t)number_of(json, "uid");
	(void)snprintf(e.process, sizeof(e.process), "%s", text_of(json, "process"));
	(void)snprintf(e.signature, sizeof(e.signature), "%s", text_of(json, "signature"));
	(void)snprintf(e.loose, sizeof(e.loose), "%s", text_of(json, "loose"));
	(void)snprintf(e.first_id, sizeof(e.first_id), "%s", text_of(json, "first_id"));
	e.first_s = number_of(json, "first_time");
	e.last_s = number_of(json, "last_time");
	e.back_s = number_of(json, "back_time");
	e.absent_s = number_of(json, "absent_seconds");
	json_array_foreach(json_object_get(json, "builds"), i, build) {
		if (e.builds == KNOWN_BUILDS)
			break;
		e.build[e.builds].first_s = number_of(build, "first_time");
		(void)snprintf(e.build[e.builds++].build_id, KNOWN_BUILD_SIZE, "%s",
			       text_of(build, "build_id"));
	}
	*ret_entry = e;
	return true;
}

static int read_lines(struct known *known, char *text)
{
	char *line, *rest = text;
	int r = 0;

	while (r == 0 && (line = strsep(&rest, "\n"))) {
		struct known_signature entry;
		json_t *json = json_loads(line, 0, NULL);

		if (json && entry_of(json, &entry))
			r = add(known, &entry);
		json_decref(json);
	}
	known->changed = false;
	return r;
}

int known_read(struct known *known, int dir_fd)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r;

	r = dir_read_file(dir_fd, KNOWN_FILE, FILE_BYTES_MAX, &text, &bytes);
	if (r == -ENOENT)
		return 0;
	return r == 0 ? read_lines(known, text) : r;
}

static json_t *entry_json(const struct known_signature *e)
{
	json_t *builds = json_array();

	for (size_t i = 0; i < e->builds; i++)
		(void)json_array_append_new(builds,
					    json_pack("{s:s, s:I}", "build_id",
						      e->build[i].build_id, "first_time",
						      (json_int_t)e->build[i].first_s));
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "uid",
			 (json_int_t)e->uid, "process", e->process, "signature", e->signature,
			 "loose", e->loose, "first_id", e->first_id, "first_time", (json_int_t)e->first_s, "last_time",
			 (json_int_t)e->last_s, "back_time", (json_int_t)e->back_s,
			 "absent_seconds", (json_int_t)e->absent_s, "builds", builds);
}

static int write_entries(const struct known *known, int fd)
{
	_cleanup_fclose_ FILE *out = fdopen(fd, "w");

	if (!out) {
		(void)close(fd);
		return -ENOMEM;
	}
	errno = 0; /* the first that fails says why, and nobody clears it */
	for (size_t i = 0; i < known->entries; i++) {
		json_t *json = entry_json(&known->entry[i]);

		if (!json || json_dumpf(json, out, JSON_COMPACT) < 0)
			(void)fprintf(out, "\n"); /* one signature less is known */
		(void)fputc('\n', out);
		json_decref(json);
	}
	if (fflush(out) != 0 || ferror(out) || fdatasync(fileno(out)) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

int known_write(struct known *known, int dir_fd)
{
	_cleanup_close_ int fd = -1;
	int out_fd, r;

	r = dir_open_file(dir_fd, NEW_FILE, O_RDWR | O_CREAT, &fd);
	if (r != 0)
		return r < 0 ? r : -EPERM;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || dir_is_named(dir_fd, NEW_FILE, fd) != 1)
		return 0; /* somebody is at it, or was just now, with the same records */
	if (ftruncate(fd, 0) < 0)
		return -errno;
	out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (out_fd < 0)
		return -errno;
	r = write_entries(known, out_fd);
	if (r == 0 && renameat(dir_fd, NEW_FILE, dir_fd, KNOWN_FILE) < 0)
		r = -errno;
	if (r == 0)
		known->changed = false;
	else
		(void)unlinkat(dir_fd, NEW_FILE, 0); /* a full disk: what is half there is nobody's */
	return r;
}

void known_done(struct known *known)
{
	free(known->entry);
	*known = (struct known)KNOWN_NULL;
}

/* ---- keeping it up to date ---- */

static bool stored_before(int store_fd, const char *id, int64_t time_s)
{
	char name[STATE_ID_SIZE + 16];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s" STORE_RECORD_SUFFIX, id);
	return fstatat(store_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ctime < time_s;
}

static int merge_stored(struct known *known, int store_fd, int64_t since_s)
{
	char **ids;
	size_t n;
	int r;

	r = store_list(store_fd, &ids, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct record record;
		json_t *json;

		if (stored_before(store_fd, ids[i], since_s) ||
		    store_read_record(store_fd, ids[i], &json) < 0)
			continue;
		if (record_from_json(json, &record) == 0 && record_is_of(json, ids[i]))
			r = known_merge(known, json, &record);
		json_decref(json);
	}
	store_free_ids(ids, n);
	return r;
}

int known_update(int dir_fd, int store_fd)
{
	struct known known = KNOWN_NULL;
	int64_t since_s = INT64_MIN;
	struct stat st;
	int r;

	/* The clock of the files, whatever it shows: only its order matters here. */
	if (fstatat(dir_fd, KNOWN_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		since_s = st.st_mtime - OVERLAP_S;
	r = known_read(&known, dir_fd);
	if (r == 0)
		r = merge_stored(&known, store_fd, since_s);
	if (r == 0 && known.changed)
		r = known_write(&known, dir_fd);
	known_done(&known);
	return r;
}
