/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/record.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/dir.h"
#include "io/log.h"
#include "io/process.h"
#include "io/store.h"
#include "policy/capture.h"
#include "policy/units.h"

#define OPTIONS_MAX 32
#define LETTER_JSON 256 /* options of commands begin above */

const struct command *const cmd_table[] = {
	&cmd_list,   &cmd_info,	    &cmd_dump,	 &cmd_summary, &cmd_status,
	&cmd_replay, &cmd_simulate, &cmd_report, &cmd_tick,    &cmd_prune,
	&cmd_enable, &cmd_disable,  &cmd_handle, NULL,
};

static const struct cmd_option config_option = { 'C', "config", "FILE",
						 "read FILE instead of the system's configuration" };
static const struct cmd_option json_option = { LETTER_JSON, "json", NULL,
					       "print JSON (documented in corefold-formats(5))" };
static const struct cmd_option help_option = { 'h', "help", NULL, "print this help" };

/* ---- saying what is wrong ---- */

__attribute__((format(printf, 2, 0)))
static void complain(const struct cmd *cmd, const char *format, va_list args)
{
	char raw[1024], text[1200];

	(void)vsnprintf(raw, sizeof(raw), format, args);
	(void)name_escape(raw, strlen(raw), text, sizeof(text));
	(void)fprintf(stderr, "corefold %s: %s\n", cmd->command->name, text);
}

int cmd_usage_error(const struct cmd *cmd, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(cmd, format, args);
	va_end(args);
	return CMD_USAGE;
}

int cmd_failed(const struct cmd *cmd, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(cmd, format, args);
	va_end(args);
	return CMD_FAILED;
}

/* ---- options ---- */

/* The command's own options, then those that all have. */
static size_t all_options(const struct command *command,
			  const struct cmd_option *ret_options[static OPTIONS_MAX])
{
	size_t n = 0;

	for (const struct cmd_option *o = command->options; o && o->letter; o++)
		ret_options[n++] = o;
	if (command->has_json)
		ret_options[n++] = &json_option;
	ret_options[n++] = &config_option;
	ret_options[n++] = &help_option;
	return n;
}

static void print_option(const struct cmd_option *option)
{
	char left[64] = "      ";
	size_t used = 6;

	if (!option->help)
		return;
	if (option->letter < 256)
		(void)snprintf(left, sizeof(left), "  -%c%s ", option->letter,
			       option->name ? "," : "");
	used = strlen(left);
	if (option->name)
		used += (size_t)snprintf(left + used, sizeof(left) - used, "--%s",
					 option->name);
	if (option->argument)
		(void)snprintf(left + used, sizeof(left) - used, "%s%s",
			       option->name ? "=" : "", option->argument);
	(void)printf("%-27s %s\n", left, option->help);
}

static void print_help(const struct command *command)
{
	const struct cmd_option *options[OPTIONS_MAX];
	size_t n = all_options(command, options);

	(void)printf("Usage: corefold %s [OPTION...] %s\n%s\n", command->name,
		     command->arguments, command->summary);
	if (command->description)
		(void)printf("\n%s\n", command->description);
	(void)printf("\n");
	for (size_t i = 0; i < n; i++)
		print_option(options[i]);
}

/* The table as getopt_long(3) wants it. */
struct getopt_tables {
	char letters[3 * OPTIONS_MAX + 2];
	struct option names[OPTIONS_MAX + 1];
};

static void make_tables(const struct command *command, struct getopt_tables *tables)
{
	const struct cmd_option *options[OPTIONS_MAX];
	size_t n = all_options(command, options), used = 0, named = 0;

	if (command->in_order)
		tables->letters[used++] = '-';
	for (size_t i = 0; i < n; i++) {
		const struct cmd_option *o = options[i];
		bool maybe = o->argument && o->argument[0] == '[';

		if (o->letter < 256)
			used += (size_t)sprintf(tables->letters + used, "%c%s", o->letter,
						maybe ? "::" : o->argument ? ":" : "");
		if (o->name)
			tables->names[named++] = (struct option){
				.name = o->name,
				.has_arg = maybe	 ? optional_argument :
					   o->argument ? required_argument :
							 no_argument,
				.val = o->letter,
			};
	}
}

int cmd_option(struct cmd *cmd, int *ret_status)
{
	static struct getopt_tables tables; /* a process runs one command */

	if (!tables.letters[0])
		make_tables(cmd->command, &tables);
	for (;;) {
		int letter = getopt_long(cmd->argc, cmd->argv, tables.letters, tables.names,
					 NULL);

		switch (letter) {
		case -1:
			return 0;
		case 'C':
			cmd->config_path = optarg;
			break;
		case LETTER_JSON:
			cmd->json = true;
			break;
		case 'h':
			print_help(cmd->command);
			*ret_status = cmd_flush(cmd);
			return -1;
		case '?': /* getopt has named it */
			*ret_status = CMD_USAGE;
			return -1;
		default:
			return letter;
		}
	}
}

