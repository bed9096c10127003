/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * All that somebody elsewhere needs to look at a crash, in one archive: the core, the
 * record, and of the executable and the libraries the very builds that crashed, with their
 * symbols where this machine has them. `debug FILE` opens it; gdb alone can, too.
 *
 * Files are read as the owner of the store, who is nobody in particular: a program that
 * only its user may read stays out, and is named.
 */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/bundle.h"
#include "cmd/choose.h"
#include "cmd/debugfiles.h"
#include "cmd/output.h"
#include "core/tar.h"
#include "io/cleanup.h"
#include "io/dir.h"
#include "io/store.h"
#include "policy/units.h"

static const struct cmd_option options[] = {
	CHOICE_OPTIONS,
	{ 'o', "output", "FILE", "write to FILE instead of standard output" },
	{ '1', NULL, NULL, "the newest of those that match, as without it" },
	{ 0 },
};

struct export {
	struct tar *tar;
	const char *id;
	json_t *seen; /* build-ids that are in it */
	uint64_t bytes; /* of files, uncompressed */
	unsigned int files;
	unsigned int missing;
};

static const char readme[] =
	"What corefold exported of one crash.\n\n"
	"With corefold:     corefold debug ARCHIVE.tar.gz\n\n"
	"With gdb alone, in this directory:\n\n"
	"    gunzip -k core.gz\n"
	"    gdb -nx -iex 'set debug-file-directory debug:/usr/lib/debug' -core core\n\n"
	"record.json says what crashed; its keys are in corefold-formats(5). Below\n"
	"debug/.build-id are executable and libraries by build-id, their symbols as .debug.\n"
	"A core holds all memory of the process, passwords included.\n";

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

/* ---- one file ---- */

static int put_file(struct cmd *cmd, struct export *export, const char *build_id,
		    const char *suffix, int fd)
{
	char name[TAR_NAME_SIZE];
	struct stat st;
	int r;

	bundle_name(export->id, build_id, suffix, name);
	if (fstat(fd, &st) < 0)
		return cmd_failed(cmd, "%s: %s", name, strerror(errno));
	if ((uint64_t)st.st_size > BUNDLE_FILES_MAX - export->bytes) {
		(void)cmd_failed(cmd, "%s is left out: more than %u G of files", name,
				 (unsigned int)(BUNDLE_FILES_MAX >> 30));
		return CMD_DONE;
	}
	r = tar_put_fd(export->tar, name, fd, (uint64_t)st.st_size, false);
	if (r < 0)
		return cmd_failed(cmd, "cannot write %s: %s", name, strerror(-r));
	export->bytes += (uint64_t)st.st_size;
	export->files++;
	return CMD_DONE;
}

static int put_symbols(struct cmd *cmd, struct export *export, const char *build_id)
{
	_cleanup_close_ int fd = debugfiles_open_symbols(build_id);

	return fd < 0 ? CMD_DONE : put_file(cmd, export, build_id, ".debug", fd);
}

/* The build that crashed, or none. */
static int put_module(struct cmd *cmd, struct export *export, const char *path,
		      const char *build_id)
{
	_cleanup_close_ int fd = -1;
	int status;

	if (path[0] != '/' || !bundle_is_build_id(build_id) ||
	    json_object_get(export->seen, build_id))
		return CMD_DONE;
	(void)json_object_set_new(export->seen, build_id, json_true());
	fd = debugfiles_open(path, build_id);
	if (fd < 0) {
		export->missing++;
		(void)cmd_failed(cmd, "%s is left out: %s", path,
				 fd == -EBADMSG ? "another build by now" : strerror(-fd));
		return put_symbols(cmd, export, build_id);
	}
	status = put_file(cmd, export, build_id, "", fd);
	return status == CMD_DONE ? put_symbols(cmd, export, build_id) : status;
}

/* ---- all of them ---- */

static int put_record(struct cmd *cmd, struct export *export, const json_t *record)
{
	char *text = json_dumps(record, JSON_INDENT(1));
	char name[TAR_NAME_SIZE];
	int r = text ? 0 : -ENOMEM;

	(void)snprintf(name, sizeof(name), "%s/README", export->id);
	if (r == 0)
		r = tar_put_bytes(export->tar, name, readme, strlen(readme));
	(void)snprintf(name, sizeof(name), "%s/" BUNDLE_RECORD, export->id);
	if (r == 0)
		r = tar_put_bytes(export->tar, name, text, strlen(text));
	free(text);
	return r < 0 ? cmd_failed(cmd, "cannot write the record: %s", strerror(-r)) : CMD_DONE;
}

