/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/table.h"
#include "io/cleanup.h"
#include "policy/units.h"

#define OPTIONS_MAX 32
#define LETTER_JSON 256 /* options of commands begin above */
#define LETTER_UTC 1000 /* and end below */

const struct command *const cmd_table[] = {
	&cmd_list,    &cmd_info,    &cmd_dump,	   &cmd_debug,	 &cmd_export,	&cmd_watch, &cmd_summary,
	&cmd_status,  &cmd_replay,  &cmd_simulate, &cmd_report,	 &cmd_tick,
	&cmd_prune,   &cmd_enable,  &cmd_disable,  &cmd_doctor,	 &cmd_handle,
	NULL,
};

static const struct cmd_option config_option = { 'C', "config", "FILE",
						 "read FILE instead of the system's configuration" };
static const struct cmd_option json_option = {
	LETTER_JSON, "json", "[MODE]", "print JSON, see corefold-formats(5): pretty, short, off"
};
static const struct cmd_option utc_option = { LETTER_UTC, "utc", NULL,
					      "show times in UTC, not in local time" };
static const struct cmd_option help_option = { 'h', "help", NULL, "print this help" };

static bool times_utc; /* --utc: a process runs one command */

/* ---- saying what is wrong ---- */

__attribute__((format(printf, 2, 0)))
static void complain(const struct cmd *cmd, const char *format, va_list args)
{
	char raw[1024], text[1200];

	(void)vsnprintf(raw, sizeof(raw), format, args);
	if (!name_draws(raw, strlen(raw)))
		(void)name_escape(raw, strlen(raw), text, sizeof(text));
	else
		(void)snprintf(text, sizeof(text), "%s", raw); /* escaped before, or harmless */
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

int cmd_no_arguments(const struct cmd *cmd)
{
	return optind == cmd->argc ?
		       CMD_DONE :
		       cmd_usage_error(cmd, "takes no arguments: '%s'", cmd->argv[optind]);
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
	if (command->has_times)
		ret_options[n++] = &utc_option;
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
	used = (size_t)printf("%-27s ", left);
	screen_wrap(option->help, (unsigned int)used, 28, CMD_HELP_WIDTH, stdout);
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
	char letters[3 * OPTIONS_MAX + 3];
	struct option names[OPTIONS_MAX + 1];
};

static void make_tables(const struct command *command, struct getopt_tables *tables)
{
	const struct cmd_option *options[OPTIONS_MAX];
	size_t n = all_options(command, options), used = 0, named = 0;

	if (command->in_order)
		tables->letters[used++] = '-';
	tables->letters[used++] = ':'; /* getopt says nothing: we know better what to do */
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

/* ---- wrong usage ---- */

static const struct cmd_option *option_of(const struct cmd *cmd, int letter)
{
	const struct cmd_option *options[OPTIONS_MAX];
	size_t n = all_options(cmd->command, options);

	for (size_t i = 0; i < n; i++)
		if (options[i]->letter == letter)
			return options[i];
	return NULL;
}

/* As it was typed: the long form may have stood there, or the short one. */
static const char *typed(const struct cmd *cmd, int letter, char out[static 64])
{
	const struct cmd_option *option = option_of(cmd, letter);
	bool long_form = letter > 255 || (option && option->name && cmd->typed_long);

	if (option && long_form)
		(void)snprintf(out, 64, "--%s", option->name);
	else
		(void)snprintf(out, 64, "-%c", letter);
	return out;
}

/* getopt has found something that is no option, or lacks its argument, or has one too many. */
static int wrong_option(struct cmd *cmd, int what)
{
	/* musl steps over the argument that is not there */
	const char *word = cmd->argv[(optind > cmd->argc ? cmd->argc : optind) - 1];
	char name[64];

	if (!opterr) /* the caller tells it in another place */
		return CMD_USAGE;
	cmd->typed_long = strncmp(word, "--", 2) == 0;
	if (what == ':')
		return cmd_usage_error(cmd, "%s wants %s: 'corefold %s --help' shows how",
				       typed(cmd, optopt, name),
				       option_of(cmd, optopt)->argument, cmd->command->name);
	if (optopt == 0 || !option_of(cmd, optopt)) {
		if (optopt)
			(void)snprintf(name, sizeof(name), "-%c", optopt);
		else
			(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
		return cmd_usage_error(cmd, "no option '%s' (or more than one begins so): 'corefold %s "
					    "--help' lists them",
				       name, cmd->command->name);
	}
	return cmd_usage_error(cmd, "--%s takes no value", option_of(cmd, optopt)->name);
}

/* What an option takes, by the name of its argument. */
static const struct form {
	const char *argument;
	const char *form;
	const char *range; /* NULL: it has none */
} forms[] = {
	{ "TIME", "a time: '2026-11-21 22:45', '-2h', '@SECONDS', 'today', 'yesterday', 'now'",
	  "the years 1678 to 2262" },
	{ "SPAN", "a span of time: '8min', '200ms', '1h 30min', '14d'", "0 to 292y" },
	{ "SIZE", "a size: '500M', '2G'", "0 to 16777215T" },
	{ "N", "a whole number", "0 to 4294967295" },
	{ "NUMBER", "a whole number", "0 to 4294967295" },
	{ "UID", "a user's number", "0 to 4294967295" },
	{ "PID", "a pid", "0 to 2147483647" },
	{ "FORMAT", "one of text, json, prometheus, html", NULL },
	{ "MODE", "'pretty', 'short' or 'off'", NULL },
};

static const struct form *form_of(const struct cmd_option *option)
{
	for (size_t i = 0; option && option->argument && i < ARRAY_SIZE(forms); i++) {
		const char *argument = option->argument + (option->argument[0] == '[');
		size_t n = strlen(forms[i].argument);

		if (strncmp(argument, forms[i].argument, n) == 0 && strchr("]", argument[n]))
			return &forms[i];
	}
	return NULL;
}

/* -1 is a whole number, but none that an option takes. */
static bool is_negative(const char *text)
{
	return text[0] == '-' && text[1] && strspn(text + 1, "0123456789") == strlen(text + 1);
}

int cmd_bad_value(const struct cmd *cmd, int letter, int error)
{
	const struct cmd_option *option = option_of(cmd, letter);
	const struct form *form = form_of(option);
	char name[64];

	(void)typed(cmd, letter, name);
	if (form && form->range && (error == -ERANGE || is_negative(optarg)))
		/* A range of the option's own stands in its help. */
		return cmd_usage_error(cmd, "%s: '%s' is out of range (%s)", name, optarg,
				       strpbrk(option->help ?: "", "0123456789") ? option->help :
										  form->range);
	if (!form)
		return cmd_usage_error(cmd, "%s: '%s' cannot be used: 'corefold %s --help' shows "
					    "what it takes",
				       name, optarg, cmd->command->name);
	return cmd_usage_error(cmd, "%s: '%s' is not %s", name, optarg, form->form);
}

int cmd_check_window(const struct cmd *cmd, int64_t since_ns, int64_t until_ns)
{
	if (since_ns > until_ns)
		return cmd_usage_error(cmd, "--since is later than --until");
	if (since_ns / NS_PER_SEC > time(NULL))
		return cmd_usage_error(cmd, "--since is in the future");
	return CMD_DONE;
}

/* ---- reading options ---- */

static int take_json(struct cmd *cmd)
{
	const char *mode = optarg ?: "pretty";

	if (strcmp(mode, "pretty") != 0 && strcmp(mode, "short") != 0 && strcmp(mode, "off") != 0)
		return cmd_bad_value(cmd, LETTER_JSON, -EINVAL);
	cmd->json = strcmp(mode, "off") != 0;
	cmd->json_short = strcmp(mode, "short") == 0;
	return CMD_DONE;
}

/* After the last option, so that times among the options mean the same wherever they stand. */
static void apply_utc(const struct cmd *cmd)
{
	if (!cmd->utc)
		return;
	times_utc = true;
	(void)setenv("TZ", "UTC0", 1);
	tzset();
}

/* The options that commands have in common. True: taken, or *ret_end says how it ended. */
static bool take_common(struct cmd *cmd, int letter, int *ret_status, bool *ret_end)
{
	switch (letter) {
	case 'C':
		cmd->config_path = optarg;
		return true;
	case LETTER_UTC:
		cmd->utc = true;
		return true;
	case LETTER_JSON:
		*ret_status = take_json(cmd);
		*ret_end = *ret_status != CMD_DONE;
		return true;
	case 'h':
		print_help(cmd->command);
		*ret_status = cmd_flush(cmd);
		*ret_end = true;
		return true;
	case ':':
	case '?':
		*ret_status = wrong_option(cmd, letter);
		*ret_end = true;
		return true;
	default:
		return false;
	}
}

int cmd_option(struct cmd *cmd, int *ret_status)
{
	static struct getopt_tables tables; /* a process runs one command */
	bool end = false;

	if (!tables.letters[0])
		make_tables(cmd->command, &tables);
	while (!end) {
		int index = -1, letter = getopt_long(cmd->argc, cmd->argv, tables.letters,
						     tables.names, &index);

		cmd->typed_long = index >= 0;
		if (letter == -1) {
			apply_utc(cmd);
			return 0;
		}
		if (!take_common(cmd, letter, ret_status, &end))
			return letter;
	}
	return -1;
}

/* ---- being stopped ---- */

/* Who ignores a signal, as nohup(1) does, goes on ignoring it. */
void cmd_on_signals(void (*stop)(int signal_number))
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signal(signals[i], stop) == SIG_IGN)
			(void)signal(signals[i], SIG_IGN);
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
	if (!json)
		return cmd_failed(cmd, "out of memory");
	(void)json_dumpf(json, stdout, cmd->json_short ? JSON_COMPACT : JSON_INDENT(1));
	(void)putchar('\n');
	return cmd_flush(cmd);
}

const char *cmd_format_time(int64_t seconds, char out[static CMD_TIME_SIZE])
{
	time_t t = seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    strftime(out, CMD_TIME_SIZE, times_utc ? "%Y-%m-%d %H:%M:%SZ" : "%Y-%m-%d %H:%M:%S",
		     &tm) == 0)
		(void)snprintf(out, CMD_TIME_SIZE, "@%lld", (long long)seconds);
	return out;
}
