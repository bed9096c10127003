/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/choose.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/times.h"
#include "core/record.h"
#include "io/store.h"
#include "policy/units.h"

static const char *text_of(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key)) ?: "";
}

/*
 * By its process or the path of its executable. Not by the kernel's name for it, which the
 * process can change: what goes with `prune NAME` is what `list` shows under that name.
 */
static bool is_named(const json_t *record, const char *text)
{
	return strcmp(text_of(record, "process"), text) == 0 ||
	       strcmp(text_of(record, "executable"), text) == 0;
}

/* ---- the one that a person means ---- */

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

/* The newest of that process, or of the executable with that path. */
static const char *find_named(int store_fd, char **ids, size_t n, const char *text)
{
	for (size_t i = n; i > 0; i--) {
		json_t *record = cmd_read_record(store_fd, ids[i - 1]);
		bool found = record && is_named(record, text);

		json_decref(record);
		if (found)
			return ids[i - 1];
	}
	return NULL;
}

static int not_found(struct cmd *cmd, const struct choice *choice)
{
	const char *text = choice->word[0];

	if (choice->no_archive)
		return cmd_failed(cmd, "%s: %s, and no record is named so: 'corefold list' shows "
				       "what there is",
				  text, choice->no_archive);
	return cmd_failed(cmd, "no record '%s': 'corefold list' shows what there is", text);
}

static int find_among(struct cmd *cmd, int store_fd, char **ids, size_t n,
		      const struct choice *choice, char ret_id[static STATE_ID_SIZE])
{
	const char *text = choice->words ? choice->word[0] : NULL, *found = NULL;
	size_t matches = 0;

	if (n == 0 && !(text && choice->no_archive))
		return cmd_failed(cmd, "no crash has been recorded yet");
	if (n > 0 && (!text || strcmp(text, "last") == 0))
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
		found = find_named(store_fd, ids, n, text);
	if (!found)
		return not_found(cmd, choice);
	(void)snprintf(ret_id, STATE_ID_SIZE, "%s", found);
	return CMD_DONE;
}

/* By the only word, or the newest. */
static int find_one(struct cmd *cmd, const struct choice *choice, int store_fd,
		    char ret_id[static STATE_ID_SIZE])
{
	char **ids;
	size_t n;
	int r;

	if (choice->words && !*choice->word[0])
		return cmd_usage_error(cmd, "an empty id names nothing");
	r = cmd_list_records(cmd, store_fd, &ids, &n);
	if (r != CMD_DONE)
		return r;
	r = find_among(cmd, store_fd, ids, n, choice, ret_id);
	store_free_ids(ids, n);
	return r;
}

/* ---- a choice ---- */

int choice_option(const struct cmd *cmd, struct choice *choice, int letter)
{
	int64_t now_s = time(NULL);
	int r = 0;

	switch (letter) {
	case 'S':
		r = times_parse(optarg, now_s, &choice->since_ns);
		break;
	case 'U':
		r = times_parse(optarg, now_s, &choice->until_ns);
		break;
	case 'p':
		choice->process = optarg;
		r = *optarg ? 0 : -EINVAL; /* empty would choose what has no name: nothing */
		break;
	case CHOICE_LETTER_SIGNATURE:
		choice->signature = optarg;
		r = *optarg ? 0 : -EINVAL; /* empty would choose everything */
		break;
	case CHOICE_LETTER_NO_PAGER:
		break;
	default:
		return -1;
	}
	return r < 0 ? cmd_bad_value(cmd, letter, r) : CMD_DONE;
}

int choice_take_words(const struct cmd *cmd, struct choice *choice)
{
	choice->word = cmd->argv + optind;
	choice->words = cmd->argc - optind;
	return cmd_check_window(cmd, choice->since_ns, choice->until_ns);
}

