/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Is everything right? Gathers what the diagnosis wants to know, crashes once on purpose,
 * and prints a line for each check.
 *
 * What only root can see is looked at first; then root is given up, as by every command
 * that reads the state.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/drill.h"
#include "cmd/settings.h"
#include "crash/quota.h"
#include "io/cleanup.h"
#include "io/clock.h"
#include "io/dir.h"
#include "io/program.h"
#include "io/store.h"
#include "io/sysctl.h"
#include "io/sysctld.h"
#include "policy/diagnosis.h"
#include "policy/units.h"

enum {
	LETTER_NO_CRASH = 257,
	LETTER_CRASH,
};

static const struct cmd_option options[] = {
	{ LETTER_NO_CRASH, "no-crash", NULL, "do not crash a program to prove the chain" },
	{ LETTER_CRASH, &DRILL_WORD[2], NULL, NULL },
	{ 0 },
};

/* What the facts point into. */
struct patient {
	struct diagnosis_facts facts;
	char pattern[SYSCTL_SIZE], wanted[2 * PATH_MAX], program[PATH_MAX];
	char keep[PATH_MAX], unwind[PATH_MAX];
	char hook[CONFIG_COMMAND_SIZE];
	char units[512], enable[PATH_MAX + 32], config[PATH_MAX + 8];
	char stranger[NAME_MAX + 1], owner[SETTINGS_OWNER_SIZE], records_aside[NAME_MAX + 1];
	struct sysctld_setting next;
	struct drill_report drill;
};

/* ---- the kernel's settings and who else sets them ---- */

static int64_t read_number(const char *path)
{
	char text[SYSCTL_SIZE];
	uint64_t value;

	if (sysctl_read(path, text) < 0 || units_parse_number(text, INT32_MAX, &value) < 0)
		return -1;
	return (int64_t)value;
}

static bool safe_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static void look_at_kernel(struct cmd *cmd, struct patient *p)
{
	struct diagnosis_facts *f = &p->facts;

	if (sysctl_read(SYSCTL_CORE_PATTERN, p->pattern) < 0)
		p->pattern[0] = '\0';
	(void)pattern_program(p->pattern, p->program, sizeof(p->program));
	(void)settings_pattern(cmd, p->wanted, sizeof(p->wanted));
	f->pattern = p->pattern;
	f->program = p->program;
	f->wanted_pattern = p->wanted;
	f->program_runs = access(p->program, X_OK) == 0;
	f->program_safe = safe_program(p->program);
	f->pipe_limit = read_number(SYSCTL_CORE_PIPE_LIMIT);
	f->suid_dumpable = read_number(SYSCTL_SUID_DUMPABLE);
	f->seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
			     &(uint32_t){ SECCOMP_RET_KILL_PROCESS }) == 0;
}

static void look_at_boot(const struct cmd *cmd, struct patient *p)
{
	p->facts.trial = cmd->config_path != NULL;
	p->facts.systemd = access("/run/systemd/system", F_OK) == 0;
	p->facts.cron = access("/etc/cron.d/corefold", F_OK) == 0 &&
			access("/etc/corefold.refused", F_OK) != 0;
	(void)snprintf(p->config, sizeof(p->config), "%s%s", cmd->config_path ? " -C " : "",
		       cmd->config_path ?: "");
	(void)snprintf(p->enable, sizeof(p->enable), "corefold enable%s", p->config);
	p->facts.config = p->config;
	p->facts.enable = p->enable;
}

static void look_at_rivals(struct patient *p)
{
	size_t used = 0;

	(void)sysctld_find("", "kernel.core_pattern", &p->next);
	for (size_t i = 0; i < pattern_rivals_n; i++) {
		const char *unit = pattern_rivals[i].unit;

		if (unit && used < sizeof(p->units) && sysctld_unit_enabled("", unit))
			used += (size_t)snprintf(p->units + used, sizeof(p->units) - used,
						 "%s%s", used > 0 ? " " : "", unit);
	}
	p->facts.next_value = p->next.value;
	p->facts.next_path = p->next.path;
	p->facts.rival_units = p->units;
	p->facts.our_unit = sysctld_unit_enabled("", "corefold.service");
}

