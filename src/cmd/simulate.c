/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The policy alone over a text trace: no state, no clock, no limits of a file. What would
 * my limits have kept?
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "io/cleanup.h"
#include "policy/account.h"
#include "policy/hours.h"
#include "policy/name.h"
#include "policy/units.h"

#define SPAN_MAX_NS (100 * UNITS_YEAR_NS)

enum {
	LETTER_LIMIT = 257,
	LETTER_AGE_OUT,
	LETTER_EVERY,
	LETTER_NOVEL,
	LETTER_INTERVAL,
	LETTER_NO_THROTTLE,
	LETTER_SLOW_LIMIT,
	LETTER_SLOW_WINDOW,
};

static const struct cmd_option options[] = {
	{ LETTER_LIMIT, "limit", "N", "crashes inside the age-out that are no loop yet, 1 to 63 (8)" },
	{ LETTER_AGE_OUT, "age-out", "SPAN", "how long a crash counts, 1ns to 100y (8min)" },
	{ LETTER_EVERY, "every", "N", "a loop keeps one crash of N, 1 or more (10)" },
	{ LETTER_NOVEL, "novel", "N", "new signatures kept per process and age-out, 0 to 16 (8)" },
	{ LETTER_SLOW_LIMIT, "slow-limit", "N", "crashes inside the slow window, 1 to 63, or 0 for none (0)" },
	{ LETTER_SLOW_WINDOW, "slow-window", "SPAN", "how long that window is, 1ns to 100y (24h)" },
	{ LETTER_INTERVAL, "interval", "SPAN", "what an hour is, 1ns to 100y (1h)" },
	{ LETTER_NO_THROTTLE, "no-throttle", NULL, "keep every crash" },
	{ 0 },
};

struct process {
	uint32_t uid;
	char name[NAME_SIZE];
	struct account account;
};

struct simulation {
	struct throttle_limits limits;
	int64_t interval_ns;
	void *processes; /* tsearch(3) tree of struct process */
	struct hours hours;
	struct hours told; /* hours at the last tick */
	uint64_t crashes; /* since the last tick */
	int64_t now_ns;
};

/* One line of the trace. */
struct trace_event {
	int64_t at_ns;
	bool tick;
	bool has_uid;
	uint32_t uid;
	char process[NAME_SIZE];
	uint64_t signature;
};

/* ---- processes ---- */

static int compare_processes(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return strcmp(x->name, y->name);
}

static struct process *process_of(struct simulation *sim, const struct trace_event *event)
{
	struct process key = { .uid = event->uid }, *new;
	struct process **found;

	memcpy(key.name, event->process, sizeof(key.name));
	found = tfind(&key, &sim->processes, compare_processes);
	if (found)
		return *found;
	new = calloc(1, sizeof(*new));
	if (!new)
		return NULL;
	new->uid = key.uid;
	memcpy(new->name, key.name, sizeof(new->name));
	if (!tsearch(new, &sim->processes, compare_processes)) {
		free(new);
		return NULL;
	}
	return new;
}

/* ---- events ---- */

static void print_json_string(const char *text)
{
	json_t *string = json_string(text);

	(void)json_dumpf(string, stdout, JSON_ENCODE_ANY);
	json_decref(string);
}

static int play_crash(struct simulation *sim, const struct trace_event *event)
{
	struct process *process = process_of(sim, event);
	struct throttle_verdict verdict;
	char seconds[UNITS_SIZE];

	if (!process)
		return -ENOMEM;
	hours_crash(&sim->hours, event->at_ns, sim->interval_ns);
	sim->crashes++;
	verdict = account_crash(&process->account, &sim->limits, event->at_ns,
				event->signature);
	account_commit(&process->account, verdict.weight);
	(void)printf("{\"t\":%s,\"event\":\"crash\",\"process\":",
		     units_format_seconds(event->at_ns, seconds));
	print_json_string(event->process);
	(void)printf(",\"decision\":\"%s\"", throttle_decision_name(verdict.decision));
	if (verdict.decision != THROTTLE_FOLD)
		(void)printf(",\"weight\":%" PRIu64, verdict.weight);
	(void)printf("}\n");
	return 0;
}

