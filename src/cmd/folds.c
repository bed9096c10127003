/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/folds.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "io/counters.h"
#include "io/dir.h"
#include "policy/name.h"

#define LINE_BYTES (64 * 1024)
#define KEY_BYTES (NAME_SIZE + 32)

/* One reading of what was appended. */
struct reading {
	struct folds *folds;
	folds_tell *tell;
	void *userdata;
	bool end;
};

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

static json_int_t number_of(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void fold_key(const json_t *process, char key[static KEY_BYTES])
{
	(void)snprintf(key, KEY_BYTES, "%" JSON_INTEGER_FORMAT "/%.*s",
		       number_of(process, "uid"), NAME_SIZE, text_of(process, "process"));
}

static void take_process(struct reading *reading, const json_t *process, json_int_t time_s)
{
	json_t *all = reading->folds->folded;
	json_int_t folded = number_of(process, "folded"), before;
	char key[KEY_BYTES];

	fold_key(process, key);
	before = number_of(all, key);
	if (folded == before)
		return;
	(void)json_object_set_new(all, key, json_integer(folded));
	if (before > folded)
		before = 0; /* evicted, and back: counted anew */
	if (reading->tell && !reading->end)
		reading->end = !reading->tell(reading->userdata,
					      &(struct fold){
						      .process = text_of(process, "process"),
						      .uid = number_of(process, "uid"),
						      .time_s = time_s,
						      .count = folded - before,
						      .pending = number_of(process, "pending") });
}

static void take_line(struct reading *reading, const json_t *line)
{
	json_int_t crashes = number_of(line, "crashes");
	const json_t *process;
	size_t i;

	if (crashes <= reading->folds->crashes)
		return; /* told before: of a file that was rolled up, or the end of a keep */
	reading->folds->crashes = crashes;
	json_array_foreach(json_object_get(line, "processes"), i, process)
		take_process(reading, process, number_of(line, "time"));
}

/* The bytes of whole lines among these. */
static size_t take_lines(struct reading *reading, const char *bytes, size_t n)
{
	const char *newline, *at = bytes;

	while ((newline = memchr(at, '\n', (size_t)(bytes + n - at)))) {
		json_t *line = json_loadb(at, (size_t)(newline - at), 0, NULL);

		take_line(reading, line);
		json_decref(line);
		at = newline + 1;
	}
	return (size_t)(at - bytes);
}

void folds_read(struct folds *folds, int dir_fd, folds_tell *tell, void *userdata)
{
	static char bytes[LINE_BYTES];
	struct reading reading = { .folds = folds, .tell = tell, .userdata = userdata };
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;

	if (!folds->folded)
		folds->folded = json_object();
	if (dir_open_file(dir_fd, COUNTERS_FILE, O_RDONLY, &fd) != 0 || fstat(fd, &st) < 0)
		return;
	if (st.st_ino != folds->inode || (uint64_t)st.st_size < folds->at)
		folds->at = 0;
	folds->inode = st.st_ino;
	while (!reading.end && (n = pread(fd, bytes, sizeof(bytes), (off_t)folds->at)) > 0) {
		size_t taken = take_lines(&reading, bytes, (size_t)n);

		if (taken == 0 && n < (ssize_t)sizeof(bytes))
			return; /* a line that is being written */
		/* A line longer than all is passed over. */
		folds->at += taken > 0 ? taken : (size_t)n;
	}
}

void folds_done(struct folds *folds)
{
	json_decref(folds->folded);
	*folds = (struct folds)FOLDS_NULL;
}
