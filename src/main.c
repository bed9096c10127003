/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/table.h"
#include "crash/reported.h"
#include "io/process.h"

static int flush(FILE *out)
{
	if (fflush(out) == 0 && !ferror(out))
		return CMD_DONE;
	(void)fprintf(stderr, "corefold: cannot write to standard output: %s\n", strerror(errno));
	return CMD_FAILED;
}

static int print_overview(FILE *out)
{
	(void)fprintf(out, "Usage: corefold COMMAND [OPTION...] [ARGUMENT...]\n"
			   "Keeps the first crash of every kind, counts every crash, folds "
			   "crash loops.\n\n");
	for (size_t i = 0; cmd_table[i]; i++) {
		(void)fprintf(out, "  %-10s ", cmd_table[i]->name);
		screen_wrap(cmd_table[i]->summary, 13, 13, CMD_HELP_WIDTH, out);
	}
	(void)fprintf(out, "\n'corefold COMMAND --help' tells more; the manual is corefold(8).\n");
	return flush(out);
}

static bool goes_by(const struct command *command, const char *name)
{
	return strcmp(name, command->name) == 0 ||
	       (command->alias && strcmp(name, command->alias) == 0);
}

int main(int argc, char **argv)
{
	if (argc == REPORTED_WORDS && strcmp(argv[REPORTED_MARK], REPORTED_WORD) == 0) {
		reported_die();
		return CMD_FAILED;
	}
	if (argc < 2) {
		(void)print_overview(stderr);
		return CMD_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return print_overview(stdout);
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("corefold " COREFOLD_VERSION "\n");
		return flush(stdout);
	}
	for (size_t i = 0; cmd_table[i]; i++) {
		struct cmd cmd = { .command = cmd_table[i], .argc = argc - 1, .argv = argv + 1 };
		char name[32];

		if (!goes_by(cmd_table[i], argv[1]))
			continue;
		if (cmd.command != &cmd_handle) /* which repairs its own */
			process_reserve_stdio();
		(void)snprintf(name, sizeof(name), "corefold %s", argv[1]);
		argv[1] = name; /* getopt begins its messages with it */
		return cmd_table[i]->run(&cmd);
	}
	(void)fprintf(stderr, "corefold: no command '%.64s': 'corefold --help' lists them\n",
		      argv[1]);
	return CMD_USAGE;
}
