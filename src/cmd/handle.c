/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The kernel's entry. It runs as root with all capabilities, no environment, the dump on
 * fd 0, and a hostile process on the other side.
 *
 * MUST, in this order:
 *  1. stdio exists before anything is opened (or the first file becomes stdout);
 *  2. we cannot dump core ourselves (a handler that dumps is started again, and again);
 *  3. there is a deadline;
 *  4. what only root may open is opened: /proc/PID, the state directory, oom_score_adj;
 *  5. root is given up;
 *  6. only then is anything read that the victim could have shaped.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "crash/handle.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/dir.h"
#include "io/log.h"
#include "io/process.h"
#include "policy/units.h"

#define LETTER_AS_ROOT 257

static const struct cmd_option options[] = {
	{ 'P', "pid", "%P", "pid of the process, initial namespace" },
	{ 'I', "tid", "%I", "tid of the thread that crashed, initial namespace" },
	{ 'u', "uid", "%u", "its real uid" },
	{ 'g', "gid", "%g", "its real gid" },
	{ 's', "signal", "%s", "the signal" },
	{ 't', "time", "%t", "time of the crash, seconds since 1970" },
	{ 'c', "rlimit-core", "%c", "its soft RLIMIT_CORE" },
	{ 'd', "dumpable", "%d", "its dump mode" },
	{ 'F', "pidfd", "[%F]", "pidfd of it; empty where the kernel has none" },
	{ LETTER_AS_ROOT, "as-root", NULL, "store even if the state directory is root's" },
	{ 0 },
};

struct invocation {
	struct request request;
	bool as_root;
};

/* ---- the arguments ---- */

/* The largest number each may have. */
static uint64_t largest(int letter)
{
	switch (letter) {
	case 'u':
	case 'g':
		return UINT32_MAX;
	case 's':
		return 255;
	case 't':
		return INT64_MAX / NS_PER_SEC;
	case 'c':
		return INT64_MAX;
	case 'd':
		return 2;
	default:
		return INT32_MAX; /* pids and descriptors */
	}
}

static void store_number(struct request *request, int letter, uint64_t value)
{
	switch (letter) {
	case 'P':
		request->pid = (int64_t)value;
		break;
	case 'I':
		request->tid = (int64_t)value;
		break;
	case 'u':
		request->uid = (uint32_t)value;
		break;
	case 'g':
		request->gid = (uint32_t)value;
		break;
	case 's':
		request->signal = (int)value;
		break;
	case 't':
		request->time_ns = (int64_t)(value * NS_PER_SEC);
		break;
	case 'c':
		request->rlimit_core = value;
		break;
	case 'd':
		request->dumpable = (int)value;
		break;
	case 'F':
		request->pidfd = (int)value;
		break;
	}
}

static int take_number(int letter, const char *text, struct request *request)
{
	uint64_t value;
	int r;

	/* %c is an unsigned long: RLIM_INFINITY is its largest, above what else is believed. */
	if (letter == 'c' && strcmp(text, "18446744073709551615") == 0)
		return 0;
	r = units_parse_number(text, largest(letter), &value);
	if (r == 0)
		store_number(request, letter, value);
	return r;
}

/* A specifier the kernel does not know leaves its letter with nothing behind it. */
static int parse_arguments(struct cmd *cmd, struct invocation *in)
{
	int letter, status = CMD_DONE;

	opterr = 0; /* nobody reads stderr; what is wrong is said below */
	while ((letter = cmd_option(cmd, &status)) > 0) {
		if (letter == LETTER_AS_ROOT)
			in->as_root = true;
		else if (letter == 'F' && (!optarg || !*optarg))
			in->request.pidfd = -1;
		else if (take_number(letter, optarg, &in->request) < 0) {
			log_error("handle: -%c: '%.40s' is not what the kernel writes there",
				  letter, optarg);
			return CMD_USAGE;
		}
	}
	if (letter < 0 && status == CMD_USAGE)
		log_error("handle: '%.40s' is no option of the pattern that 'corefold enable' "
			  "writes",
			  cmd->argv[optind - 1]);
	if (letter < 0)
		return status == CMD_DONE ? -1 : status;
	if (optind < cmd->argc || in->request.pid == 0) {
		log_error("handle: %s: the pattern must be the one that 'corefold enable' writes",
			  in->request.pid ? "too many arguments" : "no -P");
		return CMD_USAGE;
	}
	return CMD_DONE;
}

/* ---- the state directory ---- */

static void complain_config(void *userdata, const char *where, const char *what)
{
	(void)userdata;
	log_warning("%s: %s", where, what);
}

static int open_state(struct cmd *cmd, int *ret_fd, uid_t *ret_uid, gid_t *ret_gid)
{
	int r;

	config_init(&cmd->config);
	/* A configuration that cannot be used leaves the defaults: the crash comes first. */
	(void)config_read(&cmd->config, cmd->config_path, complain_config, NULL);
	r = dir_open_private(cmd->config.directory, ret_fd, ret_uid, ret_gid);
	if (r != 0)
		log_error("state directory %s: %s; this crash is neither counted nor kept",
			  cmd->config.directory, dir_strerror(r));
	return r;
}

static int give_up_root(const char *directory, uid_t uid, gid_t gid)
{
	int r;

	r = process_become(uid, gid);
	if (r < 0)
		log_error("cannot become the owner of %s (uid %u): %s", directory, uid,
			  strerror(-r));
	return r;
}

/* ---- the entry ---- */

static void harden(void)
{
	bool has_stderr = process_repair_stdio();

	(void)process_undumpable();
	process_deadline(PROCESS_LOOK_S);
	(void)signal(SIGPIPE, SIG_IGN);
	log_open(has_stderr);
	/* Spares every crash the reading of /etc/localtime and /dev/urandom. */
	(void)setenv("TZ", "UTC0", 1);
	json_object_seed((size_t)getpid() | 1);
	clock_assume_initial_namespace();
}

static int run_pipeline(struct cmd *cmd, const struct invocation *in)
{
	struct ledger ledger = LEDGER_NULL;
	struct crash crash = CRASH_NULL;
	int dir_fd = -1, r;
	uid_t uid;
	gid_t gid;

	crash.request = in->request;
	victim_open(&crash.victim, (pid_t)in->request.pid, (pid_t)in->request.tid,
		    in->request.pidfd);
	crash.oom_score_fd = process_open_oom_score();
	source_pipe(&crash.source, process_take_stdin());
	r = open_state(cmd, &dir_fd, &uid, &gid);
	if (r == 0)
		r = give_up_root(cmd->config.directory, uid, gid);
	if (r == 0) {
		victim_read(&crash.victim, in->request.uid);
		crash.config = &cmd->config;
		crash.ledger = &ledger;
		crash.count_only = geteuid() == 0 && !in->as_root;
		r = ledger_open(&ledger, &cmd->config, dir_fd);
		if (r == 0)
			r = handle_crash(&crash);
		else
			log_error("%s/cores: %s", cmd->config.directory, dir_strerror(r));
	}
	crash_done(&crash);
	ledger_done(&ledger);
	return r == 0 ? CMD_DONE : CMD_FAILED;
}

static int handle_run(struct cmd *cmd)
{
	struct invocation in = { .request = REQUEST_NULL };
	int status;

	harden();
	status = parse_arguments(cmd, &in);
	if (status != CMD_DONE)
		return status < 0 ? CMD_DONE : status;
	return run_pipeline(cmd, &in);
}

const struct command cmd_handle = {
	.name = "handle",
	.arguments = "< CORE",
	.summary = "take a crash from the kernel (the target of core_pattern)",
	.options = options,
	.run = handle_run,
};