static int play_tick(struct simulation *sim, const struct trace_event *event)
{
	char seconds[UNITS_SIZE];

	hours_settle(&sim->hours, event->at_ns, sim->interval_ns);
	(void)printf("{\"t\":%s,\"event\":\"tick\",\"operational_hours\":%" PRIu64
		     ",\"crashfree_hours\":%" PRIu64 ",\"crashfree_slots\":%" PRIu64
		     ",\"crashes\":%" PRIu64 "}\n",
		     units_format_seconds(event->at_ns, seconds),
		     sim->hours.operational - sim->told.operational,
		     sim->hours.crashfree - sim->told.crashfree,
		     sim->hours.crashfree_slots - sim->told.crashfree_slots, sim->crashes);
	sim->told = sim->hours;
	sim->crashes = 0;
	return 0;
}

/* ---- the trace ---- */

static const char *parse_attribute(const char *word, struct trace_event *event)
{
	uint64_t number;

	if (strncmp(word, "uid=", 4) == 0) {
		if (event->has_uid)
			return "uid= may stand there once";
		event->has_uid = true;
		if (units_parse_number(word + 4, UINT32_MAX, &number) < 0)
			return "uid= wants a number";
		event->uid = (uint32_t)number;
		return NULL;
	}
	if (strncmp(word, "signature=", 10) == 0) {
		if (event->signature)
			return "signature= may stand there once";
		if (!word[10])
			return "signature= wants a text";
		event->signature = name_hash(word + 10, strlen(word + 10)) | 1;
		return NULL;
	}
	return "unknown word behind the process (uid=N, signature=S)";
}

static const char *parse_crash(char **rest, struct trace_event *event)
{
	const char *word = strtok_r(NULL, " \t\r\n", rest), *wrong = NULL;

	if (!word)
		return "crash of what? (SECONDS crash PROCESS)";
	name_clean(word, strlen(word), event->process);
	while (!wrong && (word = strtok_r(NULL, " \t\r\n", rest)))
		wrong = parse_attribute(word, event);
	return wrong;
}

/* NULL when the line is fine; *ret_blank when there is nothing in it. */
static const char *parse_line(char *line, struct trace_event *event, bool *ret_blank)
{
	char *rest, *word;

	*event = (struct trace_event){ 0 };
	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, " \t\r\n", &rest);
	*ret_blank = !word;
	if (!word)
		return NULL;
	if (units_parse_seconds(word, &event->at_ns) < 0 || event->at_ns < 0)
		return "the time must be seconds >= 0, with at most nine decimals";
	word = strtok_r(NULL, " \t\r\n", &rest);
	if (word && strcmp(word, "crash") == 0)
		return parse_crash(&rest, event);
	if (!word || strcmp(word, "tick") != 0)
		return "expected 'crash PROCESS' or 'tick' behind the time";
	event->tick = true;
	return strtok_r(NULL, " \t\r\n", &rest) ? "nothing may stand behind 'tick'" : NULL;
}

static int play_line(struct cmd *cmd, struct simulation *sim, char *line, const char *where,
		     unsigned int number)
{
	struct trace_event event;
	const char *wrong;
	bool blank;

	wrong = parse_line(line, &event, &blank);
	if (blank)
		return CMD_DONE;
	if (!wrong && event.at_ns < sim->now_ns)
		wrong = "time runs backwards";
	if (wrong)
		return cmd_failed(cmd, "%s:%u: %s", where, number, wrong);
	sim->now_ns = event.at_ns;
	if ((event.tick ? play_tick(sim, &event) : play_crash(sim, &event)) < 0)
		return cmd_failed(cmd, "%s:%u: out of memory", where, number);
	return CMD_DONE;
}

static int play(struct cmd *cmd, struct simulation *sim, FILE *trace, const char *where)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int status = CMD_DONE;

	for (unsigned int number = 1; status == CMD_DONE; number++) {
		ssize_t n = getline(&line, &size, trace);

		if (n < 0)
			break;
		if (memchr(line, '\0', (size_t)n))
			status = cmd_failed(cmd, "%s:%u: NUL byte", where, number);
		else
			status = play_line(cmd, sim, line, where, number);
	}
	if (status == CMD_DONE && ferror(trace))
		status = cmd_failed(cmd, "%s: %s", where, strerror(errno));
	return status;
}