/* ---- configuration and state ---- */

static void complain_config(void *userdata, const char *where, const char *what)
{
	char text[2048];

	(void)userdata;
	(void)name_escape(what, strlen(what), text, sizeof(text));
	(void)fprintf(stderr, "corefold: %s: %s\n", where, text);
}

int cmd_read_config(struct cmd *cmd)
{
	if (cmd->config_read)
		return CMD_DONE;
	config_init(&cmd->config);
	cmd->config_read = true;
	if (config_read(&cmd->config, cmd->config_path, complain_config, NULL) < 0)
		return CMD_FAILED;
	return CMD_DONE;
}

int cmd_open_ledger(struct cmd *cmd, struct ledger *ledger)
{
	const char *directory = cmd->config.directory;
	int dir_fd, r;
	uid_t uid;
	gid_t gid;

	if (cmd_read_config(cmd) != CMD_DONE)
		return CMD_FAILED;
	r = dir_open_private(directory, &dir_fd, &uid, &gid);
	if (r == -ENOENT)
		return cmd_failed(cmd, "%s does not exist: 'corefold enable' makes it", directory);
	if (r != 0)
		return cmd_failed(cmd, "%s: %s%s", directory, dir_strerror(r),
				  r == -EACCES ? " (only root and its owner may)" : "");
	r = process_become(uid, gid);
	if (r == -EPERM)
		return cmd_failed(cmd, "%s belongs to uid %u: run as root or as that user",
				  directory, uid);
	if (r < 0)
		return cmd_failed(cmd, "cannot become the owner of %s (uid %u): %s", directory,
				  uid, strerror(-r));
	r = ledger_open(ledger, &cmd->config, dir_fd);
	if (r != 0)
		return cmd_failed(cmd, "%s/" STORE_DIR ": %s", directory, dir_strerror(r));
	ledger->covered = cmd_pattern_is_ours();
	return CMD_DONE;
}

int cmd_lock_ledger(struct cmd *cmd, struct ledger *ledger)
{
	struct clock_reading now;
	int r;

	r = clock_read(&now);
	if (r < 0)
		return cmd_failed(cmd, "cannot read the clock: %s", strerror(-r));
	r = ledger_lock(ledger, &now);
	if (r == LEDGER_E_BUSY)
		return cmd_failed(cmd,
				  "%s/" STATE_FILE " is locked by another process for more than "
				  "%d s: see who with 'fuser', nothing was changed",
				  cmd->config.directory, LEDGER_WAIT_MS / 1000);
	if (r != 0)
		return cmd_failed(cmd, "%s/" STATE_FILE ": %s", cmd->config.directory,
				  strerror(r < 0 ? -r : EIO));
	if (ledger->rebuilt)
		(void)cmd_failed(cmd,
				 "%s/" STATE_FILE " was damaged (and is " STATE_FILE
				 ".bad now) or gone: totals rebuilt from counters and records, "
				 "throttle windows lost",
				 cmd->config.directory);
	return CMD_DONE;
}

/* Ours is whatever runs a program called corefold with `handle`. */
bool cmd_pattern_is_ours(void)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	char pattern[256];
	const char *end, *name;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, pattern, sizeof(pattern) - 1);
	pattern[n > 0 ? n : 0] = '\0';
	if (pattern[0] != '|')
		return false;
	end = pattern + strcspn(pattern, " \n");
	name = memrchr(pattern, '/', (size_t)(end - pattern));
	name = name ? name + 1 : pattern + 1;
	return end - name == 8 && memcmp(name, "corefold", 8) == 0 &&
	       strncmp(end, " handle", 7) == 0;
}

/* ---- records ---- */

static bool pid_matches(int store_fd, const char *id, int64_t pid)
{
	json_t *record;
	bool matches;

	if (store_read_record(store_fd, id, &record) < 0)
		return false;
	matches = json_integer_value(json_object_get(record, "pid")) == pid;
	json_decref(record);
	return matches;
}

/* The newest with that pid, for fingers used to coredumpctl. */
static const char *find_pid(int store_fd, char **ids, size_t n, const char *text)
{
	uint64_t pid;

	if (units_parse_number(text, INT32_MAX, &pid) < 0)
		return NULL;
	for (size_t i = n; i > 0; i--)
		if (pid_matches(store_fd, ids[i - 1], (int64_t)pid))
			return ids[i - 1];
	return NULL;
}

