/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "io/config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "io/cleanup.h"
#include "io/compat.h"
#include "io/dir.h"
#include "io/fulls.h"
#include "policy/units.h"

#define CONFIG_FILE_MAX (64 * 1024)
#define CONFIG_FILES_MAX 64
#define TEXT_OF(n) #n
#define AS_TEXT(n) TEXT_OF(n)
#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* of editors that write one before UTF-8 */

enum value_type {
	VALUE_BOOL,
	VALUE_U32,
	VALUE_U64,
	VALUE_BYTES,
	VALUE_SPAN,
	VALUE_SHARE,
	VALUE_KIND,
	VALUE_PATH,
	VALUE_TEXT,
};

struct key {
	const char *section;
	const char *name;
	enum value_type type;
	size_t offset;
	uint64_t min;
	uint64_t max;
};

#define KEY(s, n, t, field, lo, hi) { s, n, t, offsetof(struct config, field), lo, hi }
#define YEARS_NS (100ULL * UNITS_YEAR_NS)

static const struct key keys[] = {
	KEY("Throttle", "Enabled", VALUE_BOOL, throttle.enabled, 0, 0),
	KEY("Throttle", "CrashLoopLimit", VALUE_U32, throttle.limit, 1, THROTTLE_LIMIT_MAX),
	KEY("Throttle", "AgeOut", VALUE_SPAN, throttle.age_out_ns, 1, YEARS_NS),
	KEY("Throttle", "ReportEvery", VALUE_U32, throttle.report_every, 1, UINT32_MAX),
	KEY("Throttle", "NovelPerProcess", VALUE_U32, throttle.novel_per_window, 0,
	    THROTTLE_NOVEL_MAX),
	KEY("Throttle", "SlowLoopLimit", VALUE_U32, throttle.slow_limit, 0, THROTTLE_LIMIT_MAX),
	KEY("Throttle", "SlowLoopWindow", VALUE_SPAN, throttle.slow_window_ns, 1, YEARS_NS),
	KEY("Throttle", "PendingMax", VALUE_SPAN, pending_max_ns, 1, YEARS_NS),
	KEY("Capture", "Kind", VALUE_KIND, kind, 0, 0),
	KEY("Capture", "MaxCoreSize", VALUE_BYTES, max_core_bytes, 0, INT64_MAX),
	KEY("Capture", "MaxHold", VALUE_SPAN, max_hold_ns, 1, YEARS_NS),
	KEY("Capture", "Buffer", VALUE_BYTES, buffer_bytes, 1 << 20, INT64_MAX),
	KEY("Capture", "MaxCaptures", VALUE_U32, max_captures, 1, 256),
	KEY("Capture", "ThreadStack", VALUE_BYTES, thread_stack_bytes, 4096, 1 << 30),
	KEY("Capture", "FullPerSignature", VALUE_U32, full_per_signature, 0, FULLS_IDS),
	KEY("Capture", "HonorRlimit", VALUE_BOOL, honor_rlimit, 0, 0),
	KEY("Capture", "RecordArgv", VALUE_BOOL, record_argv, 0, 0),
	KEY("Store", "Directory", VALUE_PATH, directory, 0, PATH_MAX),
	KEY("Store", "MaxUse", VALUE_SHARE, max_use, 0, 0),
	KEY("Store", "KeepFree", VALUE_SHARE, keep_free, 0, 0),
	KEY("Store", "MaxAge", VALUE_SPAN, max_age_ns, 0, YEARS_NS),
	KEY("Store", "MaxCount", VALUE_U64, max_count, 0, INT64_MAX),
	KEY("Hours", "Interval", VALUE_SPAN, interval_ns, 1000000, YEARS_NS),
	KEY("Hook", "OnKeep", VALUE_TEXT, on_keep, 0, CONFIG_COMMAND_SIZE),
	KEY("Hook", "OnNewSignature", VALUE_TEXT, on_new_signature, 0, CONFIG_COMMAND_SIZE),
	KEY("Hook", "OnLoopStart", VALUE_TEXT, on_loop_start, 0, CONFIG_COMMAND_SIZE),
	KEY("Hook", "OnLoopEnd", VALUE_TEXT, on_loop_end, 0, CONFIG_COMMAND_SIZE),
	KEY("Hook", "Timeout", VALUE_SPAN, hook_timeout_ns, NS_PER_SEC, 3600 * NS_PER_SEC),
	KEY("Summary", "Textfile", VALUE_PATH, textfile, 1, PATH_MAX),
};