/* ---- the directory and the programs ---- */

static bool safe_parent(const char *path, uid_t owner)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;

	return copy && stat(dirname(copy), &st) == 0 &&
	       (st.st_uid == 0 || st.st_uid == owner) && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static void look_at_space(const struct config *config, struct diagnosis_facts *f)
{
	struct statvfs fs;

	if (statvfs(config->directory, &fs) < 0)
		return;
	f->space_known = true;
	f->read_only = fs.f_flag & ST_RDONLY;
	f->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	f->keep_free_bytes = (uint64_t)fs.f_blocks * fs.f_frsize / 10000 * config->keep_free;
	f->free_inodes = fs.f_files > 0 ? fs.f_favail : UINT64_MAX;
}

/* What is set aside may belong to whoever planted it. */
static void look_for_strangers(const struct config *config, const struct stat *above,
			       struct patient *p)
{
	DIR *dir = opendir(config->directory);
	struct dirent *entry;
	struct stat st;

	while (dir && !p->stranger[0] && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strstr(entry->d_name, ".bad") ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_uid == above->st_uid)
			continue;
		(void)snprintf(p->stranger, sizeof(p->stranger), "%s", entry->d_name);
		p->facts.stranger_uid = st.st_uid;
		p->facts.owner = settings_owner(above->st_uid, st.st_uid, p->owner);
	}
	if (dir)
		(void)closedir(dir);
}

static void look_at_directory(const struct config *config, struct patient *p)
{
	struct diagnosis_facts *f = &p->facts;
	struct stat st;
	uid_t uid;
	gid_t gid;

	f->directory = config->directory;
	f->stranger = p->stranger;
	f->owner = p->owner;
	f->records_aside = p->records_aside;
	f->user = SETTINGS_USER;
	f->user_known = settings_find_user(&uid, &gid);
	f->user_uid = f->user_known ? uid : 0;
	if (lstat(config->directory, &st) < 0) {
		f->directory_error = errno;
		return;
	}
	f->directory_is_one = S_ISDIR(st.st_mode);
	f->directory_mode = st.st_mode & 07777;
	f->directory_uid = st.st_uid;
	f->parent_safe = safe_parent(config->directory, st.st_uid);
	if (f->directory_is_one) {
		look_at_space(config, f);
		look_for_strangers(config, &st, p);
	}
}

static void look_at_programs(struct patient *p)
{
	program_find("corefold-keep", p->keep);
	program_find("corefold-unwind", p->unwind);
	p->facts.keep_program = p->keep;
	p->facts.unwind_program = p->unwind;
	p->facts.keep_runs = access(p->keep, X_OK) == 0;
	p->facts.unwind_runs = access(p->unwind, X_OK) == 0;
}

/* ---- the state ---- */

/* A store that was set aside: a directory with something in it. */
static void look_at_aside(int dir_fd, const char *name, struct patient *p)
{
	struct stat st;

	if (strncmp(name, STORE_DIR ".bad", strlen(STORE_DIR ".bad")) != 0 ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return;
	(void)snprintf(p->records_aside, sizeof(p->records_aside), "%s", name);
	p->facts.records_foreign = st.st_uid != p->facts.directory_uid;
}

static unsigned int count_bad(int dir_fd, struct patient *p)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	unsigned int n = 0;

	while (dir && (entry = readdir(dir))) {
		n += strstr(entry->d_name, ".bad") != NULL;
		look_at_aside(dir_fd, entry->d_name, p);
	}
	if (dir)
		(void)closedir(dir);
	else if (fd >= 0)
		(void)close(fd);
	return n;
}

