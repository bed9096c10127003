/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Starts a debugger on a stored core. A debugger is a large program that believes what it
 * reads, and a core is written by whoever made the process crash. So:
 *
 *  1. The core is decompressed by a child that is the store's owner, into a file without a
 *     name, which no way of ending leaves behind. We parse nothing of it.
 *  2. What runs the debugger is not root and not the store's owner: started by root, it is
 *     the user that sudo was called by, or nobody. It reaches one core, not the store.
 *  3. Executable and libraries are matched by build-id (cmd/debugfiles.h).
 *  4. No init files, no scripts that files ask for, no pager (cmd/debugger.h).
 *
 * Started by the store's owner itself there is nobody else to become.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/bundle.h"
#include "cmd/choose.h"
#include "cmd/debugfiles.h"
#include "cmd/debugger.h"
#include "core/corefile.h"
#include "core/export.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/process.h"
#include "io/store.h"
#include "policy/units.h"

#define NOBODY 65534
#define TEMPORARY (getenv("TMPDIR") ?: "/var/tmp") /* cores are too large for a tmpfs */

enum {
	LETTER_DEBUGGER = 257,
};

static const struct cmd_option options[] = {
	CHOICE_OPTIONS,
	{ '1', NULL, NULL, "the newest of those that match, as without it" },
	{ LETTER_DEBUGGER, "debugger", "DEBUGGER",
	  "gdb (the default) or lldb, by name or absolute path" },
	{ 'A', "debugger-arguments", "ARGUMENTS", "more arguments for it, in one word" },
	{ 0 },
};

struct request_of_user {
	struct choice choice;
	const char *archive; /* of `export`, opened here: no store is needed; or NULL */
	int archive_fd;
	const char *arguments;
	struct debugger debugger;
	uid_t uid; /* whom the debugger runs as */
	gid_t gid;
};

/* ---- who ---- */

static bool id_of(const char *variable, uint64_t *ret_id)
{
	const char *text = getenv(variable);

	return text && units_parse_number(text, UINT32_MAX - 1, ret_id) == 0 && *ret_id != 0;
}

static void choose_user(struct request_of_user *request)
{
	uint64_t uid, gid;

	request->uid = geteuid();
	request->gid = getegid();
	if (request->uid != 0)
		return;
	if (!id_of("SUDO_UID", &uid) || !id_of("SUDO_GID", &gid))
		uid = gid = NOBODY;
	request->uid = (uid_t)uid;
	request->gid = (gid_t)gid;
}

/* ---- the core, by its owner ---- */