const char *config_default_path(void)
{
	return COREFOLD_CONFIG;
}

void config_init(struct config *config)
{
	*config = (struct config){
		.throttle = THROTTLE_LIMITS_DEFAULT,
		.pending_max_ns = 86400 * NS_PER_SEC,
		.kind = CONFIG_KIND_AUTO,
		.max_core_bytes = 2ULL << 30,
		.max_hold_ns = 10 * NS_PER_SEC,
		.buffer_bytes = 256ULL << 20,
		.max_captures = 4,
		.thread_stack_bytes = 64 << 10,
		.full_per_signature = 3,
		.record_argv = true,
		.directory = COREFOLD_STATE,
		.max_use = 1000,
		.keep_free = 1500,
		.max_age_ns = 14 * 86400 * NS_PER_SEC,
		.interval_ns = 3600 * NS_PER_SEC,
		.hook_timeout_ns = 60 * NS_PER_SEC,
	};
}

/* ---- one value ---- */

static int parse_kind(const char *text, enum config_kind *ret_kind)
{
	static const char *const names[] = { "auto", "full", "threads", "notes", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(text, names[i]) == 0) {
			*ret_kind = (enum config_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int copy_text(const struct key *key, const char *text, char *field)
{
	/* A path that has a default cannot be empty; of the others, min says that it may. */
	if (key->type == VALUE_PATH && text[0] != '/' && !(key->min && !*text))
		return -EINVAL;
	if (strlen(text) >= key->max)
		return -ERANGE;
	(void)snprintf(field, key->max, "%s", text);
	return 0;
}

static int parse_number(const struct key *key, const char *text, void *field)
{
	uint64_t value = 0;
	int r;

	switch (key->type) {
	case VALUE_BYTES:
		r = units_parse_bytes(text, &value);
		break;
	case VALUE_SPAN:
		r = units_parse_span(text, (int64_t *)&value); /* never negative */
		break;
	default:
		r = units_parse_number(text, INT64_MAX, &value);
		break;
	}
	if (r < 0)
		return r;
	if (value < key->min || value > key->max)
		return -ERANGE;
	if (key->type == VALUE_U32)
		*(uint32_t *)field = (uint32_t)value;
	else
		*(uint64_t *)field = value;
	return 0;
}

static int parse_value(const struct key *key, const char *text, struct config *config)
{
	void *field = (char *)config + key->offset;
	int flag, r;

	switch (key->type) {
	case VALUE_BOOL:
		r = units_parse_bool(text, &flag);
		if (r == 0)
			*(bool *)field = flag;
		return r;
	case VALUE_SHARE:
		return units_parse_share(text, field);
	case VALUE_KIND:
		return parse_kind(text, field);
	case VALUE_PATH:
	case VALUE_TEXT:
		return copy_text(key, text, field);
	default:
		return parse_number(key, text, field);
	}
}

/* ---- one file ---- */

/* inih calls back without a line number; the reader below counts them. */
struct reading {
	struct config *config;
	const char *path;
	const char *text; /* what is not yet read */
	unsigned int line;
	config_complain *complain;
	void *userdata;
};

static void complain(struct reading *reading, const char *what, const char *name,
		     const char *value)
{
	char where[PATH_MAX + 16], text[512];

	(void)snprintf(where, sizeof(where), "%s:%u", reading->path, reading->line);
	(void)snprintf(text, sizeof(text), "%s%s%.100s%s%.100s", what, *name ? " " : "", name,
		       *value ? "=" : "", value);
	if (reading->complain)
		reading->complain(reading->userdata, where, text);
}

static void complain_range(struct reading *reading, const struct key *key, const char *value)
{
	char text[100 + 2 * UNITS_SIZE], low[UNITS_SIZE], high[UNITS_SIZE];

	if (key->type == VALUE_U32)
		(void)snprintf(text, sizeof(text), "%.40s (%" PRIu64 " to %" PRIu64 ")", value,
			       key->min, key->max);
	else if (key->type == VALUE_SHARE)
		(void)snprintf(text, sizeof(text), "%.40s (0%% to 100%%)", value);
	else if (key->type == VALUE_SPAN)
		(void)snprintf(text, sizeof(text), "%.40s (%s to %s)", value,
			       units_format_span((int64_t)key->min, low),
			       units_format_span((int64_t)key->max, high));
	else if (key->type == VALUE_BYTES)
		(void)snprintf(text, sizeof(text), "%.40s (%s to %s)", value,
			       units_format_bytes(key->min, low),
			       units_format_bytes(key->max, high));
	else
		(void)snprintf(text, sizeof(text), "%s", value);
	complain(reading, "value out of range:", key->name, text);
}

static void complain_form(struct reading *reading, const struct key *key, const char *value)
{
	static const char *const forms[] = {
		[VALUE_BOOL] = "yes or no",
		[VALUE_U32] = "a whole number",
		[VALUE_U64] = "a whole number",
		[VALUE_BYTES] = "a size such as 512M",
		[VALUE_SPAN] = "a time such as 8min",
		[VALUE_SHARE] = "a share such as 10%, two decimals at most",
		[VALUE_KIND] = "auto, full, threads, notes or none",
		[VALUE_PATH] = "an absolute path",
		[VALUE_TEXT] = "a command",
	};
	char text[100];

	(void)snprintf(text, sizeof(text), "%.50s (%s)", value, forms[key->type]);
	complain(reading, *value ? "bad value:" : "no value:", key->name, text);
}

static int take_value(void *userdata, const char *section, const char *name, const char *value)
{
	struct reading *reading = userdata;
	bool section_known = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int r;

		if (strcmp(keys[i].section, section) != 0)
			continue;
		section_known = true;
		if (strcmp(keys[i].name, name) != 0)
			continue;
		r = parse_value(&keys[i], value, reading->config);
		if (r == -ERANGE)
			complain_range(reading, &keys[i], value);
		else if (r < 0)
			complain_form(reading, &keys[i], value);
		return 1;
	}
	if (section_known)
		complain(reading, "unknown key", name, "");
	else if (*section)
		complain(reading, "unknown section", section, "");
	else
		complain(reading, "a key in no section:", name, "");
	return 1;
}

static bool is_comment(const char *line, size_t n)
{
	return n == 0 || *line == '\r' || *line == ';' || *line == '#';
}

/* As inih does it: a blank and a semicolon end what a line says. */
static size_t before_comment(const char *line, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (line[i] == ';' && (line[i - 1] == ' ' || line[i - 1] == '\t'))
			return i;
	return n;
}

/*
 * inih tells only of the first line it cannot use, and all of them are to be named. What
 * stands behind a section it passes over: a key there would seem to be set.
 */
static bool line_has_form(const char *line, size_t n)
{
	const char *end;

	n = before_comment(line, n);
	if (*line != '[')
		return memchr(line, '=', n) || memchr(line, ':', n);
	end = memchr(line, ']', n);
	if (!end)
		return false;
	end++;
	n -= (size_t)(end - line);
	for (; n > 0 && strchr(" \t\r", *end); n--)
		end++;
	return is_comment(end, n);
}

/*
 * inih holds lines of INI_MAX_LINE bytes; a longer one would come in pieces and be taken
 * for several, so it is reported and given as an empty line.
 */
static char *take_line(char *line, int size, void *userdata)
{
	struct reading *reading = userdata;
	size_t n = strcspn(reading->text, "\n");
	const char *start, *end;

	if (*reading->text == '\0')
		return NULL;
	reading->line++;
	start = reading->text + strspn(reading->text, " \t");
	end = reading->text + n;
	reading->text = end + (*end == '\n');
	/* An indented line would be joined to the value before; here each line stands alone. */
	n = start < end ? (size_t)(end - start) : 0;
	line[0] = '\0';
	if (is_comment(start, n))
		return line;
	if (n + 2 > (size_t)size)
		complain(reading, "line too long for a key and its value", "", "");
	else if (!line_has_form(start, n))
		complain(reading, "not a section, key or comment", "", "");
	else
		(void)snprintf(line, (size_t)size, "%.*s\n", (int)n, start);
	return line;
}

/* A configuration that others may write would be root's orders from anybody. */
static int check_file(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return DIR_E_TYPE;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return DIR_E_OWNER;
	return st.st_mode & (S_IWGRP | S_IWOTH) ? DIR_E_WRITABLE : 0;
}

static int read_file(struct reading *reading, int at_fd, const char *name)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r;

	fd = openat(at_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	r = check_file(fd);
	if (r == 0)
		r = dir_read_fd(fd, CONFIG_FILE_MAX, &text, &bytes);
	if (r != 0)
		return r;
	reading->text = strncmp(text, BYTE_ORDER_MARK, 3) == 0 ? text + 3 : text;
	reading->line = 0;
	if (ini_parse_stream(take_line, reading, take_value, reading) < 0)
		return -ENOMEM;
	if (strlen(text) < bytes)
		complain(reading, "NUL byte: the rest of the file is ignored", "", "");
	return 0;
}

static void whole_file_failed(struct reading *reading, const char *why)
{
	if (reading->complain)
		reading->complain(reading->userdata, reading->path, why);
}

/* ---- the drop-in directory ---- */

static int is_conf(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static void read_dropin(struct reading *reading, int dir_fd, const char *name)
{
	int r = read_file(reading, dir_fd, name);

	if (r != 0)
		whole_file_failed(reading, dir_strerror(r));
}

static void read_dropins(struct reading *reading, const char *path)
{
	_cleanup_close_ int dir_fd = -1;
	_cleanup_free_ struct dirent **entries = NULL;
	char dropins[PATH_MAX], file[PATH_MAX + NAME_MAX + 2];
	int n;

	(void)snprintf(dropins, sizeof(dropins), "%s.d", path);
	reading->path = dropins;
	dir_fd = open(dropins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 && errno == ENOENT)
		return;
	n = dir_fd < 0 ? -1 : scandirat(dir_fd, ".", &entries, is_conf, alphasort);
	if (n < 0)
		whole_file_failed(reading, strerror(errno));
	reading->path = file;
	for (int i = 0; i < n; i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", dropins, entries[i]->d_name);
		if (i < CONFIG_FILES_MAX)
			read_dropin(reading, dir_fd, entries[i]->d_name);
		else
			whole_file_failed(reading,
					  "left out: only " AS_TEXT(CONFIG_FILES_MAX) " are read");
		free(entries[i]);
	}
}

int config_read(struct config *config, const char *path, config_complain *complain_fn,
		void *userdata)
{
	const char *file = path ? path : config_default_path();
	struct reading reading = { .config = config,
				   .path = file,
				   .complain = complain_fn,
				   .userdata = userdata };
	int r;

	r = read_file(&reading, AT_FDCWD, file);
	if (r == -ENOENT && !path)
		r = 0;
	if (r != 0)
		whole_file_failed(&reading, dir_strerror(r));
	read_dropins(&reading, file); /* whatever the main file is like */
	return r > 0 ? -EPERM : r;
}
