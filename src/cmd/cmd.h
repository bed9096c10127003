/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What every command is made of: a table entry with its options, from which --help is
 * printed, and a function. One file per command.
 *
 * Exit status: CMD_DONE, CMD_FAILED (said why on stderr), CMD_USAGE.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/config.h"
#include "ledger/ledger.h"

enum {
	CMD_DONE = 0,
	CMD_FAILED = 1,
	CMD_USAGE = 2,
};

#define CMD_HELP_WIDTH 80

struct cmd_option {
	int letter; /* of the short form; above 255: long form only */
	const char *name; /* of the long form; NULL: short form only */
	const char *argument; /* name of its argument, NULL: takes none, "[X]": may take one */
	const char *help; /* NULL: not shown */
};

struct cmd;
struct corefile;

struct command {
	const char *name;
	const char *alias; /* another name, as coredumpctl has it, or NULL */
	const char *arguments; /* as shown behind the name */
	const char *summary; /* one line */
	const char *description; /* more lines for --help, or NULL */
	const struct cmd_option *options; /* ends with letter 0; -C, --json and -h come on top */
	bool has_json;
	bool has_times; /* shows times to people: --utc */
	bool in_order; /* options count for the arguments behind them; arguments come as letter 1 */
	int (*run)(struct cmd *cmd);
};

/* One invocation. */
struct cmd {
	const struct command *command;
	int argc; /* of the command, its name being argv[0] */
	char **argv;
	const char *config_path; /* -C, or NULL */
	bool json; /* --json */
	bool json_short; /* --json=short: on one line */
	bool utc; /* --utc; TZ says so from the end of the options on */
	bool typed_long; /* the option read last was given by its long name */
	struct config config; /* after cmd_read_config() or cmd_open_ledger() */
	bool config_read; /* once is enough: its mistakes are told while reading */
};

extern const struct command cmd_handle, cmd_list, cmd_info, cmd_dump, cmd_debug, cmd_export, cmd_watch,
	cmd_summary, cmd_status, cmd_replay, cmd_simulate, cmd_report, cmd_tick, cmd_prune, cmd_enable,
	cmd_disable, cmd_doctor;

/* All commands in the order of the help, ending with NULL. */
extern const struct command *const cmd_table[];

/*
 * The next option's letter, with its argument in optarg; 1 for an argument in between (if
 * in_order), 0 when there are no more. -C and --json are taken in. -1: --help was printed
 * or the usage was wrong; the exit status to return is in *ret_status.
 */
int cmd_option(struct cmd *cmd, int *ret_status);

/* CMD_USAGE, and told, when anything stands behind the options. */
int cmd_no_arguments(const struct cmd *cmd);

/* "corefold COMMAND: message" on stderr, one line. Returns CMD_USAGE. */
int cmd_usage_error(const struct cmd *cmd, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same; returns CMD_FAILED. */
int cmd_failed(const struct cmd *cmd, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An option's value (optarg) is of no use; `error` as from units_parse_*(). Returns CMD_USAGE. */
int cmd_bad_value(const struct cmd *cmd, int letter, int error);

/* Can anything be in this window (INT64_MIN, INT64_MAX: open)? CMD_DONE, or CMD_USAGE after saying so. */
int cmd_check_window(const struct cmd *cmd, int64_t since_ns, int64_t until_ns);

/* Reads the configuration, complaining on stderr. CMD_DONE or CMD_FAILED. */
int cmd_read_config(struct cmd *cmd);

/*
 * Opens the state directory of the configuration. Root becomes its owner first: what a
 * command writes must belong to the handler. CMD_DONE or CMD_FAILED.
 */
int cmd_open_ledger(struct cmd *cmd, struct ledger *ledger);

/* Reads the clock and takes the ledger's lock. CMD_DONE or CMD_FAILED. */
int cmd_lock_ledger(struct cmd *cmd, struct ledger *ledger);
/* For who looks at all of it: a slot that no crash has come upon may be damaged. */
int cmd_lock_whole_ledger(struct cmd *cmd, struct ledger *ledger);

/* What was found under the lock and not told yet; for those who take it without the two above. */
void cmd_tell_of_damage(struct cmd *cmd, struct ledger *ledger);

/* Opens the stored core of a record. CMD_DONE or CMD_FAILED; the caller frees. */
int cmd_open_core(struct cmd *cmd, int store_fd, const char *id, struct corefile **ret_core);

/* Is core_pattern ours: do crashes come to us? */
bool cmd_pattern_is_ours(void);

/* The ids of all records, oldest first; let go of with store_free_ids(). What fails is told. */
int cmd_list_records(const struct cmd *cmd, int store_fd, char ***ret_ids, size_t *ret_n);

/* Reads a record; a core that has been removed since shows as capture "none". NULL: unreadable. */
json_t *cmd_read_record(int store_fd, const char *id);

/* Can its signature be relied on? False: few frames could be resolved. */
bool cmd_is_sure(const json_t *record);

/* The keys of a record that list shows. A new object. */
json_t *cmd_brief(const json_t *record);

/* Can it not be read because a later corefold wrote it? Then it is not ours to remove. */
bool cmd_record_is_later(int store_fd, const char *id);

/* It was there when the records were listed, and is not any more. */
bool cmd_record_is_gone(int store_fd, const char *id);

/* What to do when the command is told to stop: safe in a handler, and it ends the process. */
void cmd_on_signals(void (*stop)(int signal_number));

/* Prints JSON and a newline, as --json says. CMD_DONE, or CMD_FAILED when stdout cannot be written. */
int cmd_print_json(const struct cmd *cmd, const json_t *json);

/* Flushes stdout: CMD_DONE, or CMD_FAILED after saying so. */
int cmd_flush(const struct cmd *cmd);

/* "2026-11-21 10:04:00" in local time; with --utc "2026-11-21 10:04:00Z". */
#define CMD_TIME_SIZE 32
const char *cmd_format_time(int64_t seconds, char out[static CMD_TIME_SIZE]);