static int put_core(struct cmd *cmd, struct export *export, int store_fd)
{
	_cleanup_close_ int fd = -1;
	char name[TAR_NAME_SIZE];
	struct stat st;
	int r;

	r = store_open_core(store_fd, export->id, &fd);
	if (r == -ENOENT) {
		(void)cmd_failed(cmd, "%s has no core: 'corefold info %s' says why", export->id,
				 export->id);
		return CMD_DONE; /* what the record tells is worth something */
	}
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r != 0)
		return cmd_failed(cmd, "core of %s: %s", export->id, dir_strerror(r));
	(void)snprintf(name, sizeof(name), "%s/" BUNDLE_CORE, export->id);
	r = tar_put_fd(export->tar, name, fd, (uint64_t)st.st_size, true);
	return r < 0 ? cmd_failed(cmd, "cannot write the core: %s", strerror(-r)) : CMD_DONE;
}

static int put_modules(struct cmd *cmd, struct export *export, const json_t *record)
{
	const json_t *module;
	int status;
	size_t i;

	status = put_module(cmd, export, text_of(record, "executable"),
			    debugfiles_executable_id(record));
	json_array_foreach(json_object_get(record, "modules"), i, module)
		if (status == CMD_DONE)
			status = put_module(cmd, export, text_of(module, "path"),
					    text_of(module, "build_id"));
	return status;
}

static int export_to(struct cmd *cmd, int store_fd, const char *id, const struct output *out)
{
	struct export export = { .id = id };
	json_t *record = cmd_read_record(store_fd, id);
	int status, r;

	if (!record)
		return cmd_failed(cmd, "record %s cannot be read", id);
	export.tar = tar_new_writer(out->fd);
	export.seen = json_object();
	status = export.tar ? put_record(cmd, &export, record) : cmd_failed(cmd, "out of memory");
	if (status == CMD_DONE)
		status = put_core(cmd, &export, store_fd);
	if (status == CMD_DONE)
		status = put_modules(cmd, &export, record);
	r = export.tar ? tar_close(export.tar) : 0;
	if (r < 0 && status == CMD_DONE)
		status = cmd_failed(cmd, "cannot write the archive: %s", strerror(-r));
	if (status == CMD_DONE)
		(void)fprintf(stderr, "corefold export: %s: %u files by build-id, %u not to be had\n",
			      id, export.files, export.missing);
	json_decref(export.seen);
	json_decref(record);
	return status;
}

static int export_cmd_run(struct cmd *cmd)
{
	struct choice choice = CHOICE_ALL;
	struct ledger ledger = LEDGER_NULL;
	struct output out;
	const char *path = NULL;
	char id[STATE_ID_SIZE];
	int status = CMD_DONE, letter;

	while ((letter = cmd_option(cmd, &status)) > 0) {
		status = choice_option(cmd, &choice, letter);
		if (status > 0)
			return status;
		if (letter == 'o')
			path = optarg;
	}
	if (letter < 0)
		return status;
	status = choice_take_words(cmd, &choice);
	if (status != CMD_DONE)
		return status;
	if (!path && isatty(STDOUT_FILENO))
		return cmd_usage_error(cmd, "refusing to write an archive to a terminal: use -o FILE, "
					    "or a pipe");
	status = output_open(cmd, path, &out);
	if (status == CMD_DONE)
		status = cmd_open_ledger(cmd, &ledger);
	if (status == CMD_DONE)
		status = choice_find(cmd, &choice, ledger.store_fd, id);
	if (status == CMD_DONE)
		status = export_to(cmd, ledger.store_fd, id, &out);
	ledger_done(&ledger);
	return status;
}

const struct command cmd_export = {
	.name = "export",
	.arguments = "[MATCH...]",
	.summary = "write core, record, executable and libraries into one archive",
	.description = CHOICE_ONE
	"\nThe archive is a gzipped tar; 'corefold debug FILE' opens it anywhere.",
	.options = options,
	.run = export_cmd_run,
};