static int find_among(struct cmd *cmd, int store_fd, char **ids, size_t n, const char *text,
		      char ret_id[static STATE_ID_SIZE])
{
	const char *found = NULL;
	size_t matches = 0;

	if (n == 0)
		return cmd_failed(cmd, "no crash has been recorded yet");
	if (!text || strcmp(text, "last") == 0)
		found = ids[n - 1];
	for (size_t i = 0; text && !found && i < n; i++)
		if (strcmp(ids[i], text) == 0)
			found = ids[i];
	for (size_t i = 0; text && !found && i < n; i++)
		matches += strncmp(ids[i], text, strlen(text)) == 0;
	if (matches > 1)
		return cmd_failed(cmd, "%zu records begin with '%s': give more of the id", matches,
				  text);
	for (size_t i = 0; matches == 1 && !found && i < n; i++)
		if (strncmp(ids[i], text, strlen(text)) == 0)
			found = ids[i];
	if (!found)
		found = find_pid(store_fd, ids, n, text);
	if (!found)
		return cmd_failed(cmd, "no record '%s': 'corefold list' shows what there is", text);
	(void)snprintf(ret_id, STATE_ID_SIZE, "%s", found);
	return CMD_DONE;
}

int cmd_find_id(struct cmd *cmd, int store_fd, const char *text,
		char ret_id[static STATE_ID_SIZE])
{
	char **ids;
	size_t n;
	int r;

	if (text && !*text)
		return cmd_usage_error(cmd, "an empty id names nothing");
	r = store_list(store_fd, &ids, &n);
	if (r < 0)
		return cmd_failed(cmd, "cannot list the records: %s", strerror(-r));
	r = find_among(cmd, store_fd, ids, n, text, ret_id);
	store_free_ids(ids, n);
	return r;
}

json_t *cmd_read_record(int store_fd, const char *id)
{
	struct record checked;
	const char *capture;
	json_t *record;

	if (store_read_record(store_fd, id, &record) < 0)
		return NULL;
	if (record_from_json(record, &checked) < 0) {
		json_decref(record);
		return NULL;
	}
	capture = json_string_value(json_object_get(record, "capture"));
	if (capture && strcmp(capture, "none") != 0 &&
	    store_has(store_fd, id, STORE_CORE_SUFFIX) == 0) {
		(void)json_object_set_new(record, "capture", json_string("none"));
		(void)json_object_set_new(record, "capture_reason",
					  json_string("the core was removed to make room"));
		(void)json_object_set_new(record, "stored_bytes", json_integer(0));
		(void)json_object_set_new(record, "complete", json_false());
	}
	return record;
}

/* ---- output ---- */

int cmd_flush(const struct cmd *cmd)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CMD_DONE;
	return cmd_failed(cmd, "cannot write to standard output: %s", strerror(errno));
}

int cmd_print_json(const struct cmd *cmd, const json_t *json)
{
	if (!json || json_dumpf(json, stdout, JSON_INDENT(1)) < 0)
		return cmd_failed(cmd, "cannot write JSON to standard output");
	(void)putchar('\n');
	return cmd_flush(cmd);
}

const char *cmd_format_time(int64_t seconds, char out[static CMD_TIME_SIZE])
{
	time_t t = seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(out, CMD_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(out, CMD_TIME_SIZE, "@%lld", (long long)seconds);
	return out;
}

static int parse_calendar(const char *text, int64_t *ret_ns)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
					     "%Y-%m-%d %H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, forms[i], &tm);
		time_t t;

		if (!end || (*end && strcmp(end, "Z") != 0))
			continue;
		t = *end ? timegm(&tm) : mktime(&tm);
		if (t == (time_t)-1 || __builtin_mul_overflow((int64_t)t, NS_PER_SEC, ret_ns))
			return -ERANGE;
		return 0;
	}
	return -EINVAL;
}

static int64_t midnight(int64_t now_s, int days_back)
{
	time_t t = now_s;
	struct tm tm;

	(void)localtime_r(&t, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday -= days_back;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * NS_PER_SEC;
}

int cmd_parse_time(const char *text, int64_t now_s, int64_t *ret_ns)
{
	int64_t span;
	int r;

	if (text[0] == '@')
		return units_parse_seconds(text + 1, ret_ns);
	if (text[0] == '-' || text[0] == '+') {
		r = units_parse_span(text + 1, &span);
		if (r == 0)
			*ret_ns = now_s * NS_PER_SEC + (text[0] == '-' ? -span : span);
		return r;
	}
	if (strcmp(text, "now") == 0)
		*ret_ns = now_s * NS_PER_SEC;
	else if (strcmp(text, "today") == 0)
		*ret_ns = midnight(now_s, 0);
	else if (strcmp(text, "yesterday") == 0)
		*ret_ns = midnight(now_s, 1);
	else
		return parse_calendar(text, ret_ns);
	return 0;
}