static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return pread(fd, magic, SELFMAG, 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* Takes over the corefile. A debugger says nothing of what a torn core lacks: we do. */
static int decompress(struct cmd *cmd, struct corefile *core, const char *what, int out_fd)
{
	struct export_result result;
	uint64_t stored_at;
	int r = export_run(core, out_fd, true, &result);
	bool damaged = r == 0 && (result.damaged || corefile_damage(core, &stored_at));

	corefile_free(core);
	if (r < 0)
		return cmd_failed(cmd, "cannot decompress the core of %s into %s: %s", what,
				  TEMPORARY, strerror(-r));
	if (!is_elf(out_fd))
		return cmd_failed(cmd, "the stored core of %s is %s: nothing of it can be shown",
				  what,
				  result.bytes == 0 ? "damaged from its first byte on" :
						      "no core (it does not begin as ELF)");
	if (damaged)
		(void)cmd_failed(cmd,
				 "the stored core of %s is damaged at byte %" PRIu64
				 ": the debugger gets only what comes before it",
				 what, result.bytes);
	return CMD_DONE;
}

static int export_core(struct cmd *cmd, int store_fd, const char *id, int out_fd)
{
	struct corefile *core;
	int status;

	status = cmd_open_core(cmd, store_fd, id, &core);
	if (status != CMD_DONE)
		return status;
	return decompress(cmd, core, id, out_fd);
}

/* Becomes the owner; writes the core to out_fd and then the record to record_fd. */
static int fetch(struct cmd *cmd, const struct choice *choice, int out_fd, int record_fd)
{
	struct ledger ledger = LEDGER_NULL;
	char id[STATE_ID_SIZE];
	json_t *record = NULL;
	int status;

	status = cmd_open_ledger(cmd, &ledger);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a change of ids resets it */
	if (status == CMD_DONE)
		status = choice_find(cmd, choice, ledger.store_fd, id);
	if (status == CMD_DONE) {
		record = cmd_read_record(ledger.store_fd, id);
		if (!record)
			status = cmd_failed(cmd, "record %s cannot be read", id);
	}
	if (status == CMD_DONE)
		status = export_core(cmd, ledger.store_fd, id, out_fd);
	if (status == CMD_DONE && json_dumpfd(record, record_fd, JSON_COMPACT) < 0)
		status = cmd_failed(cmd, "cannot pass on the record of %s", id);
	json_decref(record);
	ledger_done(&ledger);
	return status;
}

/* A file without a name, for the user who will read it. -errno. */
static int make_core_file(const struct request_of_user *request)
{
	int fd = open(TEMPORARY, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	int r = fd < 0 || fchown(fd, request->uid, request->gid) < 0 ? -errno : 0;

	if (r == 0)
		return fd;
	close_fd(&fd);
	return r;
}

/*
 * The record is parsed here, as the user the debugger runs as: whatever it holds, it
 * is no longer root who reads it. CMD_DONE, or the child's status after it said why.
 */
static int receive(struct cmd *cmd, const struct request_of_user *request, pid_t child,
		   int record_fd, json_t **ret_record)
{
	json_t *record;
	int r, status;

	r = process_become(request->uid, request->gid);
	record = r < 0 ? NULL : json_loadfd(record_fd, 0, NULL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		status = cmd_failed(cmd, "cannot become uid %u: %s", request->uid, strerror(-r));
	else if (!WIFEXITED(status))
		status = cmd_failed(cmd, "the child that reads the store was killed by signal %d",
				    WTERMSIG(status));
	else if (WEXITSTATUS(status) != CMD_DONE || record)
		status = WEXITSTATUS(status);
	else
		status = cmd_failed(cmd, "the record cannot be read");
	if (status == CMD_DONE)
		*ret_record = record;
	else
		json_decref(record);
	return status;
}

static int get_core(struct cmd *cmd, const struct request_of_user *request, int core_fd,
		    json_t **ret_record)
{
	int ends[2], status;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0 || (child = fork()) < 0)
		return cmd_failed(cmd, "cannot start a child: %s", strerror(errno));
	if (child == 0) {
		(void)close(ends[0]);
		_exit(fetch(cmd, &request->choice, core_fd, ends[1]));
	}
	(void)close(ends[1]);
	status = receive(cmd, request, child, ends[0], ret_record);
	(void)close(ends[0]);
	return status;
}

/* ---- the debugger ---- */

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

/* Said as failures are: what an archive holds is anybody's text, and is escaped. */
static void tell(struct cmd *cmd, const json_t *record, const char *archive,
		 const struct debugfiles *files)
{
	const char *id = text_of(record, "id"), *process = text_of(record, "process"),
		   *capture = text_of(record, "capture");

	if (*id && *process && *capture)
		(void)cmd_failed(cmd, "%s: %s, capture %s, %zu of %zu modules here", id, process,
				 capture, files->found, files->wanted);
	else
		(void)cmd_failed(cmd,
				 "%s: its record is incomplete (it lacks%s%s%s), %zu of %zu "
				 "modules here",
				 archive ?: id, *id ? "" : " id", *process ? "" : " process",
				 *capture ? "" : " capture", files->found, files->wanted);
	if (files->executable_fd < 0)
		(void)cmd_failed(cmd, "no executable: %s", files->missing_because);
	else
		(void)cmd_failed(cmd, "executable %s%s", files->executable,
				 files->symbols_only ? " (symbols only)" : "");
}

static int run_debugger(struct cmd *cmd, const struct request_of_user *request,
			const struct debugger_session *session)
{
	const char *program = request->debugger.program;
	int status, r;

	r = debugger_run(&request->debugger, session, &status);
	if (r == DEBUGGER_E_QUOTE)
		return cmd_usage_error(cmd, "--debugger-arguments: too many words or a quote "
					    "without an end");
	if (r == DEBUGGER_E_STOPPED)
		return cmd_failed(cmd, "told to stop");
	if (r < 0)
		return cmd_failed(cmd, "cannot start %s: %s", program, strerror(-r));
	if (WIFSIGNALED(status))
		return cmd_failed(cmd, "%s was ended by signal %d", program, WTERMSIG(status));
	return WEXITSTATUS(status) == 0 ? CMD_DONE : CMD_FAILED;
}

/* symbols: a directory with .build-id in it, or NULL. */
static int debug_core(struct cmd *cmd, const struct request_of_user *request, int core_fd,
		      const json_t *record, const char *symbols)
{
	struct debugfiles files = DEBUGFILES_NULL;
	char build_ids[PATH_MAX];
	int r, status;

	debugger_block_signals();
	if (symbols) {
		(void)snprintf(build_ids, sizeof(build_ids), "%.4000s/.build-id", symbols);
		files.more = build_ids;
	}
	r = debugfiles_make(&files, TEMPORARY, record);
	if (r < 0) {
		status = cmd_failed(cmd, "cannot make a directory in %s as uid %u: %s", TEMPORARY,
				    request->uid, strerror(-r));
	} else {
		tell(cmd, record, request->archive, &files);
		status = run_debugger(cmd, request,
				      &(struct debugger_session){
					      .core_fd = core_fd,
					      .executable_fd = files.executable_fd,
					      .directory = files.directory,
					      .symbols = symbols,
					      .arguments = request->arguments });
	}
	debugfiles_done(&files);
	return status;
}

/* ---- an archive ---- */

/*
 * A word with a path of a gzipped file is an archive; a path of a program is a match, as
 * elsewhere. Opened as the caller, read as whom the debugger runs as: anybody may have
 * written it.
 */
static int look_for_archive(struct cmd *cmd, struct request_of_user *request)
{
	const char *word = request->choice.word[0];
	struct stat st = { 0 };

	if (request->choice.words != 1)
		return CMD_DONE;
	request->archive_fd = open(word, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (request->archive_fd >= 0 && bundle_looks_like(request->archive_fd)) {
		request->archive = word;
		return CMD_DONE;
	}
	if (request->archive_fd >= 0 && fstat(request->archive_fd, &st) == 0)
		request->choice.no_archive = "not an archive of 'corefold export'";
	else if (strchr(word, '/'))
		request->choice.no_archive = strerror(errno);
	close_fd(&request->archive_fd);
	/* An executable is named by its whole path, and is a regular file, or was. */
	if (strchr(word, '/') && (word[0] != '/' || (st.st_mode && !S_ISREG(st.st_mode))))
		return cmd_failed(cmd, "%s: %s", word, request->choice.no_archive);
	return CMD_DONE;
}

static int unpack_core(struct cmd *cmd, const struct request_of_user *request,
		       struct bundle *bundle, int core_fd)
{
	struct corefile *core;
	int fd = bundle->core_fd, r;

	r = corefile_open(fd, &core);
	bundle->core_fd = -1; /* it is the corefile's, opened or not */
	if (r != 0)
		return cmd_failed(cmd, "%s: core: %s", request->archive, dir_strerror(r));
	return decompress(cmd, core, request->archive, core_fd);
}

static int debug_archive(struct cmd *cmd, const struct request_of_user *request, int core_fd)
{
	struct bundle bundle = BUNDLE_NULL;
	char symbols[PATH_MAX];
	int status, r;

	r = process_become(request->uid, request->gid);
	if (r < 0)
		return cmd_failed(cmd, "cannot become uid %u: %s", request->uid, strerror(-r));
	debugger_block_signals(); /* from here on there is something to be removed */
	status = bundle_open(cmd, request->archive_fd, request->archive, TEMPORARY, &bundle);
	if (status == CMD_DONE)
		status = unpack_core(cmd, request, &bundle, core_fd);
	if (status == CMD_DONE) {
		(void)snprintf(symbols, sizeof(symbols), "%.4000s/debug", bundle.directory);
		status = debug_core(cmd, request, core_fd, bundle.record, symbols);
	}
	bundle_done(&bundle);
	return status;
}

/* ---- the command ---- */

static int run(struct cmd *cmd, struct request_of_user *request)
{
	_cleanup_close_ int core_fd = -1;
	json_t *record = NULL;
	int status;

	if (!request->archive && cmd_read_config(cmd) != CMD_DONE)
		return CMD_FAILED;
	choose_user(request);
	core_fd = make_core_file(request);
	if (core_fd < 0)
		return cmd_failed(cmd, "cannot make a temporary file in %s: %s",
				  TEMPORARY, strerror(-core_fd));
	(void)fcntl(core_fd, F_SETFD, 0); /* the debugger's from here on */
	if (request->archive)
		return debug_archive(cmd, request, core_fd);
	status = get_core(cmd, request, core_fd, &record);
	if (status != CMD_DONE)
		return status;
	status = debug_core(cmd, request, core_fd, record, NULL);
	json_decref(record);
	return status;
}

static int debug_run(struct cmd *cmd)
{
	struct request_of_user request = { .choice = CHOICE_ALL, .archive_fd = -1 };
	const char *debugger = "gdb";
	int status = CMD_DONE, letter, r;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = choice_option(cmd, &request.choice, letter);
		if (status > 0)
			return status;
		if (letter == LETTER_DEBUGGER)
			debugger = optarg;
		else if (letter == 'A')
			request.arguments = optarg;
	}
	if (letter < 0)
		return status;
	status = choice_take_words(cmd, &request.choice);
	if (status != CMD_DONE)
		return status;
	status = look_for_archive(cmd, &request);
	if (status != CMD_DONE)
		return status;
	r = debugger_find(debugger, &request.debugger);
	if (r == DEBUGGER_E_UNKNOWN)
		return cmd_usage_error(cmd, "--debugger: '%s' is neither gdb nor lldb", debugger);
	if (r != 0)
		return cmd_failed(cmd, "%s is not in the system's directories: install it, or "
				       "name another with --debugger",
				  debugger);
	return run(cmd, &request);
}

const struct command cmd_debug = {
	.name = "debug",
	.alias = "gdb",
	.arguments = "[MATCH...]",
	.summary = "start a debugger on the core of a crash",
	.description = CHOICE_ONE
	"\nExecutable and libraries are used if they have the build-ids that crashed.\n"
	"In the place of MATCH may stand the path of an archive that 'export' has made.",
	.options = options,
	.run = debug_run,
};