int choice_resolve(struct cmd *cmd, struct choice *choice, int store_fd)
{
	bool has_last = false;
	char **ids;
	size_t n;
	int r;

	for (int i = 0; i < choice->words; i++) {
		if (!*choice->word[i])
			return cmd_usage_error(cmd, "an empty id names nothing");
		has_last |= strcmp(choice->word[i], "last") == 0;
	}
	if (!has_last)
		return CMD_DONE;
	r = cmd_list_records(cmd, store_fd, &ids, &n);
	if (r != CMD_DONE)
		return r;
	if (n > 0)
		(void)snprintf(choice->last, sizeof(choice->last), "%s", ids[n - 1]);
	store_free_ids(ids, n);
	return CMD_DONE;
}

static bool has_filter(const struct choice *choice)
{
	return choice->since_ns != INT64_MIN || choice->until_ns != INT64_MAX ||
	       choice->process || choice->signature;
}

bool choice_is_all(const struct choice *choice)
{
	return !has_filter(choice) && choice->words == 0;
}

static bool word_matches(const struct choice *choice, const json_t *record, const char *word)
{
	uint64_t pid;

	if (!*word)
		return false;
	if (strcmp(word, "last") == 0)
		return !choice->last[0] || strcmp(text_of(record, "id"), choice->last) == 0;
	if (strncmp(text_of(record, "id"), word, strlen(word)) == 0)
		return true;
	if (units_parse_number(word, INT32_MAX, &pid) == 0 &&
	    json_integer_value(json_object_get(record, "pid")) == (json_int_t)pid)
		return true;
	return is_named(record, word);
}

static bool any_word_matches(const struct choice *choice, const json_t *record)
{
	for (int i = 0; i < choice->words; i++)
		if (word_matches(choice, record, choice->word[i]))
			return true;
	return choice->words == 0;
}

bool choice_matches(const struct choice *choice, const json_t *record)
{
	struct record fields;

	if (record_from_json(record, &fields) < 0)
		return false;
	return fields.time_ns >= choice->since_ns && fields.time_ns <= choice->until_ns &&
	       (!choice->process || strcmp(fields.process, choice->process) == 0) &&
	       (!choice->signature || strstr(text_of(record, "signature"), choice->signature)) &&
	       any_word_matches(choice, record);
}

void choice_unreadable(struct cmd *cmd, int store_fd, const char *id)
{
	if (cmd_record_is_gone(store_fd, id))
		return;
	if (cmd_record_is_later(store_fd, id))
		(void)cmd_failed(cmd, "record %s is of a later corefold, and is left alone", id);
	else
		(void)cmd_failed(cmd,
				 "record %s cannot be read and is left out: 'corefold prune "
				 "--unreadable' removes such records",
				 id);
}

int choice_each(struct cmd *cmd, const struct choice *choice, int store_fd,
		choice_each_fn *each, void *userdata)
{
	bool more = true;
	char **ids;
	size_t n;
	int r;

	r = cmd_list_records(cmd, store_fd, &ids, &n);
	if (r != CMD_DONE)
		return r;
	for (size_t i = 0; more && i < n; i++) {
		json_t *record = cmd_read_record(store_fd, ids[i]);

		if (!record)
			choice_unreadable(cmd, store_fd, ids[i]);
		else if (choice_matches(choice, record))
			more = each(userdata, ids[i], record);
		json_decref(record);
	}
	store_free_ids(ids, n);
	return CMD_DONE;
}

static bool remember_id(void *userdata, const char *id, const json_t *record)
{
	(void)record;
	(void)snprintf(userdata, STATE_ID_SIZE, "%s", id);
	return true;
}

int choice_find(struct cmd *cmd, const struct choice *choice, int store_fd,
		char ret_id[static STATE_ID_SIZE])
{
	struct choice resolved = *choice;
	int status;

	if (!has_filter(choice) && choice->words <= 1)
		return find_one(cmd, choice, store_fd, ret_id);
	ret_id[0] = '\0';
	status = choice_resolve(cmd, &resolved, store_fd);
	if (status == CMD_DONE)
		status = choice_each(cmd, &resolved, store_fd, remember_id, ret_id);
	if (status == CMD_DONE && !ret_id[0])
		return cmd_failed(cmd, "no crash matches: 'corefold list' shows what there is");
	return status;
}