static void read_state(struct cmd *cmd, struct ledger *ledger, struct patient *p)
{
	struct diagnosis_facts *f = &p->facts;
	const struct state_header *header = &ledger->state->header;

	if (cmd_lock_ledger(cmd, ledger) != CMD_DONE) {
		f->state_error = "the state cannot be locked and read (standard error says why)";
		return;
	}
	f->state_known = true;
	f->balanced = totals_balanced(&header->totals) && state_verify(ledger->state) == 0;
	f->unseen = header->totals.unseen;
	f->on_time_ns = ledger->on_time_ns;
	f->tick_age_ns = header->tick_ns > 0 ? ledger->on_time_ns - header->tick_ns : -1;
	f->wall_s = ledger->now.wall_ns / NS_PER_SEC;
	ledger_unlock(ledger);
	f->set_aside = count_bad(ledger->dir_fd, p);
}

/* Why no crash on purpose would tell anything; NULL if one does. */
static const char *no_drill(const struct patient *p)
{
	const struct diagnosis_facts *f = &p->facts;

	if (!f->state_known)
		return "the state cannot be read";
	if (!pattern_is_ours(f->pattern))
		return "core_pattern is not corefold's";
	if (strcmp(f->pattern, f->wanted_pattern) != 0)
		return "core_pattern runs another corefold, or with another configuration";
	return NULL;
}

static void try_crash(struct cmd *cmd, struct ledger *ledger, bool wanted, struct patient *p)
{
	struct diagnosis_facts *f = &p->facts;

	f->drill = wanted ? DIAGNOSIS_DRILL_IMPOSSIBLE : DIAGNOSIS_DRILL_UNWANTED;
	f->drill_error = no_drill(p);
	if (!wanted || f->drill_error)
		return;
	drill_run(cmd, ledger, &p->drill);
	f->drill = p->drill.result;
	f->drill_error = p->drill.why;
	f->drill_ms = p->drill.took_ms;
	f->drill_capture = p->drill.capture;
	f->drill_verified = p->drill.verified;
	f->drill_frames = p->drill.frames;
}

static void look_at_state(struct cmd *cmd, bool crash, struct patient *p)
{
	struct ledger ledger = LEDGER_NULL;
	struct diagnosis_facts *f = &p->facts;

	f->state_error = "only root and the state's owner can read it";
	if (f->directory_error != 0)
		f->state_error = "there is no state directory";
	else if (f->privileged || geteuid() == f->directory_uid) {
		f->state_tried = true;
		f->state_error = "the state cannot be opened (standard error says why)";
		if (cmd_open_ledger(cmd, &ledger) == CMD_DONE)
			read_state(cmd, &ledger, p);
	}
	try_crash(cmd, &ledger, crash, p);
	ledger_done(&ledger);
}

/* ---- commands for crashes ---- */

static bool hook_is_well(const char *command, struct patient *p)
{
	struct diagnosis_facts *f = &p->facts;
	struct stat st;

	(void)snprintf(p->hook, sizeof(p->hook), "%.*s", (int)strcspn(command, " \t"), command);
	f->hook_error = access(p->hook, X_OK) < 0 || stat(p->hook, &st) < 0 ? errno : 0;
	if (f->hook_error == 0 && !S_ISREG(st.st_mode))
		f->hook_error = EACCES; /* as execve(2) says */
	return p->hook[0] == '/' && f->hook_error == 0 &&
	       (st.st_uid == 0 || st.st_uid == f->directory_uid) &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH)) && safe_parent(p->hook, f->directory_uid);
}

