/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which records a person means: by time, process, signature, and by words as
 * coredumpctl(1) takes them. A record that cannot be read is named on stderr and left out;
 * that alone makes no command fail.
 */

#include "cmd/cmd.h"

struct choice {
	int64_t since_ns;
	int64_t until_ns;
	const char *process;
	const char *signature;
	char *const *word; /* borrowed; any of them may match */
	int words;
	char last[STATE_ID_SIZE]; /* what the word 'last' means; empty: whichever comes */
	const char *no_archive; /* why the word, which may be a file's name, is none; or NULL */
};
#define CHOICE_ALL { .since_ns = INT64_MIN, .until_ns = INT64_MAX }

enum {
	CHOICE_LETTER_SIGNATURE = 900,
	CHOICE_LETTER_NO_PAGER,
};

/* Rows for the table of options of a command that chooses. */
#define CHOICE_OPTIONS                                                                   \
	{ 'S', "since", "TIME", "leave out crashes before TIME" },                       \
	{ 'U', "until", "TIME", "leave out crashes after TIME" },                        \
	{ 'p', "process", "NAME", "only crashes of this process" },                      \
	{ CHOICE_LETTER_SIGNATURE, "signature", "TEXT", "only signatures that contain TEXT" }

/* The description of a command that takes one crash. */
#define CHOICE_ONE                                                                       \
	"MATCH is an id, the beginning of one, a pid, a process, the path of an\n"        \
	"executable, or 'last' (the default). Of several that match the newest is taken."

#define CHOICE_NO_PAGER                                                                  \
	{ CHOICE_LETTER_NO_PAGER, "no-pager", NULL, "changes nothing: no pager is ever started" }

/*
 * Takes an option of CHOICE_OPTIONS or CHOICE_NO_PAGER. CMD_DONE; CMD_USAGE after saying
 * what is wrong with it; -1: another option.
 */
int choice_option(const struct cmd *cmd, struct choice *choice, int letter);

/* The arguments behind the options choose, too. CMD_DONE, or CMD_USAGE for an odd window. */
int choice_take_words(const struct cmd *cmd, struct choice *choice);

/* Looks up what 'last' means now. CMD_DONE, or CMD_USAGE for a word that is empty. */
int choice_resolve(struct cmd *cmd, struct choice *choice, int store_fd);

/* Does the choice leave anything out? */
bool choice_is_all(const struct choice *choice);

bool choice_matches(const struct choice *choice, const json_t *record);

/* Says that a record cannot be read, and what to do about it. */
void choice_unreadable(struct cmd *cmd, int store_fd, const char *id);

/* Called for each record that is chosen, oldest first. False stops. */
typedef bool choice_each_fn(void *userdata, const char *id, const json_t *record);
int choice_each(struct cmd *cmd, const struct choice *choice, int store_fd,
		choice_each_fn *each, void *userdata);

/*
 * The one that is meant: of all that match, the newest. A single word may be an id, the
 * beginning of one record's id, a pid, the name of a process or the path of an executable,
 * tried in that order, or "last". CMD_DONE, or CMD_FAILED after saying what was wrong.
 */
int choice_find(struct cmd *cmd, const struct choice *choice, int store_fd,
		char ret_id[static STATE_ID_SIZE]);