static int open_and_play(struct cmd *cmd, struct simulation *sim, const char *path)
{
	_cleanup_fclose_ FILE *trace = NULL;
	int status;

	if (strcmp(path, "-") == 0)
		return play(cmd, sim, stdin, "standard input");
	trace = fopen(path, "re");
	if (!trace)
		return cmd_failed(cmd, "%s: %s", path, strerror(errno));
	status = play(cmd, sim, trace, path);
	return status;
}

/* ---- the command ---- */

/* As the configuration: a window of no length is none. */
static int take_span(int64_t *ret_ns)
{
	int64_t span;
	int r;

	r = units_parse_span(optarg, &span);
	if (r == 0 && (span == 0 || span > SPAN_MAX_NS))
		return -ERANGE;
	if (r == 0)
		*ret_ns = span;
	return r;
}

static int take_number(uint32_t least, uint32_t most, uint32_t *ret_number)
{
	uint64_t number;
	int r;

	r = units_parse_number(optarg, most, &number);
	if (r == 0 && number < least)
		return -ERANGE;
	if (r == 0)
		*ret_number = (uint32_t)number;
	return r;
}

static int take_option(struct simulation *sim, int letter)
{
	switch (letter) {
	case LETTER_LIMIT:
		return take_number(1, THROTTLE_LIMIT_MAX, &sim->limits.limit);
	case LETTER_SLOW_LIMIT:
		return take_number(0, THROTTLE_LIMIT_MAX, &sim->limits.slow_limit);
	case LETTER_EVERY:
		return take_number(1, UINT32_MAX, &sim->limits.report_every);
	case LETTER_NOVEL:
		return take_number(0, THROTTLE_NOVEL_MAX, &sim->limits.novel_per_window);
	case LETTER_SLOW_WINDOW:
		return take_span(&sim->limits.slow_window_ns);
	case LETTER_AGE_OUT:
		return take_span(&sim->limits.age_out_ns);
	case LETTER_INTERVAL:
		return take_span(&sim->interval_ns);
	default:
		sim->limits.enabled = false;
		return 0;
	}
}

/* With -C: the limits of that file. Without, the published ones, whatever this machine has. */
static int read_limits(struct cmd *cmd, struct simulation *sim)
{
	if (cmd_read_config(cmd) != CMD_DONE)
		return CMD_FAILED;
	sim->limits = cmd->config.throttle;
	sim->interval_ns = cmd->config.interval_ns;
	return CMD_DONE;
}

static int simulate_run(struct cmd *cmd)
{
	struct simulation sim = { .limits = THROTTLE_LIMITS_DEFAULT,
				  .interval_ns = 3600 * NS_PER_SEC };
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		int r = take_option(&sim, letter);

		if (r < 0)
			return cmd_bad_value(cmd, letter, r);
	}
	if (letter < 0)
		return status;
	if (cmd->config_path) {
		if (read_limits(cmd, &sim) != CMD_DONE)
			return CMD_FAILED;
		optind = 0; /* once more: options stand above the file, wherever they stood */
		while ((letter = cmd_option(cmd, &status)) > 0)
			(void)take_option(&sim, letter);
	}
	if (optind + 1 != cmd->argc)
		return cmd_usage_error(cmd, "takes one trace ('-' for standard input)");
	hours_start(&sim.hours, 0);
	sim.told = sim.hours;
	status = open_and_play(cmd, &sim, cmd->argv[optind]);
	if (cmd_flush(cmd) != CMD_DONE)
		status = CMD_FAILED;
	tdestroy(sim.processes, free);
	return status;
}

const struct command cmd_simulate = {
	.name = "simulate",
	.arguments = "TRACE",
	.summary = "play a trace of crashes through the policy alone",
	.description =
		"A line of the trace is one event, '#' begins a comment:\n"
		"  SECONDS crash PROCESS [uid=N] [signature=S]\n"
		"  SECONDS tick\n"
		"SECONDS is on-time with up to nine decimals and never decreases. The answer is\n"
		"one JSON object a line; a tick tells what came since the last one.",
	.options = options,
	.has_json = true,
	.run = simulate_run,
};