/* After the state, which is read as its owner: that one runs them. */
static void look_at_hooks(const struct config *config, struct patient *p)
{
	const struct {
		const char *key, *command;
	} hooks[] = {
		{ "OnKeep", config->on_keep },
		{ "OnNewSignature", config->on_new_signature },
		{ "OnLoopStart", config->on_loop_start },
		{ "OnLoopEnd", config->on_loop_end },
	};
	struct diagnosis_facts *f = &p->facts;

	f->hook = "";
	f->hook_program = p->hook;
	for (size_t i = 0; i < ARRAY_SIZE(hooks) && !*f->hook; i++) {
		f->hooks += hooks[i].command[0] != '\0';
		if (hooks[i].command[0] && !hook_is_well(hooks[i].command, p))
			f->hook = hooks[i].key;
	}
}

static void look(struct cmd *cmd, bool crash, struct patient *p)
{
	struct clock_reading now = { 0 };
	struct stat st;

	p->facts.privileged = geteuid() == 0;
	p->facts.tick_age_ns = -1;
	if (clock_read(&now) == 0)
		p->facts.wall_s = now.wall_ns / NS_PER_SEC;
	if (stat("/proc/self/exe", &st) == 0)
		p->facts.built_s = st.st_mtime - 86400;
	look_at_boot(cmd, p);
	look_at_kernel(cmd, p);
	look_at_rivals(p);
	look_at_directory(&cmd->config, p);
	look_at_programs(p);
	look_at_state(cmd, crash, p);
	look_at_hooks(&cmd->config, p);
}

/* ---- telling ---- */

static void print_line(const struct diagnosis *d)
{
	static const char *const words[] = { "ok", "warn", "FAIL", "-" };
	char message[2 * DIAGNOSIS_TEXT];

	(void)name_escape(d->message, strlen(d->message), message, sizeof(message));
	(void)printf("%-5s %-14s %s", words[d->verdict], d->check, message);
	if (d->mend[0])
		(void)printf("; mend: %s", d->mend);
	(void)putchar('\n');
}

static json_t *line_json(const struct diagnosis *d)
{
	char message[2 * DIAGNOSIS_TEXT];

	(void)name_escape(d->message, strlen(d->message), message, sizeof(message));
	return json_pack("{s:s, s:s, s:s, s:s?}", "check", d->check, "verdict",
			 diagnosis_verdict_name(d->verdict), "message", message, "mend",
			 d->mend[0] ? d->mend : NULL);
}

static int tell(struct cmd *cmd, const struct patient *p)
{
	struct diagnosis checks[DIAGNOSIS_CHECKS_MAX];
	size_t n = diagnosis_make(&p->facts, checks);
	json_t *lines = json_array(), *json;
	bool healthy = true;
	int status = CMD_DONE;

	for (size_t i = 0; i < n; i++) {
		healthy = healthy && checks[i].verdict != DIAGNOSIS_FAIL;
		if (cmd->json)
			(void)json_array_append_new(lines, line_json(&checks[i]));
		else
			print_line(&checks[i]);
	}
	json = json_pack("{s:b, s:o}", "ok", healthy, "checks", lines);
	if (cmd->json)
		status = cmd_print_json(cmd, json);
	json_decref(json);
	if (status == CMD_DONE)
		status = cmd_flush(cmd);
	return status == CMD_DONE && !healthy ? CMD_FAILED : status;
}

static int doctor_run(struct cmd *cmd)
{
	static struct patient patient; /* large */
	bool crash = true;
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		if (letter == LETTER_CRASH)
			drill_crash();
		crash = false;
	}
	if (letter < 0)
		return status;
	status = cmd_no_arguments(cmd);
	if (status == CMD_DONE)
		status = cmd_read_config(cmd);
	if (status != CMD_DONE)
		return status;
	look(cmd, crash, &patient);
	return tell(cmd, &patient);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "check that everything is right, and crash a program to prove it",
	.description = "One line for each check: ok, warn, FAIL, or - for what could not be looked at,\n"
		       "with the command that mends it. Fails when a check fails. As root it sees all.\n"
		       "The crash counts as one of '" LEDGER_DRILL
		       "'; it spoils no crash-free hour, and\n"
		       "its record is removed again.",
	.options = options,
	.has_json = true,
	.run = doctor_run,
};
